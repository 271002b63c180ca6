//! The Scanside engine. Modules stand in the order in which a study flows through them; `study` tells that story.

pub mod study;

pub mod analyze;
pub mod dicom;
pub mod outbox;
pub mod report;
pub mod series;
pub mod spool;
pub mod volume;

pub mod app;
pub mod config;
pub mod dbus;
pub mod health;
pub mod level;
pub mod shutdown;
pub mod store;
