//! `echo`.

use super::failure::Failure;
use super::output::Output;
use crate::ManagerProxy;

pub async fn run(manager: &ManagerProxy<'_>, destination: &str, output: &Output) -> Result<(), Failure> {
    if output.shows_progress() {
        output.note(&format!("Waiting up to 10 s for {destination}: connection, association or HTTP, its answer."));
    }
    let milliseconds = manager.echo(destination).await?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "destination": destination, "milliseconds": milliseconds }));
    }
    output.line(&format!("{destination} answered after {milliseconds:.0} ms."))
}
