//! Model packages in the daemon: which one a task uses, how it is loaded and found good, and the verbs that change it.
//!
//! `models::registry` keeps the packages on the disk; `shelf` loads them; `service` carries out what people ask for;
//! `shadow` runs a candidate beside the active package and `compare` says where the two differ.

mod error;
pub mod for_live;
pub mod service;
pub mod shelf;

pub use error::Error;
pub use service::Models;
pub use shelf::{Loaded, Shelf};
