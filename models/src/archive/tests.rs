//! Every way to tamper with a package, each refused with its own reason.

use super::*;
use crate::package::Package;
use crate::signature::testing::Maker;

const SMALL: Limits = Limits { member_bytes: 1 << 20, total_bytes: 2 << 20, members: 8 };

/// Name, type and bytes of each member, to be tampered with.
type Members = Vec<(String, tar::EntryType, Vec<u8>)>;

fn members(maker: &Maker) -> Members {
    let directory = package::tests::good();
    let package = Package::open(directory.path()).unwrap();
    let manifest = std::fs::read(directory.path().join(MANIFEST)).unwrap();
    let signature = maker.sign(&manifest).into_bytes();
    let mut members = vec![(MANIFEST.to_owned(), manifest), (SIGNATURE.to_owned(), signature)];
    members.extend(package.manifest.files.keys().map(|name| (name.clone(), package.read(name).unwrap())));
    members.into_iter().map(|(name, bytes)| (name, tar::EntryType::Regular, bytes)).collect()
}

/// A tar that a careful library would not write.
fn tar_of(members: &Members) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        // A regular file is what a header is without a type.
        if *kind != tar::EntryType::Regular {
            header.set_entry_type(*kind);
        }
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        tar.append(&header, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// In memory where that is possible: thousands of files that wait for the disk would take minutes.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(Path::new("/dev").join("shm")).or_else(|_| tempfile::tempdir()).unwrap()
}

fn unpacked(archive: &[u8], trust: &Trust) -> Result<Signer, Error> {
    let into = folder();
    let (_, signer) = unpack(archive, into.path(), trust, SMALL)?;
    Package::open(into.path()).unwrap();
    Ok(signer)
}

#[test]
fn what_is_packed_is_unpacked_and_packing_twice_gives_the_same_bytes() {
    let (maker, directory, out) = (Maker::new(), package::tests::good(), tempfile::tempdir().unwrap());
    let package = Package::open(directory.path()).unwrap();
    let signature = maker.sign(&std::fs::read(directory.path().join(MANIFEST)).unwrap());
    let archives = ["a", "b"].map(|name| {
        let path = out.path().join(name);
        pack(&package, &signature, &path).unwrap();
        std::fs::read(path).unwrap()
    });
    assert_eq!(archives[0], archives[1]);
    assert_eq!(unpacked(&archives[0], &maker.trust()).unwrap(), Signer::Key("maker".into()));
}

#[test]
fn every_kind_of_tampering_is_refused_with_its_own_reason() {
    use tar::EntryType as Type;
    let (maker, stranger) = (Maker::new(), Maker::new());
    let resigned = |m: &mut Members, from: &str, to: &str| {
        m[0].2 = String::from_utf8(m[0].2.clone()).unwrap().replacen(from, to, 1).into_bytes();
        m[1].2 = maker.sign(&m[0].2).into_bytes();
    };
    let file = |name: &str, size: usize| (name.to_owned(), Type::Regular, vec![1; size]);
    type Tamper<'a> = (ArchiveFault, &'a str, Box<dyn Fn(&mut Members) + 'a>);
    let table: Vec<Tamper<'_>> = vec![
        (ArchiveFault::SignatureWrong, "a claim changed in the manifest", Box::new(|m| m[0].2[10] ^= 1)),
        (ArchiveFault::UnknownKey, "signed by a stranger", Box::new(|m| m[1].2 = stranger.sign(&m[0].2).into_bytes())),
        (ArchiveFault::SignatureMalformed, "a signature of noise", Box::new(|m| m[1].2 = b"noise".to_vec())),
        (ArchiveFault::Unsigned, "the signature left out", Box::new(|m| drop(m.remove(1)))),
        (ArchiveFault::Order, "the network comes first", Box::new(|m| m.rotate_right(1))),
        (ArchiveFault::Hash, "one bit of the network flipped", Box::new(|m| m.last_mut().unwrap().2[0] ^= 1)),
        (ArchiveFault::Missing, "the network left out", Box::new(|m| drop(m.pop()))),
        (ArchiveFault::Unlisted, "a file added", Box::new(|m| m.push(file("more.onnx", 1)))),
        (ArchiveFault::Duplicate, "a file twice", Box::new(|m| m.push(m.last().unwrap().clone()))),
        (ArchiveFault::UnsafePath, "a path that leads out", Box::new(|m| m.push(file("../../etc/cron.d/x", 1)))),
        (ArchiveFault::UnsafePath, "an absolute path", Box::new(|m| m.push(file("/etc/passwd", 1)))),
        (
            ArchiveFault::NotRegular,
            "a symbolic link",
            Box::new(|m| m.push(("nodules2.onnx".into(), Type::Symlink, vec![]))),
        ),
        (ArchiveFault::NotRegular, "a device", Box::new(|m| m.push(("disk".into(), Type::Block, vec![])))),
        (ArchiveFault::NotRegular, "a hard link", Box::new(|m| m.last_mut().unwrap().1 = Type::Link)),
        (ArchiveFault::MemberTooLarge, "a file too large", Box::new(|m| m.push(file("a.onnx", (1 << 20) + 1)))),
        (
            ArchiveFault::TotalTooLarge,
            "too much together",
            Box::new(|m| {
                for member in &mut m[2..4] {
                    member.2 = vec![0; 1 << 20];
                }
                // Listed, and of the right hash: the size alone is to blame.
                let hash = hex::encode(Sha256::digest(&m[2].2));
                let text = String::from_utf8(m[0].2.clone()).unwrap();
                let head = text.split("[files]").next().unwrap();
                let names = m[2..4].iter().map(|member| format!("{:?} = \"{hash}\"\n", member.0)).collect::<String>();
                m[0].2 = format!("{head}[files]\n{names}").into_bytes();
                m[1].2 = maker.sign(&m[0].2).into_bytes();
            }),
        ),
        (
            ArchiveFault::TooManyMembers,
            "too many files",
            Box::new(|m| {
                let names: Vec<String> = (0..8).map(|n| format!("f{n}")).collect();
                let hash = hex::encode(Sha256::digest([1]));
                let lines = names.iter().map(|name| format!("{name:?} = \"{hash}\"\n")).collect::<String>();
                resigned(m, "[files]\n", &format!("[files]\n{lines}"));
                m.extend(names.iter().map(|name| file(name, 1)));
            }),
        ),
        (ArchiveFault::ManifestSyntax, "an unknown key", Box::new(|m| resigned(m, "overlap", "overlaps"))),
        (ArchiveFault::ManifestValue, "a threshold of 2", Box::new(|m| resigned(m, "mask = 0.4", "mask = 2.0"))),
    ];
    let mut reasons = BTreeSet::new();
    for (kind, what, tamper) in &table {
        let mut tampered = members(&maker);
        tamper(&mut tampered);
        let error = unpacked(&compressed(&tar_of(&tampered)), &maker.trust()).expect_err(what);
        assert_eq!(error.kind(), *kind, "{what}: {error}");
        println!("{what}: {error}");
        reasons.insert(error.to_string());
    }
    assert_eq!(reasons.len(), table.len(), "each has its own reason: {reasons:#?}");
}

#[test]
fn what_is_wrong_with_the_file_itself_is_refused() {
    let maker = Maker::new();
    let good = tar_of(&members(&maker));
    let kind = |bytes: &[u8]| {
        let error = unpacked(bytes, &maker.trust()).expect_err("tampered");
        println!("{error}");
        error.kind()
    };
    assert!(unpacked(&compressed(&good), &maker.trust()).is_ok(), "untampered");
    assert_eq!(kind(b"not an archive"), ArchiveFault::NotAnArchive);
    assert_eq!(kind(b""), ArchiveFault::NotAnArchive);
    let whole = compressed(&good);
    assert_eq!(kind(&whole[..whole.len() / 2]), ArchiveFault::NotAnArchive, "cut off");
    assert_eq!(kind(&[whole.clone(), b"more".to_vec()].concat()), ArchiveFault::TrailingData, "after the frame");
    assert_eq!(kind(&[whole.clone(), whole].concat()), ArchiveFault::TrailingData, "a second archive");
    assert_eq!(
        kind(&compressed(&[good.clone(), b"more".to_vec()].concat())),
        ArchiveFault::TrailingData,
        "after the tar"
    );
}

#[test]
fn nobody_is_trusted_without_a_key() {
    let maker = Maker::new();
    let error = unpacked(&compressed(&tar_of(&members(&maker))), &Trust::default()).unwrap_err();
    assert_eq!(error.kind(), ArchiveFault::UnknownKey);
}

/// Where the untrusted comment lies in the text of a signature, without its fixed beginning: nothing signs it, and by
/// the design of minisign nobody may rely on it.
fn untrusted_comment(tar: &[u8]) -> std::ops::Range<usize> {
    let beginning = b"untrusted comment: ";
    let start = tar.windows(beginning.len()).position(|window| window == beginning).unwrap() + beginning.len();
    start..start + tar[start..].iter().position(|byte| *byte == b'\n').unwrap()
}

#[test]
fn every_byte_of_the_tar_counts_but_for_the_untrusted_comment_of_the_signature() {
    let maker = Maker::new();
    let (good, trust) = (tar_of(&members(&maker)), maker.trust());
    let free = untrusted_comment(&good);
    assert!(unpacked(&compressed(&good), &trust).is_ok());
    let mut accepted = BTreeSet::new();
    for index in 0..good.len() {
        for bits in [0x01, 0x20] {
            let mut tampered = good.clone();
            tampered[index] ^= bits;
            if unpacked(&compressed(&tampered), &trust).is_ok() {
                accepted.insert(index);
            }
        }
    }
    let unexplained: Vec<_> = accepted.iter().filter(|index| !free.contains(index)).collect();
    assert!(
        unexplained.is_empty(),
        "{} bytes are free, the first are {:?}",
        unexplained.len(),
        &unexplained[..8.min(unexplained.len())]
    );
    assert_eq!(accepted.len(), free.len(), "the comment may say anything printable");
}

#[test]
fn what_is_added_to_the_tar_or_to_the_signature_is_refused() {
    let maker = Maker::new();
    let good = tar_of(&members(&maker));
    let kind = |bytes: &[u8]| unpacked(&compressed(bytes), &maker.trust()).expect_err("tampered").kind();
    assert_eq!(kind(&[good.clone(), vec![0; 512]].concat()), ArchiveFault::Padding, "zeros after the end");
    assert_eq!(kind(&good[..good.len() - 512]), ArchiveFault::Padding, "a shorter end");
    type Change = fn(&str) -> String;
    let changes: [(&str, Change); 6] = [
        ("a line more", |text| format!("{text}one more line\n")),
        ("an empty line more", |text| format!("{text}\n")),
        ("line ends of Windows", |text| text.replace('\n', "\r\n")),
        ("no line end", |text| text.trim_end().to_owned()),
        ("an escape sequence in the comment", |text| {
            text.replacen("untrusted comment: ", "untrusted comment: \u{1b}[2J", 1)
        }),
        ("another beginning", |text| text.replacen("untrusted comment: ", "a trusted comment: ", 1)),
    ];
    for (what, change) in changes {
        let mut tampered = members(&maker);
        tampered[1].2 = change(std::str::from_utf8(&tampered[1].2).unwrap()).into_bytes();
        let error = unpacked(&compressed(&tar_of(&tampered)), &maker.trust()).expect_err(what);
        assert_eq!(error.kind(), ArchiveFault::SignatureMalformed, "{what}: {error}");
    }
}

/// The compressed form is not signed and need not be: whatever bits are changed, what is unpacked is the same to the
/// byte, or the archive is refused.
#[test]
fn a_changed_bit_of_the_compressed_form_is_refused_or_changes_nothing() {
    let maker = Maker::new();
    let (all, trust) = (members(&maker), maker.trust());
    let good = compressed(&tar_of(&all));
    let mut accepted = 0;
    for index in 0..good.len() {
        for bit in 0..8 {
            let mut tampered = good.clone();
            tampered[index] ^= 1 << bit;
            let into = folder();
            if unpack(tampered.as_slice(), into.path(), &trust, SMALL).is_err() {
                continue;
            }
            accepted += 1;
            for (name, _, bytes) in &all {
                let mut found = std::fs::read(into.path().join(name)).unwrap();
                let mut bytes = bytes.clone();
                if name == SIGNATURE {
                    for text in [&mut found, &mut bytes] {
                        text.drain(untrusted_comment(text));
                    }
                }
                assert!(found == bytes, "byte {index}, bit {bit}: {name}");
            }
        }
    }
    println!("{accepted} of {} bits decode to the same files", 8 * good.len());
}

#[test]
fn a_frame_that_asks_for_a_large_window_is_refused_before_the_memory_is_taken() {
    let maker = Maker::new();
    let tar = tar_of(&members(&maker));
    // Without a known size the frame says its window in the byte behind its magic and its descriptor (RFC 8878).
    let (mut frame, window) = (compressed(&tar), 5);
    assert_eq!(frame[4] & 0b1110_0000, 0, "neither the size nor a single segment");
    for log in [24, 27, 31] {
        frame[window] = (log - 10) << 3;
        let error = unpacked(&frame, &maker.trust()).expect_err("a large window");
        assert_eq!(error.kind(), ArchiveFault::NotAnArchive, "{log}: {error}");
    }
}
