//! What `make bench` is made of: receivers side by side, the timings of whole studies, the peer in Python, and the figures.

pub mod figures;
pub mod ingest;
pub mod pipeline;
pub mod receiver;
pub mod study;
