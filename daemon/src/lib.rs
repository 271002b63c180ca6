//! The Scanside daemon: what composes the parts, and its front ends. The stories themselves are told in `study` and `live`.

pub mod app;
pub mod dbus;
pub mod console;
pub mod health;
