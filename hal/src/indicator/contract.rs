//! The test body that every indicator must pass. It panics with the broken promise.

use super::{Indicator, IndicatorFault, Rhythm};

/// `seen`: what somebody before the box sees; `take_away` and `bring_back`: the indicator itself.
///
/// # Panics
/// When the indicator breaks the contract.
#[allow(clippy::expect_used)]
pub fn indicator(device: &mut dyn Indicator, seen: &dyn Fn() -> Rhythm, take_away: &dyn Fn(), bring_back: &dyn Fn()) {
    assert!(!device.name().is_empty(), "it must say what it is");
    let slow = Rhythm::Blink { on_ms: 1000, off_ms: 1000 };
    let fast = Rhythm::Blink { on_ms: 150, off_ms: 150 };
    for rhythm in [Rhythm::Off, Rhythm::On, slow, fast, Rhythm::On, fast, Rhythm::Off, slow, Rhythm::Off] {
        for again in [false, true] {
            assert_eq!(device.show(rhythm), Ok(()), "{rhythm:?}, again: {again}");
            assert_eq!(seen(), rhythm, "again: {again}");
        }
    }
    take_away();
    for rhythm in [Rhythm::On, fast] {
        let error = device.show(rhythm).expect_err("nothing is there");
        assert_eq!(error.kind(), IndicatorFault::NotPresent, "{error}");
    }
    bring_back();
    assert_eq!(device.show(Rhythm::Off), Ok(()), "it is there again");
    assert_eq!((device.show(fast), seen()), (Ok(()), fast), "and shows what it is told");
}

/// The contract at each depth.
#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::indicator::Source;
    use crate::indicator::scripted::Scripted;
    use crate::root::Root;

    #[test]
    fn sim_scripted_indicator_contract() {
        let device = Scripted::default();
        let (gone, back) = (|| device.fail(Some(IndicatorFault::NotPresent)), || device.fail(None));
        indicator(&mut device.clone(), &|| device.shown(), &gone, &back);
    }

    /// Files as the kernel makes them, except that `delay_on` and `delay_off` are always there.
    fn make(led: &Path) {
        std::fs::create_dir_all(led).unwrap();
        for (file, text) in [
            ("brightness", "0"),
            ("max_brightness", "255"),
            ("trigger", "[none] timer heartbeat cpu0"),
            ("delay_on", "500"),
            ("delay_off", "500"),
        ] {
            std::fs::write(led.join(file), format!("{text}\n")).unwrap();
        }
    }

    fn read(led: &Path, file: &str) -> String {
        std::fs::read_to_string(led.join(file)).unwrap().trim().to_owned()
    }

    fn seen(led: &Path) -> Rhythm {
        let number = |file| read(led, file).parse::<u32>().unwrap();
        match (read(led, "trigger").as_str(), number("brightness")) {
            ("timer", 255) => Rhythm::Blink { on_ms: number("delay_on"), off_ms: number("delay_off") },
            (_, 255) => Rhythm::On,
            (_, 0) => Rhythm::Off,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sim_led_indicator_contract() {
        let tree = tempfile::tempdir().unwrap();
        let led = tree.path().join("sys/class/leds/green:status");
        make(&led);
        let mut device = Source::parse("green:status").unwrap().open(&Root::at(tree.path())).unwrap();
        let gone = || std::fs::remove_dir_all(&led).unwrap();
        indicator(device.as_mut(), &|| seen(&led), &gone, &|| make(&led));
    }

    #[test]
    fn a_light_that_another_program_has_switched_is_switched_back() {
        let tree = tempfile::tempdir().unwrap();
        let led = tree.path().join("sys/class/leds/x");
        make(&led);
        let mut device = Source::Led("x".into()).open(&Root::at(tree.path())).unwrap();
        let fast = Rhythm::Blink { on_ms: 150, off_ms: 150 };
        device.show(fast).unwrap();
        std::fs::write(led.join("trigger"), "none timer [heartbeat]\n").unwrap();
        device.show(fast).unwrap();
        assert_eq!(seen(&led), fast);
        let untouched = std::fs::metadata(led.join("trigger")).unwrap().modified().unwrap();
        std::fs::set_permissions(led.join("trigger"), std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
        device.show(fast).unwrap();
        assert_eq!(
            std::fs::metadata(led.join("trigger")).unwrap().modified().unwrap(),
            untouched,
            "it goes on by itself"
        );
    }

    #[test]
    fn a_pipe_in_the_place_of_a_light_holds_up_nobody() {
        let tree = tempfile::tempdir().unwrap();
        let led = tree.path().join("sys/class/leds/x");
        std::fs::create_dir_all(&led).unwrap();
        let made = std::process::Command::new("mkfifo").arg(led.join("trigger")).status().unwrap();
        assert!(made.success());
        let mut device = Source::Led("x".into()).open(&Root::at(tree.path())).unwrap();
        assert!(device.show(Rhythm::On).is_err());
    }
}
