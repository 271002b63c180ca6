//! The Scanside engine. Modules stand in the order in which a study flows through them; `study` and `live` tell these stories.

pub mod study;
pub mod live;

pub mod dicom;
pub mod spool;
pub mod series;
pub mod volume;
pub mod analyze;
pub mod model;
pub mod report;
pub mod outbox;

pub mod store;
pub mod config;
pub mod ask;
pub mod dbus;
pub mod console;
pub mod health;
pub mod level;
pub mod shutdown;
pub mod app;
