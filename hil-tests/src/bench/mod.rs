//! What `make bench` is made of: receivers side by side, the timings of whole studies, and the figures.

pub mod figures;
pub mod ingest;
pub mod receiver;
pub mod study;
