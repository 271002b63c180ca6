//! What people are told of heat, in English and Chinese: what is, what follows from it, what to do.

use hal::sensors::condition::Condition;
use hal::sensors::{Cause, Zone};
use serde::Serialize;

use super::Report;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Words {
    pub en: String,
    pub zh: String,
}

/// Pure.
pub(super) fn of(report: &Report) -> Words {
    let (zone, fan) = (place(report), standing(report));
    match (report.condition, report.cause) {
        (Condition::Unknown | Condition::Normal, _) => Words::default(),
        (Condition::Hot, _) => hot("The box is hot", "本机温度偏高", &zone, &fan),
        (Condition::Throttled, Some(Cause::Power)) => hungry(report),
        (Condition::Throttled, _) => hot("The box is too hot and slows itself down", "本机过热，正在降频", &zone, &fan),
    }
}

fn hot(en: &str, zh: &str, zone: &Words, fan: &Words) -> Words {
    Words {
        en: format!(
            "{en}{}: results may come late, and live pictures may lose their overlay.{} Clean filter and fan, and leave a hand's breadth \
             of air around the box.",
            zone.en, fan.en
        ),
        zh: format!(
            "{zh}{}：结果可能延迟，实时图像可能丢失标注。{}请清洁滤网和风扇，机箱四周保留约 10 厘米的通风空间。",
            zone.zh, fan.zh
        ),
    }
}

fn hungry(report: &Report) -> Words {
    let watts = report.readings.watts();
    let (en, zh) = watts.map_or_else(Default::default, |w| (format!(" ({w:.0} W)"), format!("（{w:.0} 瓦）")));
    Words {
        en: format!(
            "The power supply gives too little, and the box slows itself down{en}: results may come late, and live pictures may lose their \
             overlay. Use the power supply that belongs to the box, and check its plug."
        ),
        zh: format!("供电不足，本机正在降频{zh}：结果可能延迟，实时图像可能丢失标注。请使用本机原配电源，并检查插头。"),
    }
}

/// Where it is hottest, against the limit.
fn place(report: &Report) -> Words {
    let Some(Zone { name, celsius, limit_celsius, critical_celsius }) = report.readings.nearest() else {
        return Words::default();
    };
    let limit = limit_celsius.or(*critical_celsius);
    let (en, zh) = limit.map_or_else(Default::default, |limit| {
        (format!(", its limit is {limit:.0} °C"), format!("，上限 {limit:.0} °C"))
    });
    Words { en: format!(" ({name}: {celsius:.0} °C{en})"), zh: format!("（{name}：{celsius:.0} °C{zh}）") }
}

/// A fan that should turn now.
fn standing(report: &Report) -> Words {
    let Some(fan) = report.readings.fans.iter().find(|fan| fan.rpm == 0) else { return Words::default() };
    let name = &fan.name;
    Words { en: format!(" The fan {name} stands still."), zh: format!("风扇 {name} 没有转动。") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hal::sensors::{Fan, Rail, Readings};

    use super::*;

    fn report(condition: Condition, cause: Option<Cause>, rpm: u32) -> Report {
        let zone = Zone { name: "cpu".into(), celsius: 93.6, limit_celsius: Some(95.0), critical_celsius: Some(105.0) };
        let readings = Readings {
            zones: vec![zone],
            rails: vec![Rail { name: "VDD_IN".into(), watts: 24.6 }],
            fans: vec![Fan { name: "pwm_tach".into(), rpm }],
            throttles: Vec::new(),
        };
        Report { condition, cause, readings: Arc::new(readings), looked: true }
    }

    #[test]
    fn heat_is_told_with_degrees_consequence_and_remedy_in_both_languages() {
        let said = report(Condition::Hot, None, 2000).words();
        assert_eq!(
            said.en,
            "The box is hot (cpu: 94 °C, its limit is 95 °C): results may come late, and live pictures may lose their overlay. Clean \
             filter and fan, and leave a hand's breadth of air around the box."
        );
        assert!(said.zh.contains("（cpu：94 °C，上限 95 °C）") && said.zh.contains("清洁滤网"), "{}", said.zh);
        let said = report(Condition::Throttled, Some(Cause::Heat), 0).words();
        assert!(said.en.starts_with("The box is too hot and slows itself down (cpu"), "{}", said.en);
        assert!(said.en.contains(" The fan pwm_tach stands still. Clean"), "{}", said.en);
        assert!(said.zh.contains("风扇 pwm_tach 没有转动。请清洁"), "{}", said.zh);
    }

    #[test]
    fn a_weak_power_supply_is_not_told_as_heat() {
        let said = report(Condition::Throttled, Some(Cause::Power), 0).words();
        assert!(said.en.contains("power supply") && said.en.contains("(25 W)"), "{}", said.en);
        assert!(!said.en.contains("filter") && said.zh.contains("供电不足"), "{said:?}");
    }

    #[test]
    fn a_box_that_is_well_says_nothing() {
        for condition in [Condition::Unknown, Condition::Normal] {
            assert_eq!(report(condition, None, 0).words(), Words::default());
        }
    }
}
