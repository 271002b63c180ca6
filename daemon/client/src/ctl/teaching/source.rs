//! Fetches the objects of a study and writes copies of its images. What is fetched lies in memory only: nothing that names
//! somebody gets onto the medium, not even for a moment.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;

use dicom::deidentify::secrets::Secrets;
use dicom::deidentify::{self, Case};
use dicom_dictionary_std::uids;
use rustix::fs::MemfdFlags;
use sha2::{Digest, Sha256};

use super::folder::Folder;
use super::summary::{Kept, Made};
use crate::ctl::failure::Failure;
use crate::ctl::output::Output;
use crate::{ManagerProxy, Object, Options};

/// Objects that are in memory at the same time.
const AT_ONCE: usize = 16;

#[allow(clippy::too_many_arguments, reason = "what goes in, and three things that grow")]
pub async fn copy(
    manager: &ManagerProxy<'_>,
    study_uid: &str,
    case: &Case,
    area: Option<[u32; 4]>,
    folder: &mut Folder,
    secrets: &mut Secrets,
    made: &mut Made,
    output: &Output,
) -> Result<(), Failure> {
    let all = manager.list_objects(study_uid, Options::from([("images", true.into())])).await?;
    // Images first: outlines belong to them.
    let (received, own): (Vec<Object>, Vec<Object>) = all.into_iter().partition(|object| object.received);
    let outlines = own.into_iter().filter(|object| object.sop_class == uids::SEGMENTATION_STORAGE);
    let objects: Vec<Object> = received.into_iter().chain(outlines).collect();
    if output.shows_progress() {
        output.note(&format!("{} objects are copied without what identifies ...", objects.len()));
    }
    let (sound, lost): (Vec<Object>, Vec<Object>) = objects.into_iter().partition(|object| object.trouble.is_none());
    for object in lost {
        made.left_out(&object.sop_uid, &object.trouble.unwrap_or_default());
    }
    for some in sound.chunks(AT_ONCE) {
        for (object, part10) in some.iter().zip(fetched(manager, study_uid, some).await?) {
            secrets.add(&part10).map_err(|error| unread(object, &error))?;
            match deidentify::copy(&part10, case, area) {
                Ok(copy) => {
                    let file = format!("dicom/IM{:06}.dcm", made.copies.len() + 1);
                    folder.write(&file, &copy.part10)?;
                    made.copies.push(Kept::of(copy, file));
                }
                // Reports and other documents: nobody expects them here.
                Err(deidentify::Error::NoImage) => made.no_images += 1,
                Err(error) => made.left_out(&object.sop_uid, &error.to_string()),
            }
        }
    }
    Ok(())
}

/// Without its values nobody can say that they are not in the folder.
fn unread(object: &Object, error: &dicom::pixels::DecodeError) -> Failure {
    let text = format!("object {} cannot be read, so what it says cannot be searched for: {error}", object.sop_uid);
    Failure::new(text, "see `scansidectl quarantine list` and `scansidectl journal STUDY`")
}

async fn fetched(manager: &ManagerProxy<'_>, study_uid: &str, objects: &[Object]) -> Result<Vec<Vec<u8>>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("no memory for an object: {error}"), "try again");
    let (mut asked, mut files) = (Vec::new(), Vec::new());
    for object in objects {
        let fd = rustix::fs::memfd_create("scanside-teaching", MemfdFlags::CLOEXEC).map_err(|error| failed(&error))?;
        let file = File::from(fd);
        let theirs = file.try_clone().map_err(|error| failed(&error))?;
        asked.push((object.sop_uid.clone(), OwnedFd::from(theirs).into()));
        files.push(file);
    }
    let hashes = manager.export_objects(study_uid, asked).await?;
    if hashes.len() != files.len() {
        return Err(Failure::new("the box gave another number of objects", "report this as a bug"));
    }
    let read = |((mut file, sha256), object): ((File, String), &Object)| {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(|error| failed(&error))?;
        if hex::encode(Sha256::digest(&bytes)) != sha256 {
            let text = format!("object {} did not come whole", object.sop_uid);
            return Err(Failure::new(text, "try again; see `scansidectl doctor`"));
        }
        Ok(bytes)
    };
    files.into_iter().zip(hashes).zip(objects).map(read).collect()
}
