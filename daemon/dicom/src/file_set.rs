//! The directory of a DICOM file-set (DICOMDIR): which files lie on a medium, by patient, study and series
//! (PS3.10 section 8, PS3.3 annex F). `member` says what the directory tells of one file, `tree` writes it down, `existing`
//! reads what one lists already.

mod existing;
mod member;
mod tree;

pub use existing::Existing;
pub use member::Member;
pub use tree::directory;

/// The name of the directory at the root of a file-set.
pub const NAME: &str = "DICOMDIR";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the object cannot be read: {0}")]
    DataSet(String),
    #[error("the directory cannot be written: {0}")]
    Write(String),
    #[error("the directory would be larger than 4 GiB")]
    TooLarge,
    #[error("this is not the directory of a DICOM file-set: {0}")]
    NoDirectory(String),
}

#[cfg(test)]
mod tests;
