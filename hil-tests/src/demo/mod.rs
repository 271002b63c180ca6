//! What `make demo` is made of: the comparison with what was planted, the pictures, the printed report, the terminal.

pub mod compare;
pub mod documents;
pub mod nine;
pub mod pictures;
pub mod report;
pub mod terminal;
