//! From masks and probabilities to findings. Pure functions.

pub mod components;
