//! Model packages over a private bus, as the proxies and as `scansidectl` see them.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::fixture::{Appliance, Bus, ROWS, ask, scansidectl, text, until};
use custody::level::Level;
use futures_util::StreamExt;
use scanside_client::{ERROR_PREFIX, ManagerProxy, Model, ModelProxy, Options, connect, error_parts};
use serde_json::Value;

fn kind<T: std::fmt::Debug>(answer: zbus::Result<T>) -> String {
    let (name, _) = error_parts(&answer.unwrap_err()).unwrap();
    name.strip_prefix(ERROR_PREFIX).unwrap_or(&name).to_owned()
}

async fn states(manager: &ManagerProxy<'_>) -> Vec<(String, String)> {
    let models = manager.list_models(Options::new()).await.unwrap();
    models.into_iter().map(|model| (model.version, model.state)).collect()
}

async fn install(manager: &ManagerProxy<'_>, archive: &Path) -> zbus::Result<(String, bool)> {
    let file = OwnedFd::from(File::open(archive).unwrap());
    manager.install_model(file.into()).await.map(|(path, changed)| (path.to_string(), changed))
}

async fn proxy(connection: &zbus::Connection, path: &str) -> ModelProxy<'static> {
    ModelProxy::builder(connection).path(path.to_owned()).build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_installed_built_activated_and_rolled_back_over_the_bus() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let connection = connect(&bus.address).await.unwrap();
    let manager = ManagerProxy::new(&connection).await.unwrap();
    let first: Vec<Model> = manager.list_models(Options::new()).await.unwrap();
    assert_eq!((first[0].state.as_str(), first[0].origin.as_str()), ("active", "built-in"));
    assert_eq!((first[0].task.as_str(), first[0].clearance.as_deref()), ("ct_chest", Some("research")));
    assert_eq!(first[0].findings, ["nodule"]);

    let archive = appliance.archive("2.0.0");
    let (path, changed) = install(&manager, &archive).await.unwrap();
    assert_eq!((path.as_str(), changed), ("/org/scanside/Appliance1/model/specimen_2_2e0_2e0", true));
    assert_eq!(install(&manager, &archive).await.unwrap(), (path.clone(), false), "twice is once");
    let objects = zbus::fdo::ObjectManagerProxy::builder(&connection)
        .destination(scanside_client::BUS_NAME)
        .path(scanside_client::ROOT)
        .build()
        .await
        .unwrap();
    until("the package is an object", async || {
        objects.get_managed_objects().await.unwrap().keys().any(|known| known.as_str() == path)
    })
    .await;

    let model = proxy(&connection, &path).await;
    let mut told = model.receive_state_changed().await;
    assert_eq!(told.next().await.unwrap().get().await.unwrap(), "installed");
    assert!(model.activate().await.unwrap());
    let mut seen = Vec::new();
    while seen.last().is_none_or(|state| state != "active") {
        seen.push(told.next().await.unwrap().get().await.unwrap());
    }
    assert!(seen.iter().all(|state| ["building", "active"].contains(&state.as_str())), "{seen:?}");
    assert!(!model.activate().await.unwrap(), "it is active already");
    let now = states(&manager).await;
    assert_eq!(now, [("1.0.0".into(), "installed".into()), ("2.0.0".into(), "active".into())]);

    let back = manager.rollback_model("ct_chest").await.unwrap();
    assert!(back.as_str().ends_with("specimen_1_2e0_2e0"));
    assert_eq!(kind(manager.rollback_model("ct_chest").await), "NotPossible");
    model.remove().await.unwrap();
    until("the object is gone", async || {
        !objects.get_managed_objects().await.unwrap().keys().any(|known| known.as_str() == path)
    })
    .await;
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_over_the_bus_has_its_name_and_changes_nothing() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let connection = connect(&bus.address).await.unwrap();
    let manager = ManagerProxy::new(&connection).await.unwrap();
    let archive = appliance.archive("2.0.0");
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes.truncate(bytes.len() / 2);
    let cut = archive.with_file_name("cut.scanside");
    std::fs::write(&cut, bytes).unwrap();
    assert_eq!(kind(install(&manager, &cut).await), "PackageRefused");
    assert_eq!(states(&manager).await, [("1.0.0".into(), "active".into())]);

    let built_in = proxy(&connection, "/org/scanside/Appliance1/model/specimen_1_2e0_2e0").await;
    assert_eq!(kind(built_in.remove().await), "NotPossible");
    assert_eq!(kind(built_in.set_shadow(true).await), "NotPossible");
    built_in.verify().await.unwrap();

    let (path, _) = install(&manager, &archive).await.unwrap();
    until("the package is an object", async || proxy(&connection, &path).await.state().await.is_ok()).await;
    let model = proxy(&connection, &path).await;
    std::fs::write(appliance.installed("2.0.0").join("network.onnx"), b"rot").unwrap();
    assert_eq!(kind(model.verify().await), "PackageRefused");
    assert_eq!(states(&manager).await[1], ("2.0.0".into(), "refused".into()));
    model.activate().await.unwrap();
    until("it is refused again", async || {
        let models = manager.list_models(Options::new()).await.unwrap();
        models[1].state == "refused" && models[1].reason.as_deref().is_some_and(|why| why.contains("sha256"))
    })
    .await;
    assert_eq!(states(&manager).await[0], ("1.0.0".into(), "active".into()), "the last good stays active");

    appliance.gate.set(Level::NoNewStudies, "12 MiB free");
    assert_eq!(kind(install(&manager, &archive).await), "Restricted");
    appliance.stop().await.unwrap();
}

async fn complaint(bus: &Bus, arguments: &[&str]) -> String {
    let output = ask(bus, arguments).await;
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_goes_the_whole_way_and_says_what_it_did() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let archive = appliance.archive("2.0.0");
    let said = text(&bus, &["models", "install", archive.to_str().unwrap()]).await;
    assert!(said.starts_with("specimen 2.0.0 installed: signed with the development key"), "{said}");
    assert!(said.contains("scansidectl models activate specimen@2.0.0"), "{said}");
    let said = text(&bus, &["models", "activate", "specimen@2.0.0"]).await;
    assert!(said.contains("specimen 2.0.0 is active."), "{said}");
    let listed = text(&bus, &["models", "list"]).await;
    assert!(listed.lines().any(|line| line.contains("1.0.0") && line.contains("last good")), "{listed}");
    let shown = text(&bus, &["models", "show", "specimen@2.0.0"]).await;
    for word in ["active", "ct_chest", "nodule", "research", "scripted"] {
        assert!(shown.contains(word), "{word} is missing:\n{shown}");
    }
    assert_eq!(
        text(&bus, &["models", "cancel", "specimen@2.0.0"]).await,
        "No build of specimen 2.0.0 waits or runs.\n"
    );
    let said = complaint(&bus, &["models", "remove", "specimen@2.0.0"]).await;
    assert!(said.contains("is active: activate another one") && said.contains("\nremedy: "), "{said}");
    let said = complaint(&bus, &["models", "show", "specimen"]).await;
    assert!(said.contains("several versions") && said.contains("specimen@VERSION"), "{said}");
    assert_eq!(text(&bus, &["models", "rollback"]).await, "ct_chest uses specimen 1.0.0 again.\n");
    let said = text(&bus, &["models", "shadow", "specimen@2.0.0"]).await;
    assert!(said.contains("is ready (shadow)"), "{said}");
    let runs = text(&bus, &["models", "shadow"]).await;
    assert!(runs.contains("nodule 1 : 0, 8.0 : - (largest diameter, mm)"), "{runs}");
    text(&bus, &["models", "shadow", "specimen@2.0.0", "--off"]).await;
    assert_eq!(text(&bus, &["models", "remove", "specimen@2.0.0"]).await, "specimen 2.0.0 removed.\n");

    // From a directory, as a stick may have it: signed first.
    let directory = archive.with_file_name("stick");
    models::specimen::Specimen::version("3.0.0").write(&directory).unwrap();
    let (directory, key) = (directory.to_str().unwrap(), archive.with_file_name("maker.key"));
    std::fs::write(&key, models::maker::DEVELOPMENT_KEY).unwrap();
    assert!(complaint(&bus, &["models", "install", directory]).await.contains("is not signed"));
    text(&bus, &["models", "sign", directory, "--key", key.to_str().unwrap()]).await;
    let said = text(&bus, &["models", "install", directory, "--activate"]).await;
    assert!(said.contains("specimen 3.0.0 installed") && said.contains("specimen 3.0.0 is active"), "{said}");
    text(&bus, &["models", "rollback", "ct_chest"]).await;
    text(&bus, &["models", "remove", "specimen@3.0.0"]).await;
    let json: Value = serde_json::from_str(&text(&bus, &["--json", "models", "list"]).await).unwrap();
    assert_eq!((json[0]["version"].as_str(), json[0]["state"].as_str()), (Some("1.0.0"), Some("active")));
    let said = text(&bus, &["models", "deactivate", "specimen"]).await;
    assert!(said.contains("specimen 1.0.0 is deactivated."), "{said}");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maker_signs_and_packs_and_the_file_is_verified_without_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (package, key, out, keys) = (place("package"), place("maker.key"), place("a.scanside"), place("keys"));
    models::specimen::Specimen::default().write(Path::new(&package)).unwrap();
    std::fs::write(&key, models::maker::DEVELOPMENT_KEY).unwrap();
    std::fs::create_dir(&keys).unwrap();
    let run = |arguments: &[&str]| {
        let output = scansidectl(arguments);
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code(), said)
    };
    let (code, said) = run(&["models", "pack", &package, "--out", &out]);
    assert!(code == Some(1) && said.contains("not signed"), "{said}");
    let (code, said) = run(&["models", "sign", &package, "--key", &key]);
    assert_eq!((code, said.as_str()), (Some(0), "specimen 1.0.0 signed.\n"));
    assert_eq!(run(&["models", "pack", &package, "--out", &out]).0, Some(0));
    let (code, said) = run(&["models", "verify", &out, "--keys", &keys]);
    assert!(code == Some(0) && said.contains("specimen 1.0.0 is intact: signed with the development key"), "{said}");
    assert_eq!(run(&["models", "verify", &package, "--keys", &keys]).0, Some(0));
    std::fs::write(Path::new(&package).join("CARD.md"), "# Better than it is").unwrap();
    let (code, said) = run(&["models", "verify", &package, "--keys", &keys]);
    assert!(code == Some(1) && said.contains("CARD.md: sha256") && said.contains("\nremedy: "), "{said}");
    std::fs::write(&out, b"noise").unwrap();
    let (code, said) = run(&["models", "verify", &out, "--keys", &keys]);
    assert!(code == Some(1) && said.contains("not a .scanside archive"), "{said}");
}
