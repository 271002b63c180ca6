//! The secondary capture object: a drawn page as an image that every viewer can show.

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;
use models::findings::ChestFinding;

use crate::codes::SOURCE_IMAGE_FOR_PROCESSING;
use crate::dataset;
use crate::object::{Context, SC};
use crate::{Error, KeyImage, ResultObject};

/// A page object to which the report refers.
#[derive(Debug)]
pub struct Page {
    pub object: ResultObject,
    /// The finding that it shows, if any.
    pub finding: Option<ChestFinding>,
}

/// # Errors
/// When the page is too large or a copied value does not fit into an object.
pub fn write(context: &Context, page: &KeyImage, index: usize) -> Result<Page, Error> {
    let slice = page.slice.and_then(|s| context.source.instances.get(s));
    let shows = slice.map(|s| (s.sop_class_uid.as_str(), s.sop_instance_uid.as_str(), s.frame));
    // The page shows no patient name or ID.
    object(context, page, shows.as_slice(), "NO", index)
}

/// SOP class and instance of an image, and the frame of a clip.
pub type Shows<'a> = (&'a str, &'a str, Option<u32>);

/// The page of pictures that may hold text of the scanner.
///
/// # Errors
/// As [`write`].
pub fn of_picture(context: &Context, page: &KeyImage, shows: &[Shows<'_>], index: usize) -> Result<Page, Error> {
    object(context, page, shows, "YES", index)
}

fn object(
    context: &Context,
    page: &KeyImage,
    shows: &[Shows<'_>],
    burned_in: &str,
    index: usize,
) -> Result<Page, Error> {
    let (Ok(rows), Ok(columns)) = (u16::try_from(page.height), u16::try_from(page.width)) else {
        return Err(Error::TooLong { tag: tags::ROWS, length: page.height.max(page.width) });
    };
    let mut set = context.begin(SC, index)?;
    set.texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "SECONDARY"]);
    set.text(tags::CONVERSION_TYPE, VR::CS, "WSD");
    set.empty(tags::PATIENT_ORIENTATION, VR::CS);
    set.empty(tags::LATERALITY, VR::CS);
    set.text(tags::BURNED_IN_ANNOTATION, VR::CS, burned_in);
    set.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00");
    set.text(tags::IMAGE_COMMENTS, VR::LT, &page.title);
    let mark = context.provenance.mark().map(|m| format!(". {m}")).unwrap_or_default();
    set.text(tags::DERIVATION_DESCRIPTION, VR::ST, &format!("{}{mark}", page.title));
    if !shows.is_empty() {
        let image = |(sop_class_uid, sop_instance_uid, frame): &Shows<'_>| {
            let mut image = dataset::reference(sop_class_uid, sop_instance_uid);
            if let Some(frame) = frame {
                image.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &frame.to_string());
            }
            image.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, SOURCE_IMAGE_FOR_PROCESSING);
            image
        };
        set.sequence(tags::SOURCE_IMAGE_SEQUENCE, shows.iter().map(image).collect());
    }
    set.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB");
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 3),
        (tags::PLANAR_CONFIGURATION, 0),
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        set.shorts(tag, &[value]);
    }
    set.primitive(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(page.rgb.clone().into()));
    Ok(Page { object: context.finish(SC, index, set, page.rgb.len())?, finding: page.finding })
}
