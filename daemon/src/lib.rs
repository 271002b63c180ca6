//! The Scanside daemon: what composes the parts, and its front ends. The stories themselves are told in `study` and `live`.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod app;
pub mod dbus;
pub mod console;
pub mod health;
