//! The Scanside daemon: composes the parts and contains the front ends. The crates `study` and `live` do the work.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod app;
mod at_once;
mod room;
pub mod attest;
pub mod dbus;
pub mod console;
pub mod health;
pub mod metrics;
pub mod reader;
pub mod dicomweb;
pub mod inference;
pub mod reading;
