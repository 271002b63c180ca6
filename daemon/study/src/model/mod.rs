//! Model packages in the daemon: which package a task uses, how it is loaded and checked, and the operations that
//! change it.
//!
//! `models::registry` keeps the packages on disk; `shelf` loads them (`attempt`: one network on one device); `standby` puts the CPU behind
//! a GPU that may fail; `hosts` lets other machines run them for studies; `service` carries out commands of operators.
//! Shadow runs are in `analyze::shadow` and `analyze::compare`.

mod attempt;
mod error;
pub mod for_live;
pub mod hosts;
pub mod service;
pub mod shelf;
pub mod standby;

pub use error::Error;
pub use hosts::Hosts;
pub use service::Models;
pub use shelf::{Loaded, Shelf};
