//! What else reads bytes of others: the node, the page, the live path, packages, configuration.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hal::capture::frame::{Frame, Shape};
use hal::capture::replay::{Recording, Y4m};
use hal::capture::{Colour, PixelFormat, convert};
use live::cine::Cine;
use live::worklist::Worklist;
use models::archive::{self, Limits};
use models::manifest::Manifest;
use models::signature::Trust;

use crate::targets::{Target, decoder, target};
use crate::{association, messages, page, seeds};

pub const ALL: &[Target] = &[
    target("mjpeg", mjpeg, messages::camera_pictures),
    target("y4m", y4m, messages::videos),
    decoder("clip", clip, seeds::any_files),
    target("pdu", association::talk, messages::conversations),
    target("negotiation", node::doors::negotiation, messages::requests),
    target("command", command, messages::commands),
    target("page", page::ask, messages::pages),
    target("worklist", worklist, messages::worklists),
    target("package", package, messages::packages),
    target("config", config, messages::configurations),
];

/// A picture of a camera. The first byte says which size was agreed on.
fn mjpeg(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let (width, height) = if size & 1 == 0 { (24, 20) } else { (33, 17) };
    let shape = Shape::tight(PixelFormat::Mjpeg, width, height, Colour::default());
    let frame = Frame::new(shape, 0, Duration::ZERO, Arc::new(bytes.to_vec()));
    let _ = convert::rgb(&frame, &mut Vec::new());
    let _ = convert::grey(&frame, &mut Vec::new());
}

/// A few pictures of a recording, each as the live path takes it.
fn play(recording: &mut impl Recording) {
    let mut buffer = Vec::new();
    for sequence in 0..3 {
        let Ok(Some(due)) = recording.read(&mut buffer) else { break };
        let frame = Frame::new(recording.shape().clone(), sequence, due, Arc::new(std::mem::take(&mut buffer)));
        let _ = convert::rgb(&frame, &mut Vec::new());
        let _ = convert::grey(&frame, &mut Vec::new());
    }
    let _ = recording.rewind();
}

fn y4m(bytes: &[u8]) {
    if let Ok(mut recording) = Y4m::new("mutated", Cursor::new(bytes)) {
        play(&mut recording);
    }
}

fn clip(bytes: &[u8]) {
    if let Ok(mut recording) = Cine::read("mutated".into(), bytes) {
        play(&mut recording);
    }
}

/// The command sets and the small data sets of DIMSE.
fn command(bytes: &[u8]) {
    node::doors::command(bytes);
    node::doors::report(bytes);
}

/// A worklist as a table, and as a folder with this one item.
fn worklist(bytes: &[u8]) {
    let folder = folder();
    let (table, items) = (folder.path().join("worklist.csv"), folder.path().join("items"));
    std::fs::create_dir(&items).unwrap();
    std::fs::write(&table, bytes).unwrap();
    std::fs::write(items.join("item.wl"), bytes).unwrap();
    for path in [table, items] {
        let _ = association::runtime().block_on(Worklist::at(Some(path)).read());
    }
}

const SMALL: Limits = Limits { member_bytes: 1 << 20, total_bytes: 2 << 20, members: 8 };

/// The first byte says what the others are: a package, its tar without compression, or its manifest.
fn package(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let archive = match kind % 3 {
        0 => bytes.to_vec(),
        1 => zstd::encode_all(bytes, 1).unwrap(),
        _ => {
            let _ = std::str::from_utf8(bytes).map(Manifest::parse);
            return;
        }
    };
    let folder = folder();
    if archive::unpack(&archive[..], folder.path(), &Trust::load(&[]).0, SMALL).is_ok() {
        models::Package::open(folder.path()).unwrap();
    }
}

/// A configuration file; what is accepted says the same after it was written out and read again. Added to a file by a
/// command, too: then it is whole or unchanged.
fn config(bytes: &[u8]) {
    let folder = folder();
    let (file, other) = (folder.path().join("10.toml"), folder.path().join("20.toml"));
    std::fs::write(&file, bytes).unwrap();
    if let Ok(settings) = config::load(&[file]) {
        let text = config::to_toml(&settings).unwrap();
        std::fs::write(&other, &text).unwrap();
        let again = config::load(std::slice::from_ref(&other)).unwrap();
        assert_eq!(config::to_toml(&again).unwrap(), text);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let before = "[device]\nstation_name = \"BENCH\"\n";
        std::fs::write(&other, before).unwrap();
        let added = config::edit::append(std::slice::from_ref(&other), &other, "add", text);
        let after = std::fs::read_to_string(&other).unwrap();
        assert!(if added.is_ok() { after.ends_with(text) } else { after == before }, "{after}");
    }
}

/// In memory where that is possible: a disk would be most of the time.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(Path::new("/").join("dev").join("shm")).or_else(|_| tempfile::tempdir()).unwrap()
}
