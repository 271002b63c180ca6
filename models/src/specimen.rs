//! A small package generated for tests: its network is one sigmoid, so its golden output is known.

use std::path::Path;

use hal::Tensor;
use sha2::{Digest, Sha256};

use crate::manifest::Manifest;
use crate::npy;
use crate::package::{MANIFEST, Package};
use crate::task::{self, CT_CHEST, NetworkInput};

/// `image` -> sigmoid -> `probability`, any shape of five axes; opset 17.
pub const SIGMOID: &[u8] = include_bytes!("specimen.onnx");

/// Not written for a network that reads pictures: the golden files are a volume's.
const GOLDEN: &str = r#"[golden]
input = "golden/input.npy"
expected = "golden/expected.npy"
tolerance = 0.01
"#;

const SECOND: &str = r#"[[variants]]
accelerator = "any"
precision = "fp16"
network = "second.onnx"
"#;

const ACCURACY: &str = r#"[accuracy]
least_overlap = 0.98
[[accuracy.cases]]
input = "golden/input.npy"
expected = "golden/moved.npy"
"#;

/// What to make. The default is good.
#[derive(Debug, Clone)]
pub struct Specimen {
    pub id: String,
    pub version: String,
    pub task: String,
    pub network: Vec<u8>,
    /// Added to the expected golden answer.
    pub golden_error: f32,
    pub threshold: f32,
    /// A second network, the same one, listed after the first as one of half precision; of volumes only.
    pub second: bool,
    /// With an accuracy set, whose answers are those of inputs moved by this much; of volumes only.
    pub accuracy: Option<f32>,
}

impl Default for Specimen {
    fn default() -> Self {
        Self {
            id: "specimen".into(),
            version: "1.0.0".into(),
            task: "ct_chest".into(),
            network: SIGMOID.to_vec(),
            golden_error: 0.0,
            threshold: 0.5,
            second: false,
            accuracy: None,
        }
    }
}

impl Specimen {
    pub fn version(version: &str) -> Self {
        Self { version: version.into(), ..Self::default() }
    }

    /// Writes the package, unsigned, into an empty directory (made when it is not there).
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write(&self, directory: &Path) -> std::io::Result<()> {
        const SHAPE: [usize; 5] = [1, 1, 8, 8, 8];
        let count: usize = SHAPE.iter().product();
        let data: Vec<f32> = (0..count).map(|i| i as f32 / count as f32 * 8.0 - 4.0).collect();
        let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
        let answer = data.iter().map(|v| sigmoid(*v) + self.golden_error).collect();
        let moved = data.iter().map(|v| sigmoid(v + self.accuracy.unwrap_or_default())).collect();
        let moved = Tensor { shape: SHAPE.to_vec(), data: moved };
        let (input, expected) =
            (Tensor { shape: SHAPE.to_vec(), data }, Tensor { shape: SHAPE.to_vec(), data: answer });
        let mut files: Vec<(&str, Vec<u8>)> = vec![
            ("CARD.md", b"# A specimen\n".to_vec()),
            ("golden/expected.npy", npy::write(&expected)),
            ("golden/input.npy", npy::write(&input)),
            ("network.onnx", self.network.clone()),
        ];
        if self.second {
            files.push(("second.onnx", self.network.clone()));
        }
        if self.accuracy.is_some() {
            files.push(("golden/moved.npy", npy::write(&moved)));
        }
        std::fs::create_dir_all(directory.join("golden"))?;
        let mut manifest = self.manifest();
        for (name, bytes) in files {
            std::fs::write(directory.join(name), &bytes)?;
            manifest.push_str(&format!("{name:?} = \"{}\"\n", hex::encode(Sha256::digest(&bytes))));
        }
        std::fs::write(directory.join(MANIFEST), manifest)
    }

    /// What the manifest of such a package says, with hashes of zeros.
    #[cfg(test)]
    pub(crate) fn parsed(&self) -> Manifest {
        let files = ["CARD.md", "golden/expected.npy", "golden/input.npy", "network.onnx"];
        let hashes = files.map(|name| format!("{name:?} = \"{}\"\n", "0".repeat(64)));
        Manifest::parse(&(self.manifest() + &hashes.concat())).unwrap()
    }

    fn manifest(&self) -> String {
        let Self { id, version, task, .. } = self;
        let (use_and_network, golden) = match task::network(task) {
            Some(NetworkInput::Picture) => (self.picture(), ""),
            Some(NetworkInput::Mammogram) => (self.mammogram(), ""),
            // A task that this software does not have is written as one that reads volumes.
            Some(NetworkInput::Volume) | None => (self.volume(), GOLDEN),
        };
        let second = if self.second { SECOND } else { "" };
        let accuracy = if self.accuracy.is_some() { ACCURACY } else { "" };
        format!(
            r#"format = 1
id = "{id}"
version = "{version}"
task = "{task}"
licence = "Apache-2.0"
clearance = "research"
{use_and_network}[[variants]]
accelerator = "any"
precision = "fp32"
network = "network.onnx"
{second}{golden}{accuracy}[files]
"#
        )
    }

    fn volume(&self) -> String {
        let threshold = self.threshold;
        format!(
            r#"[intended_use]
modality = "CT"
body_part = "CHEST"
[intended_use.findings.nodule]
[input]
spacing_mm = 2.0
patch = [64, 64, 64]
overlap = 16
windows_hu = [[-1000.0, 400.0]]
[outputs]
channels = ["nodule"]
[thresholds.nodule]
confidence = {threshold}
mask = {threshold}
min_size = 3.0
"#
        )
    }

    fn mammogram(&self) -> String {
        let threshold = self.threshold;
        format!(
            r#"[intended_use]
modality = "MG"
body_part = "BREAST"
[intended_use.findings.breast_mark]
[input]
pixel_mm = 0.4
fine_mm = 0.2
around_mm = 0.6
detail = 0.25
multiple = 16
[outputs]
stride = 4
channels = ["mass", "calcifications", "asymmetry", "distortion"]
scorer = "CARD.md"
[thresholds.one_view]
confidence = {threshold}
[thresholds.two_views]
confidence = {threshold}
[thresholds.two_breasts]
confidence = {threshold}
"#
        )
    }

    fn picture(&self) -> String {
        let threshold = self.threshold;
        format!(
            r#"[intended_use]
modality = "US"
body_part = "BREAST"
[intended_use.findings.breast_lesion]
[input]
size = [64, 64]
resize = "letterbox"
[outputs]
stride = 2
channels = [
    "lesion",
    "malignant",
    "irregular",
    "not_parallel",
    "not_circumscribed",
    "anechoic",
    "heterogeneous",
    "enhancement",
    "shadowing",
]
[thresholds.lesion]
confidence = {threshold}
mask = {threshold}
min_size = 2.0
[thresholds.malignant]
confidence = 0.5
"#
        )
    }

    /// The package as an archive, signed with the development key.
    ///
    /// # Errors
    /// When the disk fails, or the specimen is no package.
    pub fn archive(&self, out: &Path) -> std::io::Result<()> {
        let directory = out.with_extension("unpacked");
        self.write(&directory)?;
        let package = self.package(&directory)?;
        let signature =
            crate::maker::sign(&package, crate::maker::DEVELOPMENT_KEY, None).map_err(std::io::Error::other)?;
        crate::archive::pack(&package, &signature, out).map_err(std::io::Error::other)?;
        std::fs::remove_dir_all(directory)
    }

    /// The package in `directory`. One for a task that this software does not have, as a later release may make it,
    /// cannot be opened here: then only its list of files is read.
    fn package(&self, directory: &Path) -> std::io::Result<Package> {
        if task::network(&self.task).is_some() {
            return Package::open(directory).map_err(std::io::Error::other);
        }
        let text = std::fs::read_to_string(directory.join(MANIFEST))?;
        let sha256 = hex::encode(Sha256::digest(text.as_bytes()));
        let known = text.replacen(&format!("task = {:?}", self.task), &format!("task = {CT_CHEST:?}"), 1);
        let manifest = Manifest::parse(&known).map_err(std::io::Error::other)?;
        Ok(Package { directory: directory.to_owned(), manifest, sha256 })
    }
}
