//! `Delivery1`: the delivery of one result to one destination.

use zbus::interface;

use super::objects::Exported;
use super::rows;

#[derive(Debug)]
pub struct Delivery(rows::Delivery);

impl Exported for Delivery {
    type Row = rows::Delivery;

    fn new(row: Self::Row) -> Self {
        Self(row)
    }

    fn replace(&mut self, row: Self::Row) {
        self.0 = row;
    }
}

/// The delivery of one result to one destination.
#[interface(name = "org.scanside.Appliance1.Delivery1")]
impl Delivery {
    #[zbus(property(emits_changed_signal = "const"))]
    fn destination(&self) -> &str {
        &self.0.destination
    }

    /// pending, held, parked, dropped, delivered or superseded.
    #[zbus(property)]
    fn state(&self) -> &str {
        &self.0.state
    }

    /// sr, seg or sc.
    #[zbus(property(emits_changed_signal = "const"))]
    fn kind(&self) -> &str {
        &self.0.kind
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn sop_uid(&self) -> &str {
        &self.0.sop_uid
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn study_uid(&self) -> &str {
        &self.0.study_uid
    }

    #[zbus(property)]
    fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// DIMSE status of the last answer; 0xffffffff before the first.
    #[zbus(property)]
    fn status(&self) -> u32 {
        self.0.status.unwrap_or(u32::MAX)
    }

    /// Why the last attempt failed, or why the delivery is held.
    #[zbus(property)]
    fn reason(&self) -> &str {
        self.0.reason.as_deref().unwrap_or_default()
    }

    #[zbus(property)]
    fn next_utc(&self) -> &str {
        &self.0.next_utc
    }

    #[zbus(property)]
    fn delivered_utc(&self) -> &str {
        self.0.delivered_utc.as_deref().unwrap_or_default()
    }

    /// Storage commitment: wanted, asked, committed or unanswered; empty when its destination is not asked.
    #[zbus(property)]
    fn commitment(&self) -> &str {
        self.0.commitment.as_deref().unwrap_or_default()
    }
}
