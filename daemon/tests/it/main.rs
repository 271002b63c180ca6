//! Tests of the daemon process and its live page. One program, so that the engine is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod console;
mod console_crowd;
mod console_support;
mod console_tls;
mod reading;
mod process;
mod unit;
