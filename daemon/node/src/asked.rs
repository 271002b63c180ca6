//! What the tables of peers that this box asks or tells have in common: `[worklist]`, `[mpps]`, `[prior]`, `[ups]`,
//! `[availability.NAME]`. Each is off without an address.

use std::time::Duration;

use dicom::check::Checker;
use hal::backoff::Pauses;

use crate::peer::Target;
use crate::settings::check_address;
use crate::tls::Client;
use crate::tls::settings::DestinationTls;

/// Before each retry; the settings are checked before.
pub(crate) fn pauses(retry_secs: f64, retry_max_secs: f64) -> Pauses {
    let seconds = |secs| Duration::try_from_secs_f64(secs).unwrap_or_default();
    Pauses::new(seconds(retry_secs), seconds(retry_max_secs))
}

/// The keys of such a table that say how the peer is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) address: Option<&'a String>,
    pub(crate) ae_title: &'a str,
    pub(crate) calling_ae_title: &'a str,
    pub(crate) tls: Option<&'a DestinationTls>,
}

impl Asked<'_> {
    /// Reports what is wrong with them in `[table]`; `whose`: of the AE title. `false`: there is no address, so the others say nothing.
    pub(crate) fn check(&self, checker: &mut Checker, table: &str, whose: &str) -> bool {
        let Some(address) = self.address else { return false };
        check_address(checker, &format!("{table}.address"), address);
        if self.ae_title.is_empty() {
            checker.refuse(table, format!("ae_title, that of the {whose}, must be set, too"));
        } else {
            checker.ae_title(&format!("{table}.ae_title"), self.ae_title);
        }
        checker.ae_title(&format!("{table}.calling_ae_title"), self.calling_ae_title);
        if let Some(tls) = self.tls {
            tls.check(checker, &format!("{table}.tls"));
        }
        true
    }

    /// The peer; `None` when none is set.
    pub(crate) fn target(&self) -> Option<Target> {
        Some(Target {
            address: self.address?.clone(),
            called_ae: self.ae_title.to_owned(),
            calling_ae: self.calling_ae_title.to_owned(),
            tls: self.tls.map(Client::from),
        })
    }
}
