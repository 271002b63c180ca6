//! THE LIVE STORY (in progress).

pub mod learn;
pub mod profile;
pub mod ticks;
pub mod view;
