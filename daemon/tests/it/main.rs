//! The daemon and its live page, as people and other programs meet them. One binary, so that the engine is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod console;
mod console_support;
mod process;
