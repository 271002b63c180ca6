//! A box that gets hot, with the real daemon: a folder stands for the kernel's files. Status, events, figures and doctor say so, and
//! that it is over.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::{deadline, tools};
use scanside_client::Options;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A box is called cool again a minute after it was hot.
const WITHIN: Duration = Duration::from_secs(120);

struct Machine(PathBuf);

impl Machine {
    fn file(&self, name: &str, text: &str) {
        let path = self.0.join("sys/class").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{text}\n")).unwrap();
    }

    fn at(folder: &Path) -> Self {
        let machine = Self(folder.to_owned());
        machine.file("thermal/thermal_zone0/type", "cpu-thermal");
        machine.file("thermal/thermal_zone0/temp", "48000");
        machine.file("thermal/thermal_zone0/trip_point_0_type", "passive");
        machine.file("thermal/thermal_zone0/trip_point_0_temp", "95000");
        machine.file("thermal/cooling_device0/type", "cpu-throttle-alert");
        machine.file("thermal/cooling_device0/cur_state", "0");
        machine.file("hwmon/hwmon0/name", "ina3221");
        machine.file("hwmon/hwmon0/in1_label", "VDD_IN");
        machine.file("hwmon/hwmon0/in1_input", "5000");
        machine.file("hwmon/hwmon0/curr1_input", "2000");
        machine
    }
}

async fn until_heat(appliance: &Appliance, wanted: &str) {
    let look = || async {
        let heat = appliance.manager().await.ok()?.heat().await.ok()?;
        (heat == wanted).then_some(())
    };
    deadline::until(&format!("heat {wanted}"), WITHIN, look)
        .await
        .unwrap_or_else(|e| panic!("{e:#}\n{}", appliance.log_tail()));
}

fn scansidectl(appliance: &Appliance, arguments: &[&str]) -> String {
    let output = Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--bus", &appliance.bus.address])
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn figures(appliance: &Appliance) -> String {
    let page = appliance.page().unwrap();
    let host = page.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_that_gets_hot_says_so_everywhere_and_that_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::at(folder.path());
    let extra = format!("[sensors]\nsource = \"simulated:{}\"\nevery_secs = 1\n", folder.path().display());
    let mut appliance = Appliance::start(&Setup { extra, ..Setup::default() }).await.unwrap();
    until_heat(&appliance, "normal").await;
    let status: Value = serde_json::from_str(&scansidectl(&appliance, &["--json", "status"])).unwrap();
    assert_eq!((&status["heat"], &status["heat_reason"]), (&"normal".into(), &Value::Null));
    assert_eq!((&status["temperatures"][0][1], &status["watts"]), (&48.0.into(), &10.0.into()));
    assert_eq!(status["simulated"], true, "its sensors are");

    machine.file("thermal/thermal_zone0/temp", "93500");
    until_heat(&appliance, "hot").await;
    let said = scansidectl(&appliance, &["status"]);
    assert!(said.contains("hot, 94 °C at most, 10.0 W") && said.contains("Clean filter and fan"), "{said}");
    machine.file("thermal/cooling_device0/cur_state", "1");
    until_heat(&appliance, "throttled").await;
    let said = figures(&appliance).await;
    for line in
        ["scanside_heat{condition=\"throttled\"} 1", "scanside_temperature_celsius{sensor=\"cpu-thermal\"} 93.5"]
    {
        assert!(said.lines().any(|said| said == line), "{line}\n{said}");
    }
    let config = appliance.folder().join("config.d");
    let said = scansidectl(&appliance, &["--json", "doctor", "--config", config.to_str().unwrap()]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let hot = said["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == "too-hot");
    assert_eq!(hot.expect("the doctor reads the same sensors")["gravity"], "warning", "{said}");

    machine.file("thermal/thermal_zone0/temp", "60000");
    machine.file("thermal/cooling_device0/cur_state", "0");
    until_heat(&appliance, "normal").await;
    let rows = || async {
        let events = appliance.manager().await.ok()?.list_events(Options::new()).await.ok()?;
        let told = events.into_iter().rev().filter(|event| event.subject == "machine");
        let told: Vec<(String, String)> = told.map(|event| (event.what, event.detail)).collect();
        (told.len() >= 3).then_some(told)
    };
    let told = deadline::until("a row for each change", WITHIN, rows).await.unwrap();
    let what: Vec<&str> = told.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(what, ["hot", "throttled", "neither hot nor throttled"], "{told:?}");
    assert!(told[0].1.contains("cpu-thermal: 94 °C"), "{told:?}");
    appliance.stop().await.unwrap();
}
