//! What `scanside-healthy.service` asks before an update of the image is marked good: the command of the unit, against a real daemon.

use std::path::Path;
use std::process::Output;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::modality::Modality;
use hil_tests::tools;

const UNIT: &str = "yocto/meta-scanside/recipes-core/scanside-system/files/scanside-healthy.service";
const UNUSABLE: &str = "[spool]\ndirectory = \"/proc/nowhere/spool\"\n";
const FULL: &str = "[spool]\nmin_free_mib = 900000000\nevict_below_mib = 900000000\n";

/// The command of the unit with another patience.
async fn asked(appliance: &Appliance, within: &str) -> Output {
    let unit = std::fs::read_to_string(tools::workspace().join(UNIT)).unwrap();
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/scansidectl ")).unwrap();
    let (arguments, _) = command.split_once("--within").unwrap();
    let mut ctl = tokio::process::Command::new(tools::our_binary("scansidectl").unwrap());
    ctl.args(["--bus", &appliance.bus.address]).args(arguments.split_whitespace()).args(["--within", within]);
    ctl.output().await.unwrap()
}

async fn again(appliance: &mut Appliance, extra: &str) {
    appliance.kill().await.unwrap();
    std::fs::write(appliance.folder().join("config.d/20-extra.toml"), extra).unwrap();
    appliance.restart().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_under_which_custody_cannot_be_opened_is_not_marked_good_and_a_full_disk_is_no_fault_of_it() {
    let setup = Setup { extra: UNUSABLE.into(), ..Setup::default() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    assert!(!Path::new("/proc/nowhere").exists());
    let manager = appliance.manager().await.unwrap();
    assert_eq!(manager.level_cause().await.unwrap(), "custody");
    let scanner = Modality::new(appliance.address, "CT1", Appliance::AE_TITLE);
    scanner.echo().await.expect("systemd was told READY, and the box answers");
    let refused = asked(&appliance, "2").await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("no_new_studies after 2 s: ") && said.contains("scansidectl doctor"), "{said}");

    again(&mut appliance, FULL).await;
    let manager = appliance.manager().await.unwrap();
    assert_eq!(manager.level_cause().await.unwrap(), "disk_full");
    assert_eq!(asked(&appliance, "30").await.status.code(), Some(0));

    again(&mut appliance, "").await;
    let good = asked(&appliance, "60").await;
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stderr));
    appliance.kill().await.unwrap();
    assert_eq!(asked(&appliance, "1").await.status.code(), Some(3), "nobody is there");
}
