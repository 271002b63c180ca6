//! Figures of the live path on phantom videos: what the overlay said of each picture beside what was planted. Pure, but for
//! [`replay`] and [`scan::Scan::of`].

pub mod judge;
pub mod paint;
pub mod replay;
pub mod scan;
pub mod table;

pub use judge::Case;
pub use scan::{Scan, Truth};
