//! Configuration in three stages: fragments as people write them, merged by directory, validated into [`Settings`].

pub mod settings;

pub use settings::Settings;
