//! The scanner's screen: where its picture and its text are (`profile`), and how a profile is learnt (`learn`, `lesson`).

pub mod profile;
pub mod ticks;
pub mod learn;
pub mod lesson;
