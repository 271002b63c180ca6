//! Lesions of the breast over the years: what was seen when and where, which sightings are one lesion, how it changed, and
//! what is due. Pure: lines in, a book out. Who the patient is decides `study`; where the lines are kept, `custody`.

pub mod book;
pub mod change;
pub mod due;
pub mod entry;
pub mod followed;
pub mod same;
pub mod sighting;
#[cfg(test)]
mod tests;
