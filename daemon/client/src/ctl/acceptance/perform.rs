//! Measures: one step after the other, so that none disturbs another, and none is left out because one before has failed.

use std::time::{Duration, Instant};

use config::Settings;
use hal::sensors::Readings;

use super::{Bench, send, wait};
use crate::acceptance::measured::{Disk, Measured, NotDone, PackageRun, Video};
use crate::acceptance::{Identity, Report, judge, outcome};
use crate::ctl::examine;
use crate::ctl::failure::Failure;
use crate::ctl::setup::room;
use crate::doctor::text::{Text, both};
use crate::doctor::{Facts, clock};
use crate::{Live, LiveProxy, Model, ModelProxy, Options, Stats};

/// A first TensorRT build takes minutes.
const BUILD_WITHIN: Duration = Duration::from_secs(1800);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// With the report how often the box has slowed itself down, for the next daily run.
///
/// # Errors
/// When the daemon leaves the bus meanwhile, or the test study cannot be made.
pub async fn run(bench: &Bench<'_>, throttled_before: Option<u64>) -> Result<(Report, Option<u64>), Failure> {
    let begun_utc = hal::clock::now_utc();
    bench.progress.say("Looking at configuration, peers and machine ...", "正在检查配置、对端与硬件……");
    let mut facts = examine::facts(bench.place).await;
    // The daemon opens the accelerator, not this program: it may lack the rights, and it would say the wrong thing.
    facts.accelerator = None;
    let settings = config::load(&bench.place.config).ok();
    let mut measured = Measured {
        deadline_ms: settings.as_ref().map(|settings| settings.live.deadline_ms),
        watts: facts.heat.as_ref().and_then(Readings::watts),
        facts,
        daily: bench.options.daily,
        throttled_before,
        ..Measured::default()
    };
    measured.echoes = echoes(bench, &measured.facts).await;
    measured.disk = settings.as_ref().map(|settings| disk(bench, settings, &measured.facts));
    measured.packages = packages(bench).await.map_err(|error| lost(bench, error))?;
    measured.video = video(bench).await;
    bench.progress.say("Sending the test study to the box's own port ...", "正在向本机端口发送测试检查……");
    let mut study = send::run(bench, &measured.facts, settings.as_ref()).await?;
    wait::run(bench, &measured.facts, &mut study).await.map_err(|error| lost(bench, error))?;
    measured.study = Some(study);
    Ok((report(bench, &measured, settings.as_ref(), begun_utc), measured.throttled()))
}

fn lost(bench: &Bench<'_>, error: zbus::Error) -> Failure {
    Failure::from_call(&bench.place.bus, error)
}

fn report(bench: &Bench<'_>, measured: &Measured, settings: Option<&Settings>, begun_utc: String) -> Report {
    let lines = judge(measured);
    let (facts, status) = (&measured.facts, measured.facts.status.as_ref());
    let device = settings.map(|settings| &settings.device);
    let of = |pick: fn(&crate::Status) -> &String| status.map(pick).cloned().unwrap_or_default();
    Report {
        format: 1,
        outcome: outcome(&lines),
        identity: Identity {
            serial_number: device.map(|device| device.serial_number.clone()).unwrap_or_default(),
            station_name: device.map(|device| device.station_name.clone()).unwrap_or_default(),
            institution: device.map(|device| device.institution.clone()).unwrap_or_default(),
            version: of(|status| &status.version),
            accelerator: of(|status| &status.accelerator),
            dicom_address: of(|status| &status.dicom_address),
            ae_titles: facts.ae_titles.clone(),
        },
        begun_utc,
        ended_utc: hal::clock::now_utc(),
        clock_trusted: clock::distrust(facts).is_none(),
        by: bench.options.by.clone(),
        delivered: !bench.options.no_delivery,
        study_uid: measured.study.as_ref().map(|study| study.study_uid.clone()),
        stages: judge::stages(measured),
        figures: judge::figures(measured),
        drifts: Vec::new(),
        lines,
    }
}

/// By the daemon, over the network as it sees it.
async fn echoes(bench: &Bench<'_>, facts: &Facts) -> Vec<(String, Result<f64, String>)> {
    let known: Vec<String> = facts
        .status
        .as_ref()
        .map(|status| status.destinations.iter().map(|(name, _)| name.clone()).collect())
        .unwrap_or_default();
    let mut echoes = Vec::new();
    for name in known {
        bench.progress.say(&format!("C-ECHO to {name} ..."), &format!("向 {name} 发送 C-ECHO……"));
        let echo = bench.manager.echo(&name).await.map_err(|error| words(&error));
        echoes.push((name, echo));
    }
    echoes
}

fn words(error: &zbus::Error) -> String {
    crate::error_parts(error).map_or_else(|| error.to_string(), |(_, text)| text)
}

fn disk(bench: &Bench<'_>, settings: &Settings, facts: &Facts) -> Result<Disk, NotDone> {
    bench.progress.say("Writing to the disk for a second ...", "正在测试磁盘写入……");
    let free = facts.storage.as_ref().map_or(0, |storage| storage.free_bytes);
    let measured = room::measure(&settings.spool.directory, free, facts.config.min_free_bytes);
    measured.map(|disk| Disk { bytes_per_second: disk.bytes_per_second, room: disk.room }).map_err(|error| {
        let place = settings.spool.directory.display();
        let remedy = if error.kind() == std::io::ErrorKind::PermissionDenied {
            both!(
                "Run it with sudo: only the daemon's user may write there.",
                "请用 sudo 运行：只有服务用户可以写入该目录。"
            )
        } else {
            Text::default()
        };
        NotDone { why: both!("{place} cannot be written: {error}", "无法写入 {place}：{error}"), remedy }
    })
}

/// Every active package: signature and files, then loaded and run by the daemon as at an activation.
async fn packages(bench: &Bench<'_>) -> zbus::Result<Vec<PackageRun>> {
    let all = bench.manager.list_models(Options::new()).await?;
    let mut runs: Vec<PackageRun> = all.iter().filter(|model| leaves_nothing(model, &all)).map(refused).collect();
    for model in all.into_iter().filter(|model| model.state == "active") {
        let (id, version) = (model.id.clone(), model.version.clone());
        bench.progress.say(&format!("Golden answers of {id} {version} ..."), &format!("{id} {version} 标准答案自检……"));
        let proxy = ModelProxy::builder(&bench.connection).path(model.path.clone());
        let proxy = proxy.cache_properties(zbus::proxy::CacheProperties::No).build().await?;
        let begun = Instant::now();
        let intact = proxy.verify().await.map_err(|error| words(&error));
        let golden = match &intact {
            Ok(()) => golden(bench, &proxy, &model).await?,
            Err(why) => Err(why.clone()),
        };
        let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
        runs.push(PackageRun { id, version, task: model.task, intact, golden, milliseconds });
    }
    Ok(runs)
}

/// It was refused, and its task has no other package.
fn leaves_nothing(model: &Model, all: &[Model]) -> bool {
    model.state == "refused" && !all.iter().any(|other| other.task == model.task && other.state == "active")
}

fn refused(model: &Model) -> PackageRun {
    PackageRun {
        id: model.id.clone(),
        version: model.version.clone(),
        task: model.task.clone(),
        intact: Err(model.reason.clone().unwrap_or_else(|| "it was refused".into())),
        golden: Err(String::new()),
        milliseconds: 0.0,
    }
}

async fn golden(bench: &Bench<'_>, proxy: &ModelProxy<'_>, model: &Model) -> zbus::Result<Result<Option<f64>, String>> {
    if let Err(error) = proxy.build().await {
        return Ok(Err(words(&error)));
    }
    let begun = Instant::now();
    while begun.elapsed() < BUILD_WITHIN {
        let all = bench.manager.list_models(Options::new()).await?;
        let Some(now) = all.into_iter().find(|one| one.path == model.path) else {
            return Ok(Err("it was removed meanwhile".into()));
        };
        match (now.stage.is_empty() && now.state != "building", now.state.as_str(), now.reason) {
            (false, ..) => {}
            (true, "active", None) => return Ok(Ok(now.golden_difference)),
            (true, state, reason) => return Ok(Err(reason.unwrap_or_else(|| format!("it is {state} now")))),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(Err(format!("no answer within {} s", BUILD_WITHIN.as_secs())))
}

/// `None`: the daemon knows no live path. Counters begin anew with an exam: then the video is watched once more.
async fn video(bench: &Bench<'_>) -> Option<Video> {
    let seen = watched(bench).await?;
    if seen.began_anew() { watched(bench).await } else { Some(seen) }
}

async fn watched(bench: &Bench<'_>) -> Option<Video> {
    let live =
        LiveProxy::builder(&bench.connection).cache_properties(zbus::proxy::CacheProperties::No).build().await.ok()?;
    let now = Live::read(&live).await.ok()?;
    let exam_before = now.exam.as_ref().map(|exam| exam.study_uid.clone());
    let before = Stats::read(&live).await.ok()?;
    if now.sign == "off" {
        return Some(Video { live: now, exam_before, after: before.clone(), before, seconds: 0.0 });
    }
    let seconds = bench.options.video;
    bench.progress.say(&format!("Watching the video for {seconds} s ..."), &format!("观察视频 {seconds} 秒……"));
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = Stats::read(&live).await.ok()?;
    let seconds = begun.elapsed().as_secs_f64();
    Some(Video { live: Live::read(&live).await.ok()?, exam_before, before, after, seconds })
}
