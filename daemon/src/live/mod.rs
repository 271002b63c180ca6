//! The live path's stages.

pub mod view;
