//! The whole task on a synthetic chest.
