//! The parts of the demonstrations: comparison with what was planted, pictures, printed report, terminal.

pub mod documents;
pub mod exam;
pub mod nine;
pub mod pictures;
pub mod report;
pub mod terminal;
