//! Breast ultrasound videos built in code: a probe slides over a breast that never was, on the screen of a scanner that
//! never was. The same seed gives the same bytes.
//!
//! Physics as plain as it can be: scatterers fixed in the tissue under a point-spread function (`speckle`), attenuation
//! along each beam, mirrors at walls and fasciae, envelope, log compression. No refraction, no multiple reflections but
//! drawn ones, no Doppler, no elastography. What is planted is described in BI-RADS words ([`descriptors`]), and which of it
//! is malignant is the phantom's own definition.

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
pub mod y4m;

pub use video::{Frame, Options, Video};

#[cfg(test)]
mod tests;
