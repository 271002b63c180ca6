//! The attributes of one instance that the engine bases decisions on, read by `scan`. Stored as JSON in the instance's
//! row, so that no file has to be read again to assemble a series.

use serde::{Deserialize, Serialize};

/// Text values are for comparison and display. Results copy names and identifiers from the raw bytes instead.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
    pub study_instance_uid: String,
    pub series_instance_uid: String,
    pub frame_of_reference_uid: Option<String>,
    pub modality: String,
    pub image_type: Vec<String>,
    pub manufacturer: String,
    pub model_name: String,
    pub body_part: String,
    pub study_description: String,
    pub series_description: String,
    /// Protocol Name (0018,1030). Absent in rows that were written before it was read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol_name: String,
    pub study_date: String,
    pub patient_name: String,
    /// The character set in which the name was read although the data set does not declare it; empty: none was guessed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub guessed_character_set: String,
    pub patient_id: String,
    /// (0010,0021). This and the next two are absent in rows that were written before they were read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer_of_patient_id: String,
    /// Patient's Birth Date as in DICOM: YYYYMMDD.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub birth_date: String,
    /// Patient's Sex: `M`, `F` or `O`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sex: String,
    pub accession_number: String,
    pub series_number: Option<i64>,
    pub acquisition_number: Option<i64>,
    pub instance_number: Option<i64>,
    pub images_in_acquisition: Option<i64>,
    pub number_of_series_related_instances: Option<i64>,
    pub kernel: String,
    pub rows: u32,
    pub columns: u32,
    pub number_of_frames: u32,
    pub samples_per_pixel: u16,
    pub photometric: String,
    pub bits_allocated: u16,
    pub bits_stored: u16,
    /// Most significant bit of a stored value; `bits_stored - 1` when absent. (0028,0102)
    pub high_bit: Option<u16>,
    pub pixel_representation: u16,
    pub pixel_padding_value: Option<i64>,
    /// The other limit of the range of padding values; (0028,0121).
    pub pixel_padding_range_limit: Option<i64>,
    pub rescale_slope: Option<f64>,
    pub rescale_intercept: Option<f64>,
    /// What the rescaled values are, as written; (0028,1054). Empty where the scanner does not say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rescale_type: String,
    /// Is there a Modality LUT Sequence (0028,3000)?
    #[serde(skip_serializing_if = "is_false")]
    pub has_modality_lut: bool,
    /// Of a virtual monoenergetic image, keV; (0018,937C).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monoenergetic_kev: Option<f64>,
    /// How the patient lies in the scanner, such as `HFS`; (0018,5100). Empty where the scanner does not say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub patient_position: String,
    /// Position (mm, LPS) of the centre of the first pixel; (0020,0032).
    pub image_position: Option<[f64; 3]>,
    /// Direction cosines of rows, then columns; (0020,0037).
    pub image_orientation: Option<[f64; 6]>,
    /// Millimetres between rows, then between columns; (0028,0030).
    pub pixel_spacing: Option<[f64; 2]>,
    pub slice_thickness: Option<f64>,
    pub gantry_tilt: Option<f64>,
    /// Absent in rows that were written before it was read, and where the scanner says nothing.
    #[serde(skip_serializing_if = "Projection::is_unknown")]
    pub projection: Projection,
    /// Absent in rows that were written before it was read.
    #[serde(skip_serializing_if = "Acquired::is_unknown")]
    pub acquired: Acquired,
    pub pixel_data: Option<PixelData>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// When and how the scanner measured what the image shows: what all reconstructions of one scan share. Empty where the
/// header does not say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Acquired {
    /// `YYYYMMDDHHMMSS.FFFFFF`: Acquisition DateTime (0008,002A), else Acquisition Date and Time (0008,0022), (0008,0032).
    pub when: String,
    /// Contrast/Bolus Agent (0018,0010).
    pub contrast_agent: String,
    /// (0018,0060), kV.
    pub kvp: Option<f64>,
    /// CTDIvol (0018,9345), mGy.
    pub dose_mgy: Option<f64>,
}

impl Acquired {
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// How the beam went through the body, as a projection radiograph says it. Empty where it does not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Projection {
    /// `L`, `R` or `B`: Image Laterality (0020,0062), else Laterality (0020,0060).
    pub laterality: String,
    /// View Position (0018,5101), for example `CC`.
    pub position: String,
    /// Code Value of the first item of the View Code Sequence (0054,0220).
    pub code: String,
    /// Code Values of the View Modifier Code Sequence (0054,0222) in that item.
    pub modifiers: Vec<String>,
    /// It shows only a part of the view: Partial View (0028,1350) is YES, or is not said and a section is. Absent in rows that were
    /// written before it was read.
    #[serde(skip_serializing_if = "is_false")]
    pub partial: bool,
    /// Code Values of the Partial View Code Sequence (0028,1352), of a part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<String>,
}

impl Projection {
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// Where the pixel data lies in the Part 10 file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelData {
    /// Byte offset of the value from the start of the file.
    pub offset: u64,
    /// Length in bytes; for encapsulated data up to and including the sequence delimiter.
    pub length: u64,
    pub encapsulated: bool,
}

/// Native pixel data that is too short for its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortfall {
    pub needed: u64,
    pub present: u64,
}

impl std::fmt::Display for Shortfall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the image needs {} bytes of pixel data, {} are there", self.needed, self.present)
    }
}

impl Header {
    /// The difference if native pixel data is shorter than rows x columns x samples x bits x frames. `None` for
    /// encapsulated data, whose length does not depend on the image size, and for objects without an image.
    pub fn pixel_shortfall(&self) -> Option<Shortfall> {
        let pixels = self.pixel_data.filter(|pixels| !pixels.encapsulated)?;
        // YBR_FULL_422 stores two chroma samples for two pixels (PS3.3 C.7.6.3.1.2).
        let samples = if self.photometric == "YBR_FULL_422" { 2 } else { u128::from(self.samples_per_pixel) };
        let frames = u128::from(self.number_of_frames.max(1));
        let values = u128::from(self.rows) * u128::from(self.columns) * samples * frames;
        let needed = (values * u128::from(self.bits_allocated)).div_ceil(8);
        let needed = u64::try_from(needed).unwrap_or(u64::MAX);
        (needed > pixels.length).then_some(Shortfall { needed, present: pixels.length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_projection_is_read_and_one_that_is_unknown_is_not_written() {
        let old = r#"{"modality": "MG", "rows": 3}"#;
        let header: Header = serde_json::from_str(old).unwrap();
        assert!(header.projection.is_unknown());
        assert!(!serde_json::to_string(&header).unwrap().contains("projection"));
    }
}
