//! `peers user`: the configuration entry of a user as whom a sender comes, with the hash of its passcode. No file is written and the
//! passcode is not an argument, since arguments are seen by every process.

use std::io::{self, BufRead, IsTerminal, Read};

use node::identity::passcode::Hashed;
use node::identity::settings::User;

use super::failure::Failure;
use super::output::Output;

/// Bytes; more than any scanner takes.
const LONGEST: u64 = 4096;

pub fn run(name: &str, without_passcode: bool, output: &Output) -> Result<(), Failure> {
    let passcode = if without_passcode { None } else { Some(hash(&read(output)?)?) };
    let user = User { name: name.to_owned(), passcode };
    if output.is_json() {
        return output.json(&user);
    }
    let entry = toml::to_string(&user).map_err(|error| Failure::new(error.to_string(), "choose another name"))?;
    output.line(&format!("[[dicom.user]]\n{}", entry.trim_end()))?;
    output.note(
        "Not written. Add it to the configuration, name it in the sender (user = ...) or set dicom.user_identity = \"required\"; then `systemctl restart scansided`.",
    );
    Ok(())
}

fn read(output: &Output) -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        output.note("The passcode, then Enter (it is shown while you type):");
    }
    let mut line = String::new();
    let cannot = |error: io::Error| Failure::new(format!("cannot read the passcode: {error}"), "give one line of text");
    io::stdin().lock().take(LONGEST).read_line(&mut line).map_err(cannot)?;
    let passcode = line.trim_end_matches(['\r', '\n']);
    if passcode.is_empty() {
        return Err(Failure::new("the passcode is empty", "give it in the first line, or use --without-passcode"));
    }
    Ok(passcode.to_owned())
}

fn hash(passcode: &str) -> Result<Hashed, Failure> {
    Hashed::of(passcode.as_bytes()).map_err(|error| Failure::new(error.to_string(), "try again"))
}
