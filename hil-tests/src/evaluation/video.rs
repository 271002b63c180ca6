//! Figures of the live path on phantom videos: compares the overlay of each picture with what was planted. Pure, except
//! [`replay`] and [`scan::Scan::of`].

pub mod judge;
pub mod paint;
pub mod replay;
pub mod scan;
pub mod table;

pub use judge::Case;
pub use scan::{Scan, Truth};
