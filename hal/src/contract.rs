//! The test bodies that every implementation of a device must pass.
