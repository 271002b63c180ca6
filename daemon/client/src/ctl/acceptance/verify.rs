//! `acceptance verify` and `acceptance key`.

use std::path::Path;
use std::process::ExitCode;

use minisign_verify::{PublicKey, Signature};

use super::files::signature_of;
use crate::ctl::examine::Place;
use crate::ctl::failure::Failure;
use crate::ctl::manager;
use crate::ctl::output::{Output, field};

/// A report is a few hundred kilobytes.
const LARGEST: u64 = 64 << 20;

pub async fn key(place: &Place, output: &Output) -> Result<ExitCode, Failure> {
    let key = of_this_box(place).await?;
    if output.is_json() {
        output.json(&serde_json::json!({ "public_key": key }))?;
    } else {
        output.raw(&key)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn of_this_box(place: &Place) -> Result<String, Failure> {
    let (_, manager) = manager(&place.bus).await?;
    manager.acceptance_key().await.map_err(|error| Failure::from_call(&place.bus, error))
}

pub async fn run(place: &Place, file: &Path, key: Option<&Path>, output: &Output) -> Result<ExitCode, Failure> {
    let (whose, text) = match key {
        Some(path) => (path.display().to_string(), String::from_utf8_lossy(&read(path)?).into_owned()),
        None => (
            "this box".to_owned(),
            of_this_box(place).await.map_err(|failure| {
                Failure::new(
                    failure.message(),
                    "on another machine give the box's public key: --key FILE (`acceptance key` prints it)",
                )
            })?,
        ),
    };
    let beside = signature_of(file);
    let signature = String::from_utf8_lossy(&read(&beside)?).into_owned();
    let comment = checked(&read(file)?, &signature, &text)
        .map_err(|why| Failure::new(format!("{}: {why}", file.display()), remedy(&whose)))?;
    let said = parts(&comment);
    let own = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let signed_as = said.iter().find(|(name, _)| name == "file").map(|(_, value)| value.clone()).unwrap_or_default();
    if output.is_json() {
        let map: serde_json::Map<String, serde_json::Value> =
            said.into_iter().map(|(name, value)| (name, value.into())).collect();
        output.json(&serde_json::json!({ "file": file, "key": whose, "signed": map }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output.line(&format!("{} is byte for byte what was signed with the key of {whose}.", file.display()))?;
    let mut table = output.table(&[]);
    for (name, value) in said {
        field(&mut table, &name, value);
    }
    output.print(table)?;
    if signed_as != own {
        output.note(&format!("It was signed under the name {signed_as:?}."));
    }
    Ok(ExitCode::SUCCESS)
}

fn remedy(whose: &str) -> String {
    format!(
        "do not rely on this file: get it again from whoever made it, and see that {whose} is the box which signed it"
    )
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            format!("{}: {error}", path.display()),
            "the report and its signature (.minisig) belong in one folder",
        )
    };
    let facts = std::fs::metadata(path).map_err(failed)?;
    if facts.len() > LARGEST {
        return Err(Failure::new(format!("{} is larger than any report", path.display()), "give a file of a report"));
    }
    std::fs::read(path).map_err(failed)
}

/// The signed comment, when `signature` is that of these bytes by this key.
fn checked(bytes: &[u8], signature: &str, key: &str) -> Result<String, String> {
    let key =
        PublicKey::decode(key.trim()).map_err(|error| format!("the key is no public key of minisign: {error}"))?;
    let signature = Signature::decode(signature).map_err(|error| format!("the signature cannot be read: {error}"))?;
    key.verify(bytes, &signature, false).map_err(|error| match error {
        minisign_verify::Error::UnexpectedKeyId => "it is signed with another key".to_owned(),
        _ => "it is NOT what was signed: the file or its signature was changed".to_owned(),
    })?;
    Ok(signature.trusted_comment().to_owned())
}

/// `name:value` of each part.
fn parts(comment: &str) -> Vec<(String, String)> {
    let part = |text: &str| text.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()));
    comment.split('\t').filter_map(part).collect()
}
