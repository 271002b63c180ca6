//! Sensors that say what they are told: the simulated twin of `sysfs`.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Cause, Description, Fan, Rail, Readings, Sensors, Throttle, Zone};

/// What a simulated machine goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    Cool,
    Hot,
    /// Hot, and slowed down by it.
    Throttled,
    /// Its power supply gives too little.
    Hungry,
    /// No sensor answers.
    Gone,
}

impl Situation {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "cool" => Self::Cool,
            "hot" => Self::Hot,
            "throttled" => Self::Throttled,
            "hungry" => Self::Hungry,
            "gone" => Self::Gone,
            _ => return None,
        })
    }

    fn readings(self) -> Readings {
        let celsius = match self {
            Self::Cool | Self::Hungry => 48.0,
            Self::Hot => 93.5,
            Self::Throttled => 96.0,
            Self::Gone => return Readings::default(),
        };
        let zone =
            Zone { name: "cpu-thermal".into(), celsius, limit_celsius: Some(95.0), critical_celsius: Some(105.0) };
        let alert = Throttle {
            name: "cpu-throttle-alert".into(),
            cause: Cause::Heat,
            active: self == Self::Throttled,
            times: None,
        };
        let supply = Throttle {
            name: "under-voltage (oc1)".into(),
            cause: Cause::Power,
            active: self == Self::Hungry,
            times: None,
        };
        Readings {
            zones: vec![zone],
            rails: vec![Rail { name: "VDD_IN".into(), watts: 11.5 }],
            fans: vec![Fan { name: "pwm_tach".into(), rpm: 2100 }],
            throttles: vec![alert, supply],
        }
    }
}

/// Clones share what they show.
#[derive(Debug, Clone)]
pub struct Scripted(Arc<Mutex<Readings>>);

impl Scripted {
    pub fn showing(situation: Situation) -> Self {
        Self(Arc::new(Mutex::new(situation.readings())))
    }

    pub fn show(&self, situation: Situation) {
        self.say(situation.readings());
    }

    /// Says this from now on.
    pub fn say(&self, readings: Readings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = readings.tidied();
    }
}

impl Sensors for Scripted {
    fn describe(&self) -> Description {
        Description { driver: "scripted", simulated: true }
    }

    fn read(&mut self) -> Readings {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
