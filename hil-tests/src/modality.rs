//! The simulated scanner.
