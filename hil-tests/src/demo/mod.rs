//! What `make demo` is made of: the comparison with what was planted, the pictures, the terminal.

pub mod compare;
pub mod pictures;
pub mod terminal;
