//! Computed breast ultrasound videos: a probe slides over a simulated breast, shown on the screen of a simulated
//! scanner. The same seed gives the same bytes.
//!
//! The physics is simple: scatterers fixed in the tissue under a point-spread function (`speckle`), attenuation along
//! each beam, mirrors at walls and fasciae, envelope, log compression. No refraction, no multiple reflections except
//! drawn ones, no Doppler, no elastography. Lesions have BI-RADS descriptors ([`descriptors`]); which of them are
//! malignant is a definition of this phantom.

pub mod breast;
pub mod canvas;
mod decoy;
pub mod descriptors;
pub mod frames;
mod image;
pub mod layout;
mod lesion;
mod lobules;
pub mod motion;
mod noise;
mod plane;
mod planting;
mod screen;
pub mod seeds;
pub mod settings;
mod speckle;
mod tissue;
pub mod truth;
mod video;
pub mod handling;
pub mod y4m;

pub use video::{Frame, Options, Video};

#[cfg(test)]
mod tests;
