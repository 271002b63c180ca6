//! A small package made on the spot, for tests: its network is one sigmoid, so that its golden answer is known.

use std::path::Path;

use hal::Tensor;
use sha2::{Digest, Sha256};

use crate::npy;
use crate::package::{MANIFEST, hexadecimal};

/// `image` -> sigmoid -> `probability`, any shape of five axes; opset 17.
pub const SIGMOID: &[u8] = include_bytes!("specimen.onnx");

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
        let answer = data.iter().map(|v| 1.0 / (1.0 + (-v).exp()) + self.golden_error).collect();
        let (input, expected) =
            (Tensor { shape: SHAPE.to_vec(), data }, Tensor { shape: SHAPE.to_vec(), data: answer });
        let files: [(&str, Vec<u8>); 4] = [
            ("CARD.md", b"# A specimen\n".to_vec()),
            ("golden/expected.npy", npy::write(&expected)),
            ("golden/input.npy", npy::write(&input)),
            ("network.onnx", self.network.clone()),
        ];
        std::fs::create_dir_all(directory.join("golden"))?;
        let mut manifest = self.manifest();
        for (name, bytes) in files {
            std::fs::write(directory.join(name), &bytes)?;
            manifest.push_str(&format!("{name:?} = \"{}\"\n", hexadecimal(&Sha256::digest(&bytes))));
        }
        std::fs::write(directory.join(MANIFEST), manifest)
    }

    fn manifest(&self) -> String {
        let Self { id, version, task, threshold, .. } = self;
        format!(
            r#"format = 1
id = "{id}"
version = "{version}"
task = "{task}"
licence = "Apache-2.0"
clearance = "research"
[intended_use]
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
[[variants]]
accelerator = "any"
precision = "fp32"
network = "network.onnx"
[golden]
input = "golden/input.npy"
expected = "golden/expected.npy"
tolerance = 0.01
[files]
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
        let package = crate::Package::open(&directory).map_err(std::io::Error::other)?;
        let signature =
            crate::maker::sign(&package, crate::maker::DEVELOPMENT_KEY, None).map_err(std::io::Error::other)?;
        crate::archive::pack(&package, &signature, out).map_err(std::io::Error::other)?;
        std::fs::remove_dir_all(directory)
    }
}
