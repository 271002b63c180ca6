//! All coded concepts and units in result objects, with their sources.
//!
//! DCM: PS3.16 Annex D. SCT: SNOMED CT concepts of the DICOM set (PS3.16 Annex O). LN: LOINC. UCUM: units. `99SCANSIDE`
//! is our private scheme and is declared in the Coding Scheme Identification Sequence of every object that uses it.

use models::task::us_breast::terms::{Echo, Margin, Orientation, Posterior, Shape};

/// A coded concept: value, scheme, meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub value: &'static str,
    pub scheme: &'static str,
    pub meaning: &'static str,
}

const fn dcm(value: &'static str, meaning: &'static str) -> Code {
    Code { value, scheme: "DCM", meaning }
}
pub const fn sct(value: &'static str, meaning: &'static str) -> Code {
    Code { value, scheme: "SCT", meaning }
}
const fn ucum(value: &'static str, meaning: &'static str) -> Code {
    Code { value, scheme: "UCUM", meaning }
}
const fn own(value: &'static str, meaning: &'static str) -> Code {
    Code { value, scheme: OWN_SCHEME, meaning }
}

/// Our private scheme.
pub const OWN_SCHEME: &str = "99SCANSIDE";

// The document: TID 1500, CID 7021, TID 1204, TID 1002/1004.
pub const IMAGING_MEASUREMENT_REPORT: Code = dcm("126000", "Imaging Measurement Report");
pub const LANGUAGE: Code = dcm("121049", "Language of Content Item and Descendants");
pub const ENGLISH: Code = Code { value: "en-US", scheme: "RFC5646", meaning: "English (United States)" };
pub const OBSERVER_TYPE: Code = dcm("121005", "Observer Type");
pub const DEVICE: Code = dcm("121007", "Device");
pub const DEVICE_OBSERVER_UID: Code = dcm("121012", "Device Observer UID");
pub const DEVICE_OBSERVER_NAME: Code = dcm("121013", "Device Observer Name");
pub const DEVICE_OBSERVER_MANUFACTURER: Code = dcm("121014", "Device Observer Manufacturer");
pub const DEVICE_OBSERVER_MODEL: Code = dcm("121015", "Device Observer Model Name");
pub const DEVICE_OBSERVER_SERIAL: Code = dcm("121016", "Device Observer Serial Number");
pub const REJECTED_FOR_QUALITY: Code = dcm("113001", "Rejected for Quality Reasons");
pub const REJECTED_FOR_PATIENT_SAFETY: Code = dcm("113037", "Rejected for Patient Safety Reasons");
pub const KEY_OBJECT_DESCRIPTION: Code = dcm("113012", "Key Object Description");
pub const PROCEDURE_REPORTED: Code = dcm("121058", "Procedure reported");
/// CID 100 has no code for CT of the chest; the finding sites give the anatomy.
pub const CT_UNSPECIFIED: Code = Code { value: "25045-6", scheme: "LN", meaning: "CT unspecified body region" };
/// CID 100 has no code for ultrasound examinations either; the image library gives the modality, the finding sites the
/// anatomy.
pub const IMAGING_PROCEDURE: Code = sct("363679005", "Imaging procedure");
/// CID 7020.
pub const DIAGNOSTIC_IMAGING_REPORT: Code =
    Code { value: "18748-4", scheme: "LN", meaning: "Diagnostic imaging report" };
pub const IMAGING_MEASUREMENTS: Code = dcm("126010", "Imaging Measurements");
pub const QUALITATIVE_EVALUATIONS: Code =
    Code { value: "C0034375", scheme: "UMLS", meaning: "Qualitative Evaluations" };

// Image library: TID 1600, 1602.
pub const IMAGE_LIBRARY: Code = dcm("111028", "Image Library");
pub const IMAGE_LIBRARY_GROUP: Code = dcm("126200", "Image Library Group");
pub const MODALITY: Code = dcm("121139", "Modality");
pub const CT: Code = dcm("CT", "Computed Tomography");
pub const US: Code = dcm("US", "Ultrasound");
pub const FRAME_OF_REFERENCE_UID: Code = dcm("112227", "Frame of Reference UID");

// Measurement groups: TID 1410, 1411, 1419, 1501, 4019.
pub const MEASUREMENT_GROUP: Code = dcm("125007", "Measurement Group");
pub const TRACKING_ID: Code = dcm("112039", "Tracking Identifier");
pub const TRACKING_UID: Code = dcm("112040", "Tracking Unique Identifier");
pub const FINDING: Code = dcm("121071", "Finding");
pub const FINDING_SITE: Code = sct("363698007", "Finding Site");
pub const LATERALITY: Code = sct("272741003", "Laterality");
pub const IMAGE_REGION: Code = dcm("111030", "Image Region");
pub const ORIGINAL_SOURCE: Code = dcm("111040", "Original Source");
pub const REFERENCED_SEGMENT: Code = dcm("121191", "Referenced Segment");
pub const SOURCE_SERIES_FOR_SEGMENTATION: Code = dcm("121232", "Source series for segmentation");
pub const ILLUSTRATION_OF_ROI: Code = dcm("121200", "Illustration of ROI");
pub const SOURCE_OF_MEASUREMENT: Code = dcm("121112", "Source of Measurement");
pub const ALGORITHM_NAME: Code = dcm("111001", "Algorithm Name");
pub const ALGORITHM_VERSION: Code = dcm("111003", "Algorithm Version");
pub const ALGORITHM_PARAMETERS: Code = dcm("111002", "Algorithm Parameters");
pub const DERIVATION: Code = dcm("121401", "Derivation");
pub const COMMENT: Code = dcm("121106", "Comment");
/// How a value came to be (CID 224), as a modifier (TID 1419).
pub const SELECTION_STATUS: Code = dcm("121404", "Selection Status");
pub const USER_CHOSEN: Code = dcm("121410", "User chosen value");
pub const PROCEDURE_DESCRIPTION: Code = dcm("121065", "Procedure Description");
pub const IMPRESSION: Code = dcm("121073", "Impression");
pub const RECOMMENDATION: Code = dcm("121075", "Recommendation");

// What is measured: CID 7469, 7470, 6048.
pub const VOLUME: Code = sct("118565006", "Volume");
pub const DIAMETER: Code = sct("81827009", "Diameter");
pub const LONG_AXIS: Code = sct("103339001", "Long Axis");
pub const SHORT_AXIS: Code = sct("103340004", "Short Axis");
pub const ATTENUATION: Code = dcm("112031", "Attenuation Coefficient");
pub const MEAN: Code = sct("373098007", "Mean");
pub const CERTAINTY_OF_FINDING: Code = dcm("111012", "Certainty of Finding");
/// No standard code exists for LAA-950 (percent of lung voxels below -950 HU; Gevenois 1996).
pub const LAA_950: Code = own("LAA950", "Emphysema index LAA-950 (lung voxels below -950 HU)");

// What was found, and where: CID 6102, 4, 244, 7150.
pub const NODULE: Code = sct("27925004", "Nodule");
pub const LUNG: Code = sct("39607008", "Lung");
pub const MASS: Code = sct("4147007", "Mass");
pub const BREAST: Code = sct("76752008", "Breast");
/// Of CID 6016.
pub const BREAST_MASS: Code = sct("129788004", "Mammographic breast mass");
pub const CALCIFICATION_CLUSTER: Code = sct("129769006", "Calcification Cluster");
pub const FOCAL_ASYMMETRY: Code = sct("129789007", "Focal asymmetric breast tissue");
pub const ARCHITECTURAL_DISTORTION: Code = sct("129792006", "Architectural distortion of breast");
/// Where in the breast: row 7 of TID 4206 and CID 6018, CID 6165.
pub const CLOCK_FACE: Code = dcm("111014", "Clockface or region");
pub const DISTANCE_FROM_NIPPLE: Code = dcm("121242", "Distance from nipple");
pub const RIGHT: Code = sct("24028007", "Right");
pub const LEFT: Code = sct("7771000", "Left");
pub const ABNORMAL_STRUCTURE: Code = sct("49755003", "Morphologically Abnormal Structure");
pub const ANATOMICAL_STRUCTURE: Code = sct("91723000", "Anatomical Structure");

/// DCM and SNOMED CT concepts of the nine findings.
pub const GROUND_GLASS: Code = dcm("112120", "Ground glass opacity");
pub const CONSOLIDATION: Code = sct("95436008", "Lung consolidation");
pub const PNEUMONIA: Code = sct("233604007", "Pneumonia");
pub const RIB_FRACTURE: Code = sct("33737001", "Fracture of rib");
pub const EMPHYSEMA: Code = sct("87433001", "Pulmonary emphysema");
pub const BRONCHIECTASIS: Code = sct("12295008", "Bronchiectasis");
pub const PLEURAL_EFFUSION: Code = sct("60046008", "Pleural effusion");
pub const PNEUMOTHORAX: Code = sct("36118008", "Pneumothorax");
pub const CORONARY_CALCIFICATION: Code = sct("445512009", "Calcification of coronary artery");
pub const LYMPHADENOPATHY: Code = sct("30746006", "Lymphadenopathy");
// Where: CID 4, 7151, 7600.
pub const UPPER_LOBE: Code = sct("45653009", "Upper lobe of lung");
pub const MIDDLE_LOBE: Code = sct("72481006", "Middle lobe of right lung");
pub const LOWER_LOBE: Code = sct("90572001", "Lower lobe of lung");
pub const RIB: Code = sct("113197003", "Rib");
pub const PLEURA: Code = sct("3120008", "Pleura");
pub const CORONARY_ARTERY: Code = sct("41801008", "Coronary artery");
pub const MEDIASTINAL_LYMPH_NODE: Code = sct("62683002", "Mediastinal lymph node");
pub const BOTH_SIDES: Code = sct("51440002", "Bilateral");
// Coronary calcium: CID 6142, 6140, 3716.
pub const CALCIUM_SCORE: Code = sct("450360000", "Coronary artery calcium score");
pub const MEASUREMENT_METHOD: Code = sct("370129005", "Measurement Method");
pub const AGATSTON: Code = dcm("112055", "Agatston scoring method");
pub const SEVERITY: Code = sct("246112005", "Severity");
pub const NONE: Code = sct("260413007", "None");
pub const MILD: Code = sct("255604002", "Mild");
pub const MODERATE: Code = sct("6736007", "Moderate");
pub const SEVERE: Code = sct("24484000", "Severe");
/// No standard codes were found for these.
pub const LAA_950_DENOISED: Code = own("LAA950NR", "LAA-950 after noise reduction, airways excluded");
pub const GROUND_GLASS_PERCENT: Code = own("GGOPCT", "Ground glass opacity, percent of volume");
pub const CONSOLIDATION_PERCENT: Code = own("CONSPCT", "Consolidation, percent of volume");
pub const PNEUMOTHORAX_PERCENT: Code = own("PTXPCT", "Pneumothorax, percent of hemithorax");
pub const RIB_NUMBER: Code = own("RIBNUMBER", "Rib number, counted from the head");
pub const NODULE_TYPE: Code = own("NODTYPE", "Nodule type");
pub const NODULE_SOLID: Code = own("NODSOLID", "Solid nodule");
pub const NODULE_PART_SOLID: Code = own("NODPART", "Part-solid nodule");
pub const NODULE_GROUND_GLASS: Code = own("NODGGN", "Ground glass nodule");
pub const NODULE_CALCIFIED: Code = own("NODCALC", "Calcified nodule");
/// The same of a mass, so that nothing in the report calls it a nodule.
pub const MASS_TYPE: Code = own("MASSTYPE", "Mass type");
pub const MASS_SOLID: Code = own("MASSSOLID", "Solid mass");
pub const MASS_PART_SOLID: Code = own("MASSPART", "Part-solid mass");
pub const MASS_GROUND_GLASS: Code = own("MASSGGN", "Ground glass mass");
pub const MASS_CALCIFIED: Code = own("MASSCALC", "Calcified mass");
pub const PART_VOLUME: Code = own("PARTVOL", "Volume of the part, opacities included");

// Image quality of a CT series: TID 1602, and our own where no standard code was found.
pub const SLICE_THICKNESS: Code = dcm("112225", "Slice Thickness");
pub const SLICE_SPACING: Code = dcm("112226", "Spacing between slices");
pub const CT_QUALITY: Code = own("CTQUALITY", "CT image quality");
pub const NOISE: Code = own("NOISE", "Global noise level in soft tissue");
pub const NOISE_FREQUENCY: Code = own("NOISEFREQ", "Mean frequency of the noise within the slice");
pub const KERNEL_CLASS: Code = own("KERNELCLASS", "Class of the reconstruction kernel, by noise texture");
pub const KERNEL_SMOOTH: Code = own("KERNELSMOOTH", "Smooth kernel");
pub const KERNEL_SHARP: Code = own("KERNELSHARP", "Sharp kernel");
pub const MISSING_SLICES: Code = own("SLICESMISSING", "Slices missing between neighbours");
pub const DOUBLED_SLICES: Code = own("SLICESDOUBLED", "Slices at a place where there is one already");
pub const UNEVEN_SLICES: Code = own("SLICESUNEVEN", "Uneven distances of slices");

// The standard views of a mammography. CID 4014 codes a projection, not one of the four images that are expected.
pub const MG: Code = dcm("MG", "Mammography");
pub const MAMMOGRAPHY_VIEWS: Code = own("MGVIEWS", "Standard views of a mammography");
pub const VIEWS_PRESENT: Code = own("MGVIEWSPRESENT", "Standard views that are there");
pub const VIEW_RIGHT_CC: Code = own("MGRCC", "Right cranio-caudal view");
pub const VIEW_LEFT_CC: Code = own("MGLCC", "Left cranio-caudal view");
pub const VIEW_RIGHT_MLO: Code = own("MGRMLO", "Right medio-lateral oblique view");
pub const VIEW_LEFT_MLO: Code = own("MGLMLO", "Left medio-lateral oblique view");

// The breast imaging report: TID 4200 to 4208, CID 6004, 6006, 6022, 6026, 6050, 6052, 6152, 6154, 6155.
pub const BREAST_IMAGING_REPORT: Code = dcm("111400", "Breast Imaging Report");
pub const NARRATIVE_SUMMARY: Code = dcm("111412", "Narrative Summary");
pub const SUPPLEMENTARY_DATA: Code = dcm("111414", "Supplementary Data");
pub const OVERALL_ASSESSMENT: Code = dcm("111413", "Overall Assessment");
pub const COMPARISON: Code = dcm("111424", "Comparison to previous exams");
pub const FINDINGS: Code = dcm("121070", "Findings");
pub const IMPRESSIONS: Code = Code { value: "19005-8", scheme: "LN", meaning: "Impressions" };
pub const ULTRASOUND_OF_BREAST: Code = sct("47079000", "Ultrasonography of breast");
pub const RIGHT_BREAST: Code = sct("73056007", "Right breast");
pub const LEFT_BREAST: Code = sct("80248007", "Left breast");
pub const BOTH_BREASTS: Code = sct("63762007", "Both breasts");
pub const BEST_ILLUSTRATION: Code = dcm("121080", "Best illustration of finding");
pub const ASSESSMENT_CATEGORY: Code = dcm("111005", "Assessment Category");
pub const ASSESSMENT_2: Code = sct("397141009", "2 - Benign");
pub const ASSESSMENT_3: Code = sct("397143007", "3 - Probably Benign");
pub const ASSESSMENT_4: Code = sct("397144001", "4 - Suspicious");
/// So that nobody's software takes a suggestion for an assessment.
pub const ASSESSED_BY: Code = own("ASSESSEDBY", "Origin of the assessment category");
pub const SUGGESTED_BY_SOFTWARE: Code = own("SUGGESTED", "Suggested by software, assessed by nobody");
pub const SHAPE: Code = sct("107644003", "Shape");
pub const ORIENTATION: Code = dcm("111354", "Orientation");
pub const MARGINS: Code = dcm("111037", "Margins");
pub const ECHO_PATTERN: Code = dcm("111360", "Echo pattern");
pub const POSTERIOR_FEATURES: Code = dcm("111366", "Posterior acoustic features");

pub const fn shape_code(shape: Shape) -> Code {
    match shape {
        Shape::Oval => sct("84360004", "Ovoid shape (Oval)"),
        Shape::Round => sct("42700002", "Round shape"),
        Shape::Irregular => sct("49608001", "Irregular"),
    }
}

pub const fn orientation_code(orientation: Orientation) -> Code {
    match orientation {
        Orientation::Parallel => dcm("111355", "Parallel"),
        Orientation::NotParallel => dcm("111356", "Not parallel"),
    }
}

/// CID 6006 has no code for a margin that is not circumscribed, without saying how it is.
pub const fn margin_code(margin: Margin) -> Option<Code> {
    match margin {
        Margin::Circumscribed => Some(sct("129738007", "Circumscribed lesion")),
        Margin::NotCircumscribed => None,
    }
}

/// "Complex" of CID 6154 is a mass with fluid and solid parts, which is less than heterogeneous: that has no code.
pub const fn echo_code(echo: Echo) -> Option<Code> {
    match echo {
        Echo::Anechoic => Some(dcm("111361", "Anechoic")),
        Echo::Hypoechoic => Some(dcm("111364", "Hypoechoic")),
        Echo::Heterogeneous => None,
    }
}

pub const fn posterior_code(posterior: Posterior) -> Code {
    match posterior {
        Posterior::Nothing => dcm("111367", "No posterior acoustic features"),
        Posterior::Enhancement => dcm("111368", "Posterior enhancement"),
        Posterior::Shadowing => dcm("111369", "Posterior shadowing"),
    }
}

// Of a mammography: TID 4201, 4206; CID 6050, 6054, 6059.
pub const DIGITAL_MAMMOGRAPHY: Code = dcm("111409", "Digital Mammography");
pub const FILM_MAMMOGRAPHY: Code = dcm("111408", "Film Screen Mammography");
pub const BREAST_COMPOSITION: Code = sct("129715009", "Breast composition");
pub const PERCENT_FIBROGLANDULAR: Code = dcm("111046", "Percent Fibroglandular Tissue");
pub const IMPLANT: Code = sct("40388003", "Implant");
pub const IMPLANT_TYPE: Code = dcm("111405", "Implant type");
pub const IMPLANT_NOT_SPECIFIED: Code = sct("2282003", "Breast implant, type not specified");
/// So that nobody's software takes it for the assessment of a physician.
pub const ORIGIN: Code = own("ORIGIN", "Origin of what is said");
pub const MEASURED_BY_SOFTWARE: Code = own("MEASURED", "Measured by software, not validated, assessed by nobody");
pub const MARKED_BY_SOFTWARE: Code = own("MARKED", "Marked by a network that learnt from phantoms only");
pub const MARKED_AND_EDITED: Code = own("MARKEDEDITED", "Marked by a network (phantoms only), edited by a person");
pub const SAID_BY_HEADER: Code = own("BYHEADER", "Said by the header of an image");
/// Of a standard view.
pub const IN_PARTS: Code = own("MGINPARTS", "There in parts only");

// Mammography CAD: TID 4000 to 4021, CID 4014, 6014, 6016, 6034 to 6036, 6042, 6043, 6047.
pub const MAMMOGRAPHY_CAD_REPORT: Code = dcm("111036", "Mammography CAD Report");
pub const IMAGE_LATERALITY: Code = dcm("111027", "Image Laterality");
pub const IMAGE_VIEW: Code = dcm("111031", "Image View");
pub const STUDY_DATE: Code = dcm("111060", "Study Date");
pub const CRANIO_CAUDAL: Code = sct("399162004", "cranio-caudal");
pub const MEDIO_LATERAL_OBLIQUE: Code = sct("399368009", "medio-lateral oblique");
pub const PROCESSING_SUMMARY: Code = dcm("111017", "CAD Processing and Findings Summary");
pub const ALL_WITHOUT_FINDINGS: Code = dcm("111241", "All algorithms succeeded; without findings");
pub const ALL_WITH_FINDINGS: Code = dcm("111242", "All algorithms succeeded; with findings");
pub const NOT_ALL_WITHOUT_FINDINGS: Code = dcm("111243", "Not all algorithms succeeded; without findings");
pub const NOT_ALL_WITH_FINDINGS: Code = dcm("111244", "Not all algorithms succeeded; with findings");
pub const NONE_SUCCEEDED: Code = dcm("111245", "No algorithms succeeded; without findings");
pub const INDIVIDUAL_IMPRESSION: Code = dcm("111034", "Individual Impression/Recommendation");
pub const IMPRESSION_DESCRIPTION: Code = dcm("111033", "Impression Description");
pub const RENDERING_INTENT: Code = dcm("111056", "Rendering Intent");
pub const PRESENTATION_REQUIRED: Code = dcm("111150", "Presentation Required: Rendering device is expected to present");
pub const PRESENTATION_OPTIONAL: Code = dcm("111151", "Presentation Optional: Rendering device may present");
pub const SINGLE_IMAGE_FINDING: Code = dcm("111059", "Single Image Finding");
pub const COMPOSITE_FEATURE: Code = dcm("111015", "Composite Feature");
pub const COMPOSITE_TYPE: Code = dcm("111016", "Composite Type");
pub const RELATED_SPATIALLY: Code = dcm("111154", "Target content items are related spatially");
pub const SCOPE_OF_FEATURE: Code = dcm("111057", "Scope of Feature");
pub const ON_MULTIPLE_IMAGES: Code = dcm("111158", "Feature detected on multiple images");
/// Of CID 6014: what is dense in one picture. Whether it is a mass or an asymmetry, that set does not tell.
pub const MAMMOGRAPHY_DENSITY: Code = sct("129793001", "Mammography breast density");
pub const CENTER: Code = dcm("111010", "Center");
pub const OUTLINE: Code = dcm("111041", "Outline");
pub const SUCCESSFUL_DETECTIONS: Code = dcm("111063", "Successful Detections");
pub const FAILED_DETECTIONS: Code = dcm("111025", "Failed Detections");
pub const DETECTION_PERFORMED: Code = dcm("111022", "Detection Performed");
pub const SUCCESSFUL_ANALYSES: Code = dcm("111062", "Successful Analyses");
pub const FAILED_ANALYSES: Code = dcm("111024", "Failed Analyses");
pub const ANALYSIS_PERFORMED: Code = dcm("111004", "Analysis Performed");
pub const SPATIAL_COLLOCATION: Code = sct("133884007", "Spatial collocation analysis");
pub const ASYMMETRY_ANALYSIS: Code = sct("133888005", "Focal asymmetric density analysis");

// How it went: CID 6042, and presence of a property (PS3.16 Annex D).
pub const SUMMARY_OF_DETECTIONS: Code = dcm("111064", "Summary of Detections");
pub const SUMMARY_OF_ANALYSES: Code = dcm("111065", "Summary of Analyses");
pub const SUCCEEDED: Code = dcm("111222", "Succeeded");
pub const PARTIALLY_SUCCEEDED: Code = dcm("111223", "Partially Succeeded");
pub const NOT_ATTEMPTED: Code = dcm("111225", "Not Attempted");
pub const PRESENT: Code = dcm("121053", "Present");
pub const ABSENT: Code = dcm("121054", "Absent");
pub const PRESENCE_UNDETERMINED: Code = dcm("121059", "Presence Undetermined");

// Objects: CID 7005, 7162, 7202, 7203.
pub const ACQUISITION_EQUIPMENT: Code = dcm("109101", "Acquisition Equipment");
pub const PROCESSING_EQUIPMENT: Code = dcm("109102", "Processing Equipment");
pub const ARTIFICIAL_INTELLIGENCE: Code = dcm("123110", "Artificial Intelligence");
pub const SOURCE_IMAGE_FOR_PROCESSING: Code = dcm("121322", "Source image for image processing operation");
pub const SEGMENTATION: Code = dcm("113076", "Segmentation");

// Units.
pub const MILLIMETRE: Code = ucum("mm", "millimeter");
pub const CUBIC_MILLIMETRE: Code = ucum("mm3", "cubic millimeter");
pub const MILLILITRE: Code = ucum("ml", "milliliter");
pub const HOUNSFIELD: Code = ucum("[hnsf'U]", "Hounsfield unit");
pub const NO_UNITS: Code = ucum("1", "no units");
pub const PER_MILLIMETRE: Code = ucum("/mm", "per millimeter");
pub const PERCENT: Code = ucum("%", "Percent");
