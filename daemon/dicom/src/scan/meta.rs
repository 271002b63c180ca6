//! The file meta group (PS3.10 section 7.1). It is always explicit VR little endian; its group length is not trusted.

use std::io::{Read, Seek};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::source::Source;
use super::{MAX_VALUE, ScanError, text, walk};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
    /// Where the data set begins, bytes from the start of the file.
    pub data_set_offset: u64,
}

pub(super) fn read<R: Read + Seek>(source: &mut Source<R>) -> Result<Meta, ScanError> {
    source.skip(128)?;
    if source.exact::<4>().ok() != Some(*b"DICM") {
        return Err(ScanError::NotPart10);
    }
    let mut meta = Meta::default();
    loop {
        let mut head = [0; 8];
        let got = source.fill(&mut head)?;
        let group = u16::from_le_bytes([head[0], head[1]]);
        if got < head.len() || group != 0x0002 {
            source.back(u32::try_from(got).unwrap_or_default())?;
            break;
        }
        element(source, head, &mut meta)?;
    }
    meta.data_set_offset = source.position();
    if meta.transfer_syntax_uid.is_empty() { Err(ScanError::NoTransferSyntax) } else { Ok(meta) }
}

fn element<R: Read + Seek>(source: &mut Source<R>, head: [u8; 8], meta: &mut Meta) -> Result<(), ScanError> {
    let tag = Tag(0x0002, u16::from_le_bytes([head[2], head[3]]));
    let length = if walk::is_long([head[4], head[5]]) {
        u64::from(u32::from_le_bytes(source.exact()?))
    } else {
        u64::from(u16::from_le_bytes([head[6], head[7]]))
    };
    let field = match tag {
        tags::MEDIA_STORAGE_SOP_CLASS_UID => &mut meta.sop_class_uid,
        tags::MEDIA_STORAGE_SOP_INSTANCE_UID => &mut meta.sop_instance_uid,
        tags::TRANSFER_SYNTAX_UID => &mut meta.transfer_syntax_uid,
        _ => return walk::skip_value(source, tag, length),
    };
    *field = text::trimmed(&walk::value(source, tag, length.min(MAX_VALUE))?);
    walk::skip_value(source, tag, length.saturating_sub(MAX_VALUE))
}

/// Whether the data set is deflated as a whole in this transfer syntax.
pub fn is_deflated(transfer_syntax_uid: &str) -> bool {
    matches!(
        transfer_syntax_uid,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN | uids::JPIP_REFERENCED_DEFLATE | uids::JPIPHTJ2K_REFERENCED_DEFLATE
    )
}
