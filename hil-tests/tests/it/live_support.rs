//! A box whose video source is a phantom's video, and the questions that tests ask it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::{deadline, tools};
use phantom::ultrasound::layout::Name;
use phantom::ultrasound::{Options, Video, y4m};
use scanside_client::LiveProxy;

pub const WITHIN: Duration = Duration::from_secs(60);

/// Of a phantom that was not used for training.
const SEED: u64 = 2_000_003;

/// Four seconds of a phantom's video; and its millimetres per pixel.
pub fn record(layout: Name, folder: &Path) -> (PathBuf, f64) {
    write(&Video::new(SEED, &options(layout)), folder)
}

/// Name and ID of the patient on the screen of that video.
pub fn patient_on_screen(layout: Name) -> [String; 2] {
    Video::new(SEED, &options(layout)).patient().clone()
}

/// The same, at a depth at which the image is about as wide as the sector of the layout: a profile cannot be learnt
/// from parts that stay black.
pub fn record_wide(layout: Name, folder: &Path) -> (PathBuf, f64) {
    let wide = |video: &Video| {
        let mm_per_pixel = video.settings.depth_mm / video.layout.sector.height as f32;
        video.settings.width_mm / mm_per_pixel > 0.9 * video.layout.sector.width as f32
    };
    let mut videos = (2_000_001..2_000_100).map(|seed| Video::new(seed, &options(layout)));
    write(&videos.find(wide).unwrap(), folder)
}

fn options(layout: Name) -> Options {
    Options { layout, seconds: 4.0, fps: 15.0, lesions: Some(1) }
}

fn write(video: &Video, folder: &Path) -> (PathBuf, f64) {
    let path = folder.join("scan.y4m");
    let mut file = y4m::Writer::new(&path, video.layout.width, video.layout.height, video.fps).unwrap();
    (0..video.frames()).for_each(|number| file.frame(&video.frame(number).screen).unwrap());
    file.finish().unwrap();
    (path, video.truth(Vec::new()).mm_per_pixel.into())
}

/// A box with this video, and a proxy that caches nothing.
pub async fn watching(video: &Path, more: &str) -> (Appliance, LiveProxy<'static>) {
    watching_with(video, more, Setup::default()).await
}

/// The same with another set-up.
pub async fn watching_with(video: &Path, more: &str, setup: Setup) -> (Appliance, LiveProxy<'static>) {
    // The patients of most tests are not those on the phantom's screen.
    let check = if more.contains("name_check") { "" } else { "name_check = \"off\"\n" };
    let extra =
        format!("[live]\ndevice = \"replay:{}\"\n{check}{more}\n[console]\naddress = \"off\"\n", video.display());
    let appliance = Appliance::start(&Setup { extra, ..setup }).await.unwrap();
    let live = proxy(&appliance).await;
    (appliance, live)
}

/// Waits until pictures come that move.
pub async fn proxy(appliance: &Appliance) -> LiveProxy<'static> {
    let connection = appliance.bus.connect().await.unwrap();
    let builder = LiveProxy::builder(&connection).cache_properties(zbus::proxy::CacheProperties::No);
    let live = builder.build().await.unwrap();
    // The phantom's video contains a frozen part, which passes.
    deadline::until("a picture that moves", WITHIN, async || {
        let sign = live.sign().await.unwrap();
        ["ready", "no_overlay"].contains(&sign.as_str()).then_some(())
    })
    .await
    .unwrap();
    live
}

async fn scansidectl(appliance: &Appliance, arguments: &[&str]) -> Output {
    let mut command = Command::new(tools::our_binary("scansidectl").unwrap());
    command.args(["--bus", &appliance.bus.address]).args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub async fn said(appliance: &Appliance, arguments: &[&str]) -> String {
    let output = scansidectl(appliance, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub async fn refused(appliance: &Appliance, arguments: &[&str]) -> String {
    let output = scansidectl(appliance, arguments).await;
    assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}
