//! The file of an engine: what it is bound to, then NVIDIA's bytes. A GPU runs what it is given, so nothing of it is believed before
//! its hash is right and it is bound to exactly this library, driver, card and network.
//!
//! ```text
//! SCANENG1 | length of the binding u32 | length of the engine u64 | SHA-256 of the rest | binding, UTF-8 | engine
//! ```
//! Numbers are little-endian. The binding has one fact a line.

use std::fmt;

use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"SCANENG1";
const HASH: std::ops::Range<usize> = 20..52;
const HEAD: usize = HASH.end;
/// Longer bindings are of no file of ours.
const LONGEST_BINDING: usize = 4096;

/// What an engine depends on. When one fact changes, it has to be built again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Library and version.
    pub library: String,
    /// Name of the card.
    pub device: String,
    /// For example 8.9.
    pub capability: String,
    pub driver: String,
    /// SHA-256 of the ONNX bytes, hexadecimal.
    pub network: String,
    /// Extents of each input: `image 1x1x256x256`.
    pub shapes: String,
    /// Most memory that one layer may use beside its tensors, MiB.
    pub workspace_mib: u64,
}

impl Binding {
    fn facts(&self) -> [(&'static str, String); 7] {
        // A name of a card must not make a line of its own.
        let line = |value: &str| value.replace(['\n', '\r'], " ");
        [
            ("library", line(&self.library)),
            ("device", line(&self.device)),
            ("compute capability", line(&self.capability)),
            ("driver", line(&self.driver)),
            ("network", line(&self.network)),
            ("shapes", line(&self.shapes)),
            ("workspace", format!("{} MiB", self.workspace_mib)),
        ]
    }

    fn text(&self) -> String {
        self.facts().into_iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    /// What a file of this network and these extents is called, whatever it was built by: an outdated engine is found, and replaced.
    pub fn file_name(&self) -> String {
        let hash = Sha256::digest(format!("{}\n{}", self.network, self.shapes));
        format!("{}.engine", hex::encode(&hash[..8]))
    }
}

/// Why the bytes of a file are not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// Of another program, or of another version of this one.
    Foreign,
    /// Shorter or longer than it says.
    Cut { bytes: usize, expected: u64 },
    /// Bits have changed.
    Damaged,
    /// Of something else: the first fact that differs.
    Other { fact: String, found: String, wanted: String },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => write!(f, "it is no engine file of this software"),
            Self::Cut { bytes, expected } => write!(f, "it has {bytes} bytes, {expected} are due"),
            Self::Damaged => write!(f, "its hash is wrong"),
            Self::Other { fact, found, wanted } => write!(f, "it is for the {fact} {found:?}, here is {wanted:?}"),
        }
    }
}

/// The file of an engine.
pub fn encode(binding: &Binding, engine: &[u8]) -> Vec<u8> {
    let text = binding.text();
    let mut file = Vec::with_capacity(HEAD + text.len() + engine.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    file.extend_from_slice(&(engine.len() as u64).to_le_bytes());
    file.extend_from_slice(&hash(text.as_bytes(), engine));
    file.extend_from_slice(text.as_bytes());
    file.extend_from_slice(engine);
    file
}

fn hash(binding: &[u8], engine: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(binding).chain_update(engine).finalize().into()
}

/// The engine in a file, when it is whole and bound to exactly `wanted`.
///
/// # Errors
/// [`Unfit`].
pub fn decode<'a>(file: &'a [u8], wanted: &Binding) -> Result<&'a [u8], Unfit> {
    if file.len() < HEAD {
        let ours = file.starts_with(MAGIC);
        return Err(if ours { Unfit::Cut { bytes: file.len(), expected: HEAD as u64 } } else { Unfit::Foreign });
    }
    if !file.starts_with(MAGIC) {
        return Err(Unfit::Foreign);
    }
    let number = |range: std::ops::Range<usize>| {
        let mut bytes = [0; 8];
        bytes[..range.len()].copy_from_slice(&file[range]);
        u64::from_le_bytes(bytes)
    };
    let (text, engine) = (number(8..12), number(12..20));
    let expected = (HEAD as u64).saturating_add(text).saturating_add(engine);
    if file.len() as u64 != expected {
        return Err(Unfit::Cut { bytes: file.len(), expected });
    }
    let text = usize::try_from(text).ok().filter(|length| *length <= LONGEST_BINDING).ok_or(Unfit::Foreign)?;
    let (binding, engine) = file[HEAD..].split_at(text);
    if file[HASH] != hash(binding, engine) {
        return Err(Unfit::Damaged);
    }
    if binding == wanted.text().as_bytes() {
        return Ok(engine);
    }
    let binding = String::from_utf8_lossy(binding);
    let found = |name: &str| {
        binding.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default().to_owned()
    };
    let differs = wanted.facts().into_iter().find(|(name, value)| found(name) != *value);
    let (fact, wanted) = differs.unwrap_or_else(|| ("form", "this one".into()));
    Err(Unfit::Other { fact: fact.into(), found: found(fact), wanted })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn binding() -> Binding {
        Binding {
            library: "TensorRT 10.3.0".into(),
            device: "Orin".into(),
            capability: "8.7".into(),
            driver: "540.4".into(),
            network: "ab".repeat(32),
            shapes: "image 1x1x4x4".into(),
            workspace_mib: 512,
        }
    }

    #[test]
    fn an_engine_is_used_only_where_every_fact_is_the_same() {
        let file = encode(&binding(), b"engine");
        assert_eq!(decode(&file, &binding()), Ok(&b"engine"[..]));
        let others = [
            ("library", Binding { library: "TensorRT 10.4.0".into(), ..binding() }),
            ("device", Binding { device: "Thor".into(), ..binding() }),
            ("compute capability", Binding { capability: "11.0".into(), ..binding() }),
            ("driver", Binding { driver: "541".into(), ..binding() }),
            ("network", Binding { network: "cd".repeat(32), ..binding() }),
            ("shapes", Binding { shapes: "image 1x1x8x8".into(), ..binding() }),
            ("workspace", Binding { workspace_mib: 256, ..binding() }),
        ];
        for (fact, other) in others {
            let refused = decode(&file, &other).unwrap_err();
            assert!(matches!(&refused, Unfit::Other { fact: told, .. } if told == fact), "{fact}: {refused}");
        }
        let refused = decode(&file, &Binding { driver: "541".into(), ..binding() }).unwrap_err();
        assert_eq!(refused.to_string(), "it is for the driver \"540.4\", here is \"541\"");
    }

    #[test]
    fn a_foreign_and_a_cut_file_are_named() {
        assert_eq!(decode(b"ftrt, an engine of NVIDIA alone", &binding()), Err(Unfit::Foreign));
        assert_eq!(decode(&[7; 4096], &binding()), Err(Unfit::Foreign));
        assert_eq!(decode(&[], &binding()), Err(Unfit::Foreign));
        let file = encode(&binding(), b"engine");
        for length in MAGIC.len()..file.len() {
            assert!(matches!(decode(&file[..length], &binding()), Err(Unfit::Cut { .. })), "{length}");
        }
        let longer = [&file[..], b"."].concat();
        assert!(matches!(decode(&longer, &binding()), Err(Unfit::Cut { .. })));
    }

    #[test]
    fn any_flipped_bit_is_found() {
        let file = encode(&binding(), b"engine");
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped, &binding()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_name_of_a_card_cannot_forge_a_line() {
        let sly = Binding { device: "Orin\ndriver: 541".into(), ..binding() };
        let file = encode(&sly, b"engine");
        let refused = decode(&file, &Binding { driver: "541".into(), ..sly.clone() }).unwrap_err();
        assert_eq!(refused.to_string(), "it is for the driver \"540.4\", here is \"541\"");
        assert!(decode(&file, &sly).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes, &binding());
            let ours = [&MAGIC[..], &bytes].concat();
            prop_assert!(decode(&ours, &binding()).is_err());
        }
    }
}
