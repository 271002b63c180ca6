//! The bench: what surrounds the box in a test. It talks to the daemon over DICOM and D-Bus only.

pub mod dimse;
pub mod disk;
pub mod elements;
pub mod link;
pub mod slow_disk;
pub mod modality;
pub mod vendor;
pub mod pacs;
pub mod part10;
pub mod relay;

pub mod appliance;
pub mod browser;
pub mod bus;
pub mod coarse;
pub mod deadline;
pub mod tools;
pub mod watch;

pub mod bench;
pub mod compare;
pub mod demo;
pub mod evaluation;
pub mod live;
