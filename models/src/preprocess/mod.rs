//! From a volume to what a network reads. Pure functions.

pub mod letterbox;
pub mod resample;
pub mod window;
