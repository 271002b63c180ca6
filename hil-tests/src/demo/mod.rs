//! The parts of `make demo`: comparison with what was planted, pictures, printed report, terminal.

pub mod documents;
pub mod nine;
pub mod pictures;
pub mod report;
pub mod terminal;
