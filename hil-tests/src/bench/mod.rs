//! The parts of `make bench`: comparison of receivers, timings of whole studies, comparison with a Python program, and
//! the figures.

pub mod figures;
pub mod ingest;
pub mod pipeline;
pub mod receiver;
pub mod services;
pub mod study;
