//! From masks and probabilities to findings. Pure functions.

pub mod contour;
pub mod components;
pub mod diameter;
pub mod extent;
pub mod hull;
pub mod outline;
pub mod patches;
pub mod shape;
