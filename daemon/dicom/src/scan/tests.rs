//! Tests of the scanner with valid, malformed and malicious bytes.

use std::io::Cursor;
use std::path::PathBuf;

use dicom_core::{Tag, VR};
use proptest::prelude::*;

use super::*;

const IMPLICIT: &str = "1.2.840.10008.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

/// Builds data sets byte by byte, so that the tests control every byte.
#[derive(Clone)]
struct Builder {
    explicit: bool,
    big: bool,
    bytes: Vec<u8>,
}

impl Builder {
    fn new(transfer_syntax: &str) -> Self {
        Self { explicit: transfer_syntax != IMPLICIT, big: transfer_syntax == BIG_ENDIAN, bytes: Vec::new() }
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    fn head(&mut self, group: u16, element: u16, vr: &str, length: u32) -> &mut Self {
        self.u16(group).u16(element);
        if !self.explicit {
            return self.u32(length);
        }
        self.bytes.extend(vr.as_bytes());
        if walk::is_long(vr.as_bytes().try_into().unwrap()) {
            self.u16(0).u32(length)
        } else {
            self.u16(u16::try_from(length).unwrap())
        }
    }

    fn value(&mut self, group: u16, element: u16, vr: &str, value: &[u8]) -> &mut Self {
        self.head(group, element, vr, u32::try_from(value.len()).unwrap());
        self.bytes.extend(value);
        self
    }

    fn short(&mut self, group: u16, element: u16, value: u16) -> &mut Self {
        self.head(group, element, "US", 2).u16(value)
    }

    fn item(&mut self, element: u16, length: u32) -> &mut Self {
        self.u16(0xFFFE).u16(element).u32(length)
    }

    fn identity(&mut self) -> &mut Self {
        self.value(0x0008, 0x0016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0")
            .value(0x0008, 0x0018, "UI", b"1.2.3.4\0")
            .value(0x0008, 0x0060, "CS", b"CT")
            .value(0x0010, 0x0020, "LO", b" id \0")
            .value(0x0020, 0x000D, "UI", b"1.2.3 ")
            .value(0x0020, 0x000E, "UI", b"1.2.3.1\0")
    }

    fn image(&mut self) -> &mut Self {
        self.value(0x0020, 0x0032, "DS", b"-1.5\\2\\3e1 ")
            .short(0x0028, 0x0002, 1)
            .short(0x0028, 0x0010, 4)
            .short(0x0028, 0x0011, 3)
            .short(0x0028, 0x0100, 16)
            .short(0x0028, 0x0103, 1)
            .short(0x0028, 0x0120, 0xF830)
    }

    fn part10(&self, transfer_syntax: &str) -> Vec<u8> {
        let mut meta = Self::new(EXPLICIT);
        meta.bytes.resize(128, 0);
        meta.bytes.extend(b"DICM");
        meta.value(0x0002, 0x0010, "UI", transfer_syntax.as_bytes());
        let mut file = meta.bytes;
        if transfer_syntax == DEFLATED {
            let mut encoder = flate2::write::DeflateEncoder::new(file, flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, &self.bytes).unwrap();
            return encoder.finish().unwrap();
        }
        file.extend(&self.bytes);
        file
    }

    fn scan(&self, transfer_syntax: &str) -> Result<Scan, ScanError> {
        scan(Cursor::new(self.part10(transfer_syntax)))
    }
}

fn slice(transfer_syntax: &str) -> Builder {
    let mut builder = Builder::new(transfer_syntax);
    builder.identity().image().value(0x7FE0, 0x0010, "OW", &[7; 24]);
    builder
}

#[test]
fn every_native_transfer_syntax_gives_the_same_facts() {
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED] {
        let builder = slice(syntax);
        let header = builder.scan(syntax).unwrap().header;
        assert_eq!(header.transfer_syntax_uid, syntax);
        assert_eq!(header.sop_instance_uid, "1.2.3.4");
        assert_eq!(header.study_instance_uid, "1.2.3");
        assert_eq!(header.patient_id, "id");
        assert_eq!(header.image_position, Some([-1.5, 2.0, 30.0]));
        assert_eq!((header.rows, header.columns, header.number_of_frames), (4, 3, 1));
        assert_eq!(header.pixel_padding_value, Some(-2000));
        let pixels = header.pixel_data.unwrap();
        assert!(!pixels.encapsulated);
        assert_eq!(pixels.length, 24);
        assert_eq!(header.pixel_shortfall(), None);
        if syntax != DEFLATED {
            let file = builder.part10(syntax);
            assert_eq!(pixels.offset + pixels.length, file.len() as u64);
        }
    }
}

#[test]
fn the_elements_results_copy_are_raw_bytes() {
    let mut builder = Builder::new(EXPLICIT);
    builder.value(0x0008, 0x0005, "CS", b"GB18030 ").identity().value(0x0010, 0x0010, "PN", b"Wang^\xB0\xA1 ");
    let scan = builder.scan(EXPLICIT).unwrap();
    let name = scan.elements.iter().find(|element| element.tag == Tag(0x0010, 0x0010)).unwrap();
    assert_eq!((name.vr, name.value.as_slice()), (VR::PN, b"Wang^\xB0\xA1 ".as_slice()));
    assert_eq!(scan.header.patient_name, "Wang^啊");
}

#[test]
fn code_extensions_are_shown_as_far_as_possible() {
    let name = |charset: &[u8], name: &[u8]| {
        let mut builder = Builder::new(EXPLICIT);
        builder.value(0x0008, 0x0005, "CS", charset).identity().value(0x0010, 0x0010, "PN", name);
        builder.scan(EXPLICIT).unwrap().header.patient_name
    };
    assert_eq!(name(b"\\ISO 2022 IR 149", b"Kim^\x1B$)C\xB1\xE8"), "Kim^김");
    assert_eq!(name(b"\\ISO 2022 IR 58", b"Wang^\x1B$)A\xCD\xF5"), "Wang^王");
    assert_eq!(name(b"\\ISO 2022 IR 87", b"Yamada^\x1B$B;3ED\x1B(B"), "Yamada^山田");
    assert_eq!(name(b"ISO_IR 100", b"Buc^J\xE9r\xF4me"), "Buc^Jérôme");
    assert_eq!(name(b"nonsense", b"A\xFF\0"), "Aÿ");
}

#[test]
fn encapsulated_pixels_are_walked_and_not_read() {
    let mut builder = Builder::new(EXPLICIT);
    builder.identity().image().head(0x7FE0, 0x0010, "OB", u32::MAX);
    builder.item(0xE000, 0).item(0xE000, 4).bytes.extend([1, 2, 3, 4]);
    builder.item(0xE0DD, 0).value(0xFFFC, 0xFFFC, "OB", &[0; 6]);
    let header = builder.scan("1.2.840.10008.1.2.4.70").unwrap().header;
    let pixels = header.pixel_data.unwrap();
    assert!(pixels.encapsulated);
    assert_eq!(pixels.length, 8 + 12 + 8);
    assert_eq!(header.pixel_shortfall(), None);
}

#[test]
fn sequences_of_every_kind_are_passed() {
    let undefined = u32::MAX;
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN] {
        let mut builder = Builder::new(syntax);
        // Undefined lengths, an empty item, an item of defined length, a private sequence, a stray delimiter.
        builder.head(0x0008, 0x1140, "SQ", undefined).item(0xE000, undefined);
        builder.value(0x0008, 0x1155, "UI", b"1.2").item(0xE00D, 0).item(0xE000, 0);
        let mut inner = Builder::new(syntax);
        inner.value(0x0010, 0x0010, "PN", b"not the patient ");
        builder.item(0xE000, u32::try_from(inner.bytes.len()).unwrap()).bytes.extend(inner.bytes);
        builder.item(0xE0DD, 0);
        builder.value(0x0009, 0x0010, "LO", b"SOMEONE ").head(0x0009, 0x1001, "SQ", undefined);
        builder.item(0xE000, undefined).item(0xE00D, 0).item(0xE0DD, 0).item(0xE00D, 0);
        builder.identity().value(0x0011, 0x1001, "UN", b"odd");
        let header = builder.scan(syntax).unwrap().header;
        assert_eq!((header.patient_name.as_str(), header.patient_id.as_str()), ("", "id"));
    }
}

#[test]
fn un_of_undefined_length_is_implicit_little_endian_inside() {
    let mut builder = Builder::new(EXPLICIT);
    builder.head(0x0009, 0x1001, "UN", u32::MAX);
    builder.explicit = false;
    builder.item(0xE000, u32::MAX).value(0x0008, 0x0060, "CS", b"XX").item(0xE00D, 0).item(0xE0DD, 0);
    builder.explicit = true;
    assert_eq!(builder.identity().scan(EXPLICIT).unwrap().header.modality, "CT");
}

#[test]
fn functional_groups_fill_what_the_root_does_not_say() {
    let mut builder = Builder::new(EXPLICIT);
    builder.identity();
    for (element, tilt) in [(0x9229, b"0.5\\0.5 "), (0x9230, b"9\\9     ")] {
        builder.head(0x5200, element, "SQ", u32::MAX).item(0xE000, u32::MAX);
        builder.head(0x0028, 0x9110, "SQ", u32::MAX).item(0xE000, u32::MAX).value(0x0028, 0x0030, "DS", tilt);
        builder.item(0xE00D, 0).item(0xE0DD, 0).item(0xE00D, 0).item(0xE0DD, 0);
    }
    assert_eq!(builder.scan(EXPLICIT).unwrap().header.pixel_spacing, Some([0.5, 0.5]));
}

#[test]
fn what_no_uid_may_hold_is_named_and_never_taken_for_one() {
    for uid in [&b"1.2\x003"[..], b"../../../x", b"<script>", b"1.2\n3", b"1.2 3", "1.２".as_bytes()] {
        let mut builder = Builder::new(EXPLICIT);
        builder.value(0x0008, 0x0018, "UI", b"1.2").value(0x0020, 0x000D, "UI", uid);
        let reason = builder.scan(EXPLICIT).unwrap_err().to_string();
        assert!(
            reason.starts_with("Study Instance UID (0020,000D) holds a character that no UID may hold"),
            "{reason}"
        );
    }
}

#[test]
fn a_missing_uid_is_named() {
    let mut builder = Builder::new(EXPLICIT);
    builder.value(0x0008, 0x0018, "UI", b"1.2").value(0x0020, 0x000D, "UI", b"\0 ");
    let reason = builder.scan(EXPLICIT).unwrap_err().to_string();
    assert_eq!(reason, "Study Instance UID (0020,000D) is missing or empty");
}

#[test]
fn a_length_beyond_the_end_is_named() {
    let mut builder = Builder::new(EXPLICIT);
    builder.identity().head(0x7FE0, 0x0010, "OW", 1000).bytes.extend([0; 10]);
    let reason = builder.scan(EXPLICIT).unwrap_err().to_string();
    assert_eq!(reason, "truncated: (7FE0,0010) has a length of 1000 bytes, but only 10 remain");
}

#[test]
fn an_item_cannot_reach_beyond_its_sequence() {
    let mut builder = Builder::new(EXPLICIT);
    builder.head(0x0008, 0x1140, "SQ", 8).item(0xE000, 400).identity();
    assert!(matches!(builder.scan(EXPLICIT), Err(ScanError::Truncated { needed: 400, remaining: 0, .. })));
}

#[test]
fn a_short_image_is_kept_and_said_to_be_short() {
    let mut builder = Builder::new(EXPLICIT);
    builder.identity().image().value(0x7FE0, 0x0010, "OW", &[7; 22]);
    let shortfall = builder.scan(EXPLICIT).unwrap().header.pixel_shortfall().unwrap();
    assert_eq!(shortfall.to_string(), "the image needs 24 bytes of pixel data, 22 are there");
}

#[test]
fn deep_nesting_is_refused_without_recursion() {
    for (levels, length) in
        [(MAX_DEPTH, None), (MAX_DEPTH + 1, Some(ScanError::TooDeep)), (180_000, Some(ScanError::TooDeep))]
    {
        let mut builder = Builder::new(EXPLICIT);
        builder.identity();
        for _ in 0..levels {
            builder.head(0x0008, 0x1140, "SQ", u32::MAX).item(0xE000, u32::MAX);
        }
        for _ in 0..levels {
            builder.item(0xE00D, 0).item(0xE0DD, 0);
        }
        assert_eq!(builder.scan(EXPLICIT).err().map(|e| e.to_string()), length.map(|e| e.to_string()), "{levels}");
    }
}

#[test]
fn deep_nesting_of_defined_lengths_is_refused_too() {
    let mut bytes = Vec::new();
    for _ in 0..=MAX_DEPTH {
        let mut outer = Builder::new(IMPLICIT);
        let length = u32::try_from(bytes.len()).unwrap();
        outer.head(0x0008, 0x1140, "SQ", length + 8).item(0xE000, length).bytes.extend(&bytes);
        bytes = outer.bytes;
    }
    let mut builder = Builder::new(IMPLICIT);
    builder.bytes = bytes;
    assert!(matches!(builder.scan(IMPLICIT), Err(ScanError::TooDeep)));
}

#[test]
fn a_deflate_bomb_is_stopped() {
    // Zeros deflate to a thousandth of their size. The element that holds them has their full length.
    let mut head = Builder::new(EXPLICIT);
    head.bytes.resize(128, 0);
    head.bytes.extend(b"DICM");
    head.value(0x0002, 0x0010, "UI", DEFLATED.as_bytes());
    let mut encoder = flate2::write::DeflateEncoder::new(head.bytes, flate2::Compression::fast());
    let mut data_set = Builder::new(EXPLICIT);
    data_set.identity().head(0x7FE0, 0x0010, "OB", u32::MAX - 1);
    std::io::Write::write_all(&mut encoder, &data_set.bytes).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..(MAX_INFLATED >> 20) + 1 {
        std::io::Write::write_all(&mut encoder, &zeros).unwrap();
    }
    assert!(matches!(scan(Cursor::new(encoder.finish().unwrap())), Err(ScanError::InflatesTooMuch)));
}

#[test]
fn corrupt_deflate_is_named() {
    let mut file = slice(DEFLATED).part10(DEFLATED);
    let length = file.len();
    file[length - 40..].fill(0xFF);
    assert!(scan(Cursor::new(file)).is_err());
}

/// Counts the bytes that are read.
struct Counting(Cursor<Vec<u8>>, u64);
impl Read for &mut Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1 += read as u64;
        Ok(read)
    }
}
impl Seek for &mut Counting {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn pixels_are_not_read() {
    let mut builder = Builder::new(EXPLICIT);
    builder.identity().image().value(0x7FE0, 0x0010, "OW", &vec![0; 8 << 20]);
    let mut file = Counting(Cursor::new(builder.part10(EXPLICIT)), 0);
    scan(&mut file).unwrap();
    assert!(file.1 < 128 * 1024, "{} bytes were read", file.1);
}

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("SCANSIDE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from)
        .join("data");
    folder.is_dir().then_some(folder)
}

fn files_below(folder: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

#[test]
fn every_file_of_the_corpus_is_read_or_refused_with_a_reason() {
    let Some(folder) = shared() else { return needs::skip(needs::Lack::SharedData, "../shared/data not present") };
    let mut read = 0;
    for path in files_below(folder) {
        match scan(std::fs::File::open(&path).unwrap()) {
            Ok(scan) => {
                read += 1;
                assert!(!scan.header.series_instance_uid.is_empty());
                let meta = meta(std::fs::File::open(&path).unwrap()).unwrap();
                assert_eq!(meta.transfer_syntax_uid, scan.header.transfer_syntax_uid);
            }
            Err(reason) => {
                println!("{}: {reason}", path.display());
                assert!(!matches!(reason, ScanError::Io(_)), "{}: {reason}", path.display());
            }
        }
    }
    assert!(read > 200, "only {read} files were read");
}

#[test]
fn the_reference_ct_slices_have_their_facts() {
    let Some(folder) = shared() else { return needs::skip(needs::Lack::SharedData, "../shared/data not present") };
    for path in files_below(folder.join("ct-chest-siemens-b40f")) {
        let header = scan(std::fs::File::open(&path).unwrap()).unwrap().header;
        assert_eq!((header.modality.as_str(), header.rows, header.columns), ("CT", 512, 512));
        assert_eq!(header.kernel, "B40f");
        assert!(header.image_position.is_some() && header.image_orientation.is_some());
        assert!(header.pixel_spacing.is_some() && header.rescale_intercept.is_some());
        assert_eq!(header.pixel_data.unwrap().length, 512 * 512 * 2);
    }
}

#[test]
fn what_the_values_of_a_ct_are_is_read_wherever_it_stands() {
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED] {
        let kev = if syntax == BIG_ENDIAN { 70.0f64.to_be_bytes() } else { 70.0f64.to_le_bytes() };
        let mut builder = Builder::new(syntax);
        builder.identity().head(0x0018, 0x9364, "SQ", u32::MAX).item(0xE000, u32::MAX);
        builder.value(0x0018, 0x937C, "FD", &kev).item(0xE00D, 0).item(0xE0DD, 0).image();
        builder.value(0x0018, 0x5100, "CS", b"HFP ").value(0x0028, 0x1054, "LO", b"MGML");
        builder.head(0x0028, 0x3000, "SQ", u32::MAX).item(0xE000, u32::MAX);
        builder.value(0x0028, 0x3004, "LO", b"HU").item(0xE00D, 0).item(0xE0DD, 0);
        let header = builder.value(0x7FE0, 0x0010, "OW", &[7; 24]).scan(syntax).unwrap().header;
        assert_eq!((header.rescale_type.as_str(), header.patient_position.as_str()), ("MGML", "HFP"), "{syntax}");
        assert!(header.has_modality_lut && header.monoenergetic_kev == Some(70.0), "{syntax}: {header:?}");

        let mut grouped = Builder::new(syntax);
        grouped.identity().image().head(0x5200, 0x9229, "SQ", u32::MAX).item(0xE000, u32::MAX);
        grouped.head(0x0028, 0x9145, "SQ", u32::MAX).item(0xE000, u32::MAX);
        grouped.value(0x0028, 0x1054, "LO", b"Z_EFF ").item(0xE00D, 0).item(0xE0DD, 0);
        grouped.item(0xE00D, 0).item(0xE0DD, 0);
        let header = grouped.value(0x7FE0, 0x0010, "OW", &[7; 24]).scan(syntax).unwrap().header;
        assert_eq!((header.rescale_type.as_str(), header.has_modality_lut), ("Z_EFF", false), "{syntax}");
    }
}

/// The View Code Sequence with its modifiers.
fn view_code(builder: &mut Builder, code: &[u8], modifiers: &[&[u8]]) {
    builder.head(0x0054, 0x0220, "SQ", u32::MAX).item(0xE000, u32::MAX);
    builder.value(0x0008, 0x0100, "SH", code).value(0x0008, 0x0102, "SH", b"SCT ");
    builder.head(0x0054, 0x0222, "SQ", u32::MAX);
    for modifier in modifiers {
        builder.item(0xE000, u32::MAX).value(0x0008, 0x0100, "SH", modifier).item(0xE00D, 0);
    }
    builder.item(0xE0DD, 0).item(0xE00D, 0).item(0xE0DD, 0);
}

#[test]
fn a_mammogram_says_which_view_it_is() {
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED] {
        let mut builder = Builder::new(syntax);
        builder.value(0x0018, 0x5101, "CS", b"MLO ").identity();
        builder.value(0x0020, 0x0060, "CS", b"R ").value(0x0020, 0x0062, "CS", b"L ").image();
        view_code(&mut builder, b"399368009 ", &[b"399163009 ", b"399055006 "]);
        builder.value(0x7FE0, 0x0010, "OW", &[7; 24]);
        let projection = builder.scan(syntax).unwrap().header.projection;
        assert_eq!((projection.laterality.as_str(), projection.position.as_str()), ("L", "MLO"), "{syntax}");
        assert_eq!(projection.code, "399368009", "{syntax}");
        assert_eq!(projection.modifiers, ["399163009", "399055006"], "{syntax}");
    }
}

#[test]
fn a_part_of_a_view_says_that_it_is_one_and_which() {
    let said = |value: &[u8], codes: &[&[u8]], syntax| {
        let mut builder = Builder::new(syntax);
        builder.identity().image();
        if !value.is_empty() {
            builder.value(0x0028, 0x1350, "CS", value);
        }
        builder.head(0x0028, 0x1352, "SQ", u32::MAX);
        for code in codes {
            builder.item(0xE000, u32::MAX).value(0x0008, 0x0100, "SH", code).item(0xE00D, 0);
        }
        builder.item(0xE0DD, 0);
        let projection = builder.value(0x7FE0, 0x0010, "OW", &[7; 24]).scan(syntax).unwrap().header.projection;
        (projection.partial, projection.sections)
    };
    let codes: [&[u8]; 2] = [b"49370004", b"255551008 "];
    let both = vec!["49370004".to_owned(), "255551008".to_owned()];
    for syntax in [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED] {
        assert_eq!(said(b"YES ", &codes, syntax), (true, both.clone()), "{syntax}");
        assert_eq!(said(b"", &codes[..1], syntax), (true, both[..1].to_vec()), "{syntax}: the section is said");
        assert_eq!(said(b"NO", &codes, syntax), (false, Vec::new()), "{syntax}");
        assert_eq!(said(b"", &[], syntax), (false, Vec::new()), "{syntax}");
    }
}

#[test]
fn the_laterality_of_the_series_stands_in_and_a_ct_has_no_projection() {
    let mut builder = Builder::new(EXPLICIT);
    builder.identity().value(0x0020, 0x0060, "CS", b"R ").image().value(0x7FE0, 0x0010, "OW", &[7; 24]);
    assert_eq!(builder.scan(EXPLICIT).unwrap().header.projection.laterality, "R");
    assert!(slice(EXPLICIT).scan(EXPLICIT).unwrap().header.projection.is_unknown());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..4096),
        syntax in prop::sample::select(vec![IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED]),
    ) {
        let mut builder = Builder::new(syntax);
        builder.bytes = bytes.clone();
        let _ = builder.scan(syntax);
        let _ = scan(Cursor::new(bytes));
    }

    #[test]
    fn mutated_files_never_panic_and_keep_little(
        syntax in prop::sample::select(vec![IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut builder = Builder::new(syntax);
        builder.head(0x0008, 0x1140, "SQ", u32::MAX).item(0xE000, u32::MAX);
        builder.value(0x0008, 0x1155, "UI", b"1.2").item(0xE00D, 0).item(0xE0DD, 0);
        builder.identity().image().value(0x7FE0, 0x0010, "OW", &[7; 24]);
        let mut file = builder.part10(syntax);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = scan(Cursor::new(file.clone()));
        file.truncate(cut.index(file.len()));
        if let Ok(scan) = scan(Cursor::new(file)) {
            let kept: usize = scan.elements.iter().map(|element| element.value.len()).sum();
            prop_assert!(kept < 4096);
        }
    }
}

/// All texts of a JSON value.
fn texts(json: &serde_json::Value) -> Vec<&str> {
    match json {
        serde_json::Value::String(text) => vec![text],
        serde_json::Value::Array(all) => all.iter().flat_map(texts).collect(),
        serde_json::Value::Object(all) => all.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Text elements of a header with their VRs; UIDs among them.
const TEXTS: [(u16, u16, &str); 21] = [
    (0x0008, 0x0008, "CS"),
    (0x0008, 0x0018, "UI"),
    (0x0008, 0x0020, "DA"),
    (0x0008, 0x0050, "SH"),
    (0x0008, 0x0060, "CS"),
    (0x0008, 0x0070, "LO"),
    (0x0008, 0x1030, "LO"),
    (0x0008, 0x103E, "LO"),
    (0x0008, 0x1090, "LO"),
    (0x0010, 0x0010, "PN"),
    (0x0010, 0x0020, "LO"),
    (0x0018, 0x0015, "CS"),
    (0x0018, 0x1210, "SH"),
    (0x0018, 0x5101, "CS"),
    (0x0020, 0x000D, "UI"),
    (0x0020, 0x000E, "UI"),
    (0x0020, 0x0013, "IS"),
    (0x0020, 0x0052, "UI"),
    (0x0020, 0x0060, "CS"),
    (0x0020, 0x0062, "CS"),
    (0x0028, 0x0004, "CS"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The header goes to the database, the bus, pages, documents, the log and terminals: none of them can be steered or
    /// broken (a NUL breaks D-Bus) by what a file says, in whatever character set.
    #[test]
    fn no_text_of_any_file_steers_or_breaks_what_shows_it(
        charset in prop::sample::select(vec!["", "ISO_IR 100", "ISO_IR 192", "GB18030", "\\ISO 2022 IR 149", "ISO_IR 13", "ISO_IR 166", "nonsense"]),
        values in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                any::<String>().prop_map(String::into_bytes),
                "[0-9.\\x00-\\x1f\\x7f-\\u{9f}\\u{202e}\\u{feff}\\[;]{0,20}".prop_map(String::into_bytes),
                "[0-9.]{1,10}".prop_map(String::into_bytes),
            ],
            TEXTS.len(),
        ),
    ) {
        let mut builder = Builder::new(EXPLICIT);
        builder.value(0x0008, 0x0005, "CS", charset.as_bytes());
        for ((group, element, vr), value) in TEXTS.iter().zip(&values) {
            builder.value(*group, *element, vr, &value[..value.len() & !1]);
        }
        if let Ok(scan) = builder.scan(EXPLICIT) {
            let json = serde_json::to_value(&scan.header).unwrap();
            for text in texts(&json) {
                prop_assert!(!text.chars().any(crate::text::steers), "{text:?}");
            }
            for uid in [&scan.header.study_instance_uid, &scan.header.series_instance_uid, &scan.header.sop_instance_uid] {
                prop_assert!(crate::uid::is_uid(uid) && uid.len() <= 128, "{uid:?}");
            }
        }
    }
}
