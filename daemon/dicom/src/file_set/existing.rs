//! What the directory of a file-set lists already.

use dicom_dictionary_std::{tags, uids};

use super::Error;
use crate::dataset::{items, text};
use crate::implementation::CLASS_UID;
use crate::pixels::parse;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// SOP Instance UID of the directory.
    pub uid: String,
    /// Whether this software wrote it. Another one may say things that would be lost when it is written again.
    pub ours: bool,
    /// Path below the root and SOP Instance UID of each file.
    pub files: Vec<(Vec<String>, String)>,
    /// Files that it lists in a way that is not followed: a path that leads out of the folder or holds what no name may
    /// hold, or no UID.
    pub odd: Vec<String>,
}

impl Existing {
    /// # Errors
    /// When it cannot be read, or is another object.
    pub fn read(dicomdir: &[u8]) -> Result<Self, Error> {
        let failed = |why: String| Error::NoDirectory(why);
        let file = parse::whole(dicomdir).map_err(|error| failed(error.to_string()))?;
        let meta = file.meta();
        let trimmed = |text: &str| text.trim_end_matches(['\0', ' ']).to_owned();
        if trimmed(&meta.media_storage_sop_class_uid) != uids::MEDIA_STORAGE_DIRECTORY_STORAGE {
            return Err(failed(format!("its class is {}", trimmed(&meta.media_storage_sop_class_uid))));
        }
        let (mut files, mut odd) = (Vec::new(), Vec::new());
        for record in items(&file, tags::DIRECTORY_RECORD_SEQUENCE) {
            let Some(listed) = text(record, tags::REFERENCED_FILE_ID) else { continue };
            // A component that leads out of the folder is none.
            let path: Vec<String> = listed.split('\\').map(|part| part.trim().to_owned()).collect();
            let sound = |part: &String| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            };
            match text(record, tags::REFERENCED_SOP_INSTANCE_UID_IN_FILE) {
                Some(uid) if path.iter().all(sound) => files.push((path, uid)),
                _ => odd.push(listed),
            }
        }
        Ok(Self {
            uid: trimmed(&meta.media_storage_sop_instance_uid),
            ours: trimmed(&meta.implementation_class_uid) == CLASS_UID,
            files,
            odd,
        })
    }
}
