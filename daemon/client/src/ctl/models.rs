//! `models`: what the appliance has, and the verbs on it.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use comfy_table::Cell;
use futures_util::StreamExt;
use models::archive;
use models::package::{Package, SIGNATURE};
use zbus::Connection;
use zbus::fdo::PropertiesProxy;

use super::args::ModelsCommand;
use super::failure::Failure;
use super::output::{Output, field, state_cell};
use super::watch::Bars;
use super::{shadow, time};
use crate::{ManagerProxy, Model, ModelProxy, Options};

pub async fn run(
    connection: &Connection,
    manager: &ManagerProxy<'_>,
    command: ModelsCommand,
    output: &Output,
) -> Result<(), Failure> {
    let on = async |name: &str| -> Result<(Model, ModelProxy<'static>), Failure> {
        let model = find(manager, name).await?;
        let proxy = proxy(connection, &model).await?;
        Ok((model, proxy))
    };
    match command {
        ModelsCommand::List => list(manager, output).await,
        ModelsCommand::Show { package } => show(&find(manager, &package).await?, output),
        ModelsCommand::Install { file, activate } => install(connection, manager, &file, activate, output).await,
        ModelsCommand::Build { package } => {
            let (model, proxy) = on(&package).await?;
            proxy.build().await?;
            let now = follow(connection, manager, &model, output).await?;
            match (now.state.as_str(), &now.reason) {
                ("ready" | "active", None) => report(manager, &model, output).await,
                (state, reason) => Err(not(&model, "built", state, reason.as_deref())),
            }
        }
        ModelsCommand::Activate { package } => {
            let (model, proxy) = on(&package).await?;
            activate(connection, manager, &model, &proxy, output).await
        }
        ModelsCommand::Cancel { package } => {
            let (model, proxy) = on(&package).await?;
            let changed = proxy.cancel_build().await?;
            let now = follow(connection, manager, &model, output).await?;
            if output.is_json() {
                return output.json(&now);
            }
            let reason = now.reason.unwrap_or_default();
            if !changed {
                return output.line(&format!("No build of {} waits or runs.", named(&model)));
            }
            output.line(&format!("The build of {} was ended: {reason}.", named(&model)))
        }
        ModelsCommand::Rollback { task } => rollback(manager, task, output).await,
        ModelsCommand::Deactivate { package } => {
            let (model, proxy) = on(&package).await?;
            proxy.deactivate().await?;
            report(manager, &model, output).await
        }
        ModelsCommand::Remove { package } => {
            let (model, proxy) = on(&package).await?;
            proxy.remove().await?;
            if output.is_json() {
                return output.json(&serde_json::json!({ "removed": named(&model) }));
            }
            output.line(&format!("{} removed.", named(&model)))
        }
        ModelsCommand::Verify { package, .. } => {
            let (model, proxy) = on(&package).await?;
            proxy.verify().await?;
            if output.is_json() {
                return report(manager, &model, output).await;
            }
            output.line(&format!("{} is intact: the signature and all files are correct.", named(&model)))
        }
        ModelsCommand::Shadow { package: Some(package), off, .. } => {
            let (model, proxy) = on(&package).await?;
            proxy.set_shadow(!off).await?;
            report(manager, &model, output).await
        }
        ModelsCommand::Shadow { package: None, limit, .. } => shadow::list(manager, limit, output).await,
        ModelsCommand::Sign { .. } | ModelsCommand::Pack { .. } => Ok(()), // done without a daemon
    }
}

async fn list(manager: &ManagerProxy<'_>, output: &Output) -> Result<(), Failure> {
    let all = manager.list_models(Options::new()).await?;
    if output.is_json() {
        return output.json(&all);
    }
    if all.is_empty() {
        return output.line("No model packages. Install one with `scansidectl models install FILE`.");
    }
    let mut table = output.table(&["Package", "Version", "Task", "State", "Origin", "Signed", "Note"]);
    for model in &all {
        table.add_row(vec![
            Cell::new(&model.id),
            Cell::new(&model.version),
            Cell::new(&model.task),
            state_cell(&model.state),
            Cell::new(&model.origin),
            Cell::new(model.signer.as_deref().unwrap_or("not by a trusted key")),
            Cell::new(note(model)),
        ]);
    }
    output.print(table)
}

/// What the state alone does not say.
fn note(model: &Model) -> String {
    let mut notes = Vec::new();
    if !model.stage.is_empty() {
        notes.push(format!("{} {:.0} %", model.stage, model.progress * 100.0));
    }
    notes.extend(model.reason.clone());
    if model.last_good {
        notes.push("last good".into());
    }
    if model.shadow {
        notes.push("shadow".into());
    }
    notes.join("; ")
}

fn show(model: &Model, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(model);
    }
    let mut table = output.table(&[]);
    field(&mut table, "Package", named(model));
    field(&mut table, "State", state_cell(&model.state));
    for (name, value) in [
        ("Note", note(model)),
        ("Task", model.task.clone()),
        ("Findings", model.findings.join(", ").replace('_', " ")),
        ("Clearance", model.clearance.clone().unwrap_or_default()),
        ("Licence", model.licence.clone().unwrap_or_default()),
        ("Origin", model.origin.clone()),
        ("Signed", model.signer.clone().unwrap_or_else(|| "not by a trusted key".into())),
        ("SHA-256", model.sha256.clone()),
        ("Built on", model.accelerator.clone().unwrap_or_else(|| "not yet".into())),
        ("Networks", model.networks.join("; ")),
        ("Golden run", model.golden_difference.map_or_else(String::new, |d| format!("differs by {d:.2e} at most"))),
    ] {
        if !value.is_empty() {
            field(&mut table, name, value);
        }
    }
    output.print(table)
}

async fn install(
    connection: &Connection,
    manager: &ManagerProxy<'_>,
    path: &Path,
    then_activate: bool,
    output: &Output,
) -> Result<(), Failure> {
    // Opened here: the daemon need not be able to see our files, nor a stick that is mounted for us only.
    let archive = opened(path)?;
    let (object, changed) = manager.install_model(std::os::fd::OwnedFd::from(archive).into()).await?;
    let all = manager.list_models(Options::new()).await?;
    let model = all.into_iter().find(|model| model.path == object);
    let model =
        model.ok_or_else(|| Failure::new("the package was removed meanwhile", "see `scansidectl models list`"))?;
    if !output.is_json() {
        let what = if changed { "installed" } else { "is installed already" };
        output.line(&format!("{} {what}: {}.", named(&model), model.signer.as_deref().unwrap_or("unsigned")))?;
    }
    if then_activate {
        let proxy = proxy(connection, &model).await?;
        return activate(connection, manager, &model, &proxy, output).await;
    }
    if output.is_json() {
        return output.json(&model);
    }
    output.line(&format!("It is not used yet: `scansidectl models activate {}@{}`.", model.id, model.version))
}

/// The archive, or a signed directory as one.
fn opened(path: &Path) -> Result<File, Failure> {
    let remedy = "give a .scanside file, or a package directory that is signed";
    if !path.is_dir() {
        return File::open(path).map_err(|error| Failure::new(format!("{}: {error}", path.display()), remedy));
    }
    let package = Package::open(path).map_err(|error| Failure::new(error.to_string(), remedy))?;
    let signature = std::fs::read_to_string(path.join(SIGNATURE)).map_err(|_| {
        Failure::new(format!("{} is not signed", path.display()), "its maker signs it: `scansidectl models sign`")
    })?;
    let packed =
        tempfile::NamedTempFile::new().map_err(|error| Failure::new(error.to_string(), "is there room in TMPDIR?"))?;
    archive::pack(&package, &signature, packed.path()).map_err(|error| Failure::new(error.to_string(), remedy))?;
    packed.reopen().map_err(|error| Failure::new(error.to_string(), "is there room in TMPDIR?"))
}

async fn activate(
    connection: &Connection,
    manager: &ManagerProxy<'_>,
    model: &Model,
    proxy: &ModelProxy<'static>,
    output: &Output,
) -> Result<(), Failure> {
    proxy.activate().await?;
    let now = follow(connection, manager, model, output).await?;
    if now.state != "active" {
        return Err(not(model, "activated", &now.state, now.reason.as_deref()));
    }
    report(manager, model, output).await
}

fn not(model: &Model, what: &str, state: &str, reason: Option<&str>) -> Failure {
    let reason = reason.map_or_else(|| format!("it is {state}"), str::to_owned);
    Failure::new(
        format!("{} was not {what}: {reason}", named(model)),
        "the package that was used before is still used; see `scansidectl models list`",
    )
}

/// A progress bar until the build has ended; the package as it is then.
async fn follow(
    connection: &Connection,
    manager: &ManagerProxy<'_>,
    model: &Model,
    output: &Output,
) -> Result<Model, Failure> {
    /// A build that changes nothing visible is not told; it has an end all the same.
    const LOOK_EVERY: Duration = Duration::from_secs(1);
    let properties = PropertiesProxy::builder(connection).destination(crate::BUS_NAME).path(model.path.clone());
    let mut changes = properties.build().await?.receive_properties_changed().await?;
    let mut owner = manager.inner().receive_owner_changed().await?;
    let mut bars = Bars::new(output);
    loop {
        let now = again(manager, model).await?;
        if now.stage.is_empty() {
            bars.progress(&model.id, "", None);
            return Ok(now);
        }
        bars.progress(&model.id, &now.stage, Some(now.progress));
        tokio::select! {
            _ = changes.next() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            Some(owner) = owner.next() => if owner.is_none() { return Err(Failure::gone()) },
        }
    }
}

async fn rollback(manager: &ManagerProxy<'_>, task: Option<String>, output: &Output) -> Result<(), Failure> {
    let all = manager.list_models(Options::new()).await?;
    let mut tasks: Vec<&str> = all.iter().map(|model| model.task.as_str()).filter(|task| !task.is_empty()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let task = match (&task, tasks.as_slice()) {
        (Some(task), _) => task.as_str(),
        (None, [task]) => task,
        (None, tasks) => {
            let message = format!("say which task; there are {}", tasks.join(", "));
            return Err(Failure::new(message, "give one: `scansidectl models rollback TASK`"));
        }
    };
    let object = manager.rollback_model(task).await?;
    let all = manager.list_models(Options::new()).await?;
    match all.iter().find(|model| model.path == object) {
        Some(model) if output.is_json() => output.json(model),
        Some(model) => output.line(&format!("{task} uses {} again.", named(model))),
        None => Err(Failure::new("the package was removed meanwhile", "see `scansidectl models list`")),
    }
}

/// As it is now.
async fn again(manager: &ManagerProxy<'_>, model: &Model) -> Result<Model, Failure> {
    let all = manager.list_models(Options::new()).await?;
    let found = all.into_iter().find(|one| one.path == model.path);
    found.ok_or_else(|| Failure::new("the package was removed meanwhile", "see `scansidectl models list`"))
}

async fn report(manager: &ManagerProxy<'_>, model: &Model, output: &Output) -> Result<(), Failure> {
    let now = again(manager, model).await?;
    if output.is_json() {
        return output.json(&now);
    }
    let note = note(&now);
    let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
    output.line(&format!("{}  {} is {}{note}.", time::clock(), named(&now), now.state))
}

async fn proxy(connection: &Connection, model: &Model) -> Result<ModelProxy<'static>, Failure> {
    // Without a cache: what is read after a change was told is the state after it.
    let builder = ModelProxy::builder(connection).path(model.path.clone());
    Ok(builder.cache_properties(zbus::proxy::CacheProperties::No).build().await?)
}

fn named(model: &Model) -> String {
    format!("{} {}", model.id, model.version)
}

/// By id, or by id@version.
async fn find(manager: &ManagerProxy<'_>, which: &str) -> Result<Model, Failure> {
    let (id, version) = which.split_once('@').map_or((which, None), |(id, version)| (id, Some(version)));
    let all = manager.list_models(Options::new()).await?;
    let fits = |model: &Model| model.id == id && version.is_none_or(|version| model.version == version);
    let mut found = all.into_iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(model), None) => Ok(model),
        (None, _) => Err(Failure::new(format!("there is no package {which:?}"), "see `scansidectl models list`")),
        (Some(_), Some(_)) => Err(Failure::new(
            format!("there are several versions of {id}"),
            format!("say which: {id}@VERSION; see `scansidectl models list`"),
        )),
    }
}
