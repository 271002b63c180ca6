//! From masks and probabilities to findings. Pure functions.

pub mod components;
pub mod diameter;
pub mod outline;
pub mod patches;
