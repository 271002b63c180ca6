//! Writes the table into the card of a package, and the hash of the card into the manifest.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{with_hash, with_table};

#[derive(Debug)]
pub struct Card {
    package: PathBuf,
    /// The text of `model.toml`.
    pub manifest: String,
}

impl Card {
    /// # Errors
    /// When the package has no `model.toml`.
    pub fn of(package: &Path) -> Result<Self> {
        let path = package.join("model.toml");
        let manifest = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { package: package.to_owned(), manifest })
    }

    /// Writes the table between the two marks in `CARD.md`.
    ///
    /// # Errors
    /// When there are no marks, or the files cannot be written.
    pub fn write(&self, table: &str) -> Result<()> {
        let path = self.package.join("CARD.md");
        let card = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let card = with_table(&card, table).with_context(|| format!("{}: no marks", path.display()))?;
        let hash = hex::encode(Sha256::digest(&card));
        let manifest = with_hash(&self.manifest, "CARD.md", &hash).context("model.toml: no hash of CARD.md")?;
        std::fs::write(&path, card)?;
        std::fs::write(self.package.join("model.toml"), manifest)?;
        if self.package.join("model.toml.minisig").exists() {
            println!("model.toml has changed with the card: sign the package again");
        }
        Ok(())
    }
}

/// ID, version and hash of the network that runs on any machine, as the card names it. The hash of the manifest cannot
/// be used, because the manifest contains the hash of the card.
///
/// # Errors
/// When the manifest lacks one of them.
pub fn model_name(manifest: &str) -> Result<String> {
    let value = |of: &dyn Fn(&str) -> bool| {
        let lines = manifest.lines().filter_map(|l| l.split_once('='));
        lines.map(|(key, v)| (key.trim(), v.trim().trim_matches('"'))).find(|(key, _)| of(key)).map(|(_, v)| v)
    };
    let id = value(&|key| key == "id").context("model.toml: no id")?;
    let version = value(&|key| key == "version").context("model.toml: no version")?;
    // Each variant is a separate table; the one for any accelerator names its network.
    let any = manifest.split("[[variants]]").find(|part| part.contains("accelerator = \"any\""));
    let file = any.and_then(|part| part.lines().find_map(|line| line.strip_prefix("network = ")));
    let file = file.context("model.toml: no network for any accelerator")?.trim();
    let network = value(&|key| key == file).context("model.toml: no hash of a network")?;
    Ok(format!("{id} {version} (network sha256 {}...)", network.get(..12).unwrap_or(network)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_the_card_is_the_one_for_any_accelerator() {
        let manifest = "id = \"x\"\nversion = \"1\"\n[[variants]]\naccelerator = \"cuda\"\nnetwork = \"b.onnx\"\n\
                        [[variants]]\naccelerator = \"any\"\nnetwork = \"a.onnx\"\n[files]\n\"b.onnx\" = \"bbbbbbbbbbbbbbb\"\n\
                        \"a.onnx\" = \"aaaaaaaaaaaaaaa\"\n";
        assert_eq!(model_name(manifest).unwrap(), "x 1 (network sha256 aaaaaaaaaaaa...)");
        assert!(model_name("id = \"x\"\n").is_err());
    }
}
