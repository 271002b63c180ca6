//! The D-Bus interface and `scansidectl` on a private bus, in one program: it is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod fixture;

mod alarm;
mod bus;
mod cert;
mod cli;
mod doctor;
mod live;
mod models;
mod record;
mod retention;
