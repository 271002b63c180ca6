//! Where mutation and fuzzing begin, for what is not an image.

use models::specimen::Specimen;

use crate::others::folder;
use crate::seeds::{EXPLICIT, IMPLICIT, JPEGS, item, native};
use crate::targets::element;

/// The first byte says which size was agreed on.
pub fn camera_pictures() -> Vec<Vec<u8>> {
    JPEGS.iter().enumerate().map(|(n, jpeg)| [&[u8::from(n == 3)], *jpeg].concat()).collect()
}

pub fn videos() -> Vec<Vec<u8>> {
    ["mono", "420jpeg", "420mpeg2 XCOLORRANGE=FULL"].map(video).to_vec()
}

pub fn conversations() -> Vec<Vec<u8>> {
    vec![conversation(&[store()]), conversation(&[echo(), store(), echo()]), conversation(&asked())]
}

pub fn requests() -> Vec<Vec<u8>> {
    vec![request(), request()[..74].to_vec()]
}

pub fn commands() -> Vec<Vec<u8>> {
    [vec![echo().0, store().0, report()], asked().map(|message| message.0).to_vec()].concat()
}

pub fn worklists() -> Vec<Vec<u8>> {
    vec![
        b"patient_id,patient_name,birth_date,accession_number,study_uid,date,time,modality,description\n\
          P1,DOE^JANE,1970-01-31,A-1,,2026-01-31,0930,US,\"breast, both\"\nP2,ROE,,,1.2.3,,,,\n"
            .to_vec(),
        "\u{feff}Patient_Name;patient_id\n\"\u{738b}^\u{5c0f}\u{4e1c}\";7\n".as_bytes().to_vec(),
        item(),
    ]
}

pub fn configurations() -> Vec<Vec<u8>> {
    vec![
        config::to_toml(&config::Settings::default()).unwrap().into_bytes(),
        b"[dicom]\nlisten = \"[::]:11112\"\nae_titles = [\"A\", \"B\"]\n[[dicom.sender]]\nae_title = \"CT1\"\n\n\
          [destination.pacs]\naddress = \"10.0.0.7:104\"\nae_title = \"PACS\"\nretry_secs = 0.2\n"
            .to_vec(),
    ]
}

fn video(chroma: &str) -> Vec<u8> {
    let bytes = if chroma == "mono" { 16 * 8 } else { 16 * 8 * 3 / 2 };
    let picture: Vec<u8> = (0..bytes).map(|n| u8::try_from(n % 240).unwrap()).collect();
    let mut out = format!("YUV4MPEG2 W16 H8 F30000:1001 Ip A1:1 C{chroma}\n").into_bytes();
    for _ in 0..2 {
        out.extend(b"FRAME\n");
        out.extend(&picture);
    }
    out
}

/// A command set, and the data set that follows it.
type Message = (Vec<u8>, Vec<u8>);

fn command(elements: &[(u16, &[u8])]) -> Vec<u8> {
    elements
        .iter()
        .flat_map(|(number, value)| {
            let length = u32::try_from(value.len()).unwrap().to_le_bytes();
            [&[0, 0][..], &number.to_le_bytes(), &length, value].concat()
        })
        .collect()
}

fn echo() -> Message {
    let set = command(&[(2, b"1.2.840.10008.1.1\0"), (0x100, &[0x30, 0]), (0x110, &[1, 0]), (0x800, &[1, 1])]);
    (set, Vec::new())
}

fn store() -> Message {
    let class = b"1.2.840.10008.5.1.4.1.1.7\0";
    let set = [(2, &class[..]), (0x100, &[1, 0]), (0x110, &[2, 0]), (0x700, &[0, 0]), (0x800, &[0, 0])];
    let mut set = set.to_vec();
    set.push((0x1000, b"2.25.7"));
    (command(&set), native(1, 8))
}

/// The data set of a report of storage commitment.
fn report() -> Vec<u8> {
    let mut referenced = Vec::new();
    element(&mut referenced, (8, 0x1150), b"UI", b"1.2.840.10008.5.1.4.1.1.7");
    element(&mut referenced, (8, 0x1155), b"UI", b"2.25.7");
    let item =
        [&[0xfe, 0xff, 0, 0xe0][..], &u32::try_from(referenced.len()).unwrap().to_le_bytes(), &referenced].concat();
    let mut out = Vec::new();
    element(&mut out, (8, 0x1195), b"UI", b"2.25.99");
    element(&mut out, (8, 0x1199), b"SQ", &item);
    out
}

/// A request for storage commitment, and a procedure step that begins and ends.
fn asked() -> [Message; 3] {
    let commitment = command(&[
        (3, b"1.2.840.10008.1.20.1\0\0"),
        (0x100, &[0x30, 1]),
        (0x110, &[3, 0]),
        (0x800, &[0, 0]),
        (0x1001, b"1.2.840.10008.1.20.1.1"),
        (0x1008, &[1, 0]),
    ]);
    let mpps = b"1.2.840.10008.3.1.2.3.3\0";
    let begin = command(&[(2, mpps), (0x100, &[0x40, 1]), (0x110, &[4, 0]), (0x800, &[0, 0]), (0x1000, b"2.25.50\0")]);
    let end = command(&[(3, mpps), (0x100, &[0x20, 1]), (0x110, &[5, 0]), (0x800, &[0, 0]), (0x1001, b"2.25.50\0")]);
    let step = |state: &str| {
        let mut image = Vec::new();
        element(&mut image, (8, 0x1155), b"UI", b"2.25.7");
        let item = |content: &[u8]| {
            [&[0xfe, 0xff, 0, 0xe0][..], &u32::try_from(content.len()).unwrap().to_le_bytes(), content].concat()
        };
        let mut series = Vec::new();
        element(&mut series, (8, 0x1140), b"SQ", &item(&image));
        element(&mut series, (0x20, 0x0e), b"UI", b"2.25.7.2");
        let mut out = Vec::new();
        element(&mut out, (0x40, 0x252), b"CS", state.as_bytes());
        element(&mut out, (0x40, 0x340), b"SQ", &item(&series));
        out
    };
    [(commitment, report()), (begin, step("IN PROGRESS")), (end, step("COMPLETED"))]
}

/// The body of an A-ASSOCIATE-RQ for all classes that are used here.
fn request() -> Vec<u8> {
    let item =
        |kind: u8, value: &[u8]| [&[kind, 0][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat();
    let mut body = vec![0, 1, 0, 0];
    body.extend(b"SCANSIDE        CT1             ");
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    let classes: [&[u8]; 4] =
        [b"1.2.840.10008.1.1", b"1.2.840.10008.5.1.4.1.1.7", b"1.2.840.10008.1.20.1", b"1.2.840.10008.3.1.2.3.3"];
    for (id, class) in [1, 3, 5, 7].into_iter().zip(classes) {
        let syntaxes = [item(0x40, EXPLICIT.as_bytes()), item(0x40, IMPLICIT.as_bytes())].concat();
        body.extend(item(0x20, &[vec![id, 0, 0, 0], item(0x30, class), syntaxes].concat()));
    }
    let role = [&[0, 20][..], b"1.2.840.10008.1.20.1", &[1, 0]].concat();
    let user = [item(0x51, &16_384u32.to_be_bytes()), item(0x52, b"2.25.1"), item(0x54, &role), item(0x55, b"MUTATED")];
    body.extend(item(0x50, &user.concat()));
    body
}

/// An association from its request to its release.
fn conversation(messages: &[Message]) -> Vec<u8> {
    let pdu =
        |kind: u8, body: &[u8]| [&[kind, 0][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat();
    let pdv = |context: u8, control: u8, bytes: &[u8]| {
        let length = u32::try_from(bytes.len() + 2).unwrap().to_be_bytes();
        pdu(4, &[&length[..], &[context, control], bytes].concat())
    };
    let mut out = pdu(1, &request());
    for (set, data) in messages {
        let holds = |uid: &[u8]| set.windows(uid.len()).any(|window| window == uid);
        let context = match set {
            _ if holds(b"1.2.840.10008.1.1\0") => 1,
            _ if holds(b"1.2.840.10008.5.1.4.1.1.7") => 3,
            _ if holds(b"1.2.840.10008.1.20.1") => 5,
            _ => 7,
        };
        out.extend(pdv(context, 3, set));
        if let Some((first, last)) = (!data.is_empty()).then(|| data.split_at(data.len() / 2)) {
            out.extend([pdv(context, 0, first), pdv(context, 2, last)].concat());
        }
    }
    out.extend(pdu(5, &[0; 4]));
    out
}

/// Requests of the page: its files, commands, a login, and a WebSocket with acknowledged pictures.
pub fn pages() -> Vec<Vec<u8>> {
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n").into_bytes();
    let post = |path: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    // A frame of a client is masked (RFC 6455 section 5.3); the mask is zeros.
    let frame = |opcode: u8, payload: &[u8]| {
        [&[0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0][..], payload].concat()
    };
    let upgrade = "Origin: http://localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    vec![
        get("/", ""),
        get("/assets/page.js", "Cookie: scanside=00112233\r\nAccept: */*\r\n"),
        get("/worklist", ""),
        post("/login", r#"{"token":"0123456789abcdef"}"#),
        post("/exam/start", r#"{"id":"P1","name":"DOE^JANE","birth_date":"19700131","accession_number":"A-1"}"#),
        [post("/freeze", r#"{"on":true}"#), post("/mark", "{}"), post("/exam/stop", "")].concat(),
        [
            get("/live", upgrade),
            frame(1, br#"{"seen":1}"#),
            frame(9, b"ping"),
            frame(1, br#"{"seen":18446744073709551615}"#),
            frame(8, &[3, 0xe8]),
        ]
        .concat(),
    ]
}

/// A signed package, its tar, its manifest.
pub fn packages() -> Vec<Vec<u8>> {
    let folder = folder();
    let path = folder.path().join("specimen.scanside");
    Specimen::default().archive(&path).unwrap();
    let archive = std::fs::read(&path).unwrap();
    let tar = zstd::decode_all(&archive[..]).unwrap();
    Specimen::default().write(&folder.path().join("unpacked")).unwrap();
    let manifest = std::fs::read(folder.path().join("unpacked/model.toml")).unwrap();
    [(0, archive), (1, tar), (2, manifest)].map(|(kind, bytes)| [&[kind], &bytes[..]].concat()).to_vec()
}
