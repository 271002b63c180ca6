//! The simulated archive.
