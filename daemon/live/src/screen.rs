//! The scanner's screen: where image and text are (`profile`), reading the depth scale (`ticks`, `scale`), and learning a
//! profile from the video (`learn`, `lesson`).

pub mod profile;
pub mod ticks;
pub mod scale;
pub mod learn;
pub mod lesson;
