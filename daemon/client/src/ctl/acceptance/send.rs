//! Sends the test study to the box's own DICOM port, as a scanner would.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use config::Settings;
use node::send::{File, Target, store};
use node::settings::Plain;
use node::tls::Client;
use node::tls::settings::{CheckBy, DestinationTls};

use crate::Options;
use crate::acceptance::measured::{StudyRun, Taken};
use crate::acceptance::phantom::{self, Order};
use crate::ctl::acceptance::Bench;
use crate::ctl::failure::Failure;
use crate::doctor::Facts;

/// The AE title of this test, for a [[dicom.sender]] that admits it.
const OWN_AE: &str = "ACCEPTANCE";

/// Sends it; what came of it is in the answer, also when nothing was taken.
///
/// # Errors
/// When the study cannot be made or written to a temporary folder.
pub async fn run(bench: &Bench<'_>, facts: &Facts, settings: Option<&Settings>) -> Result<StudyRun, Failure> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(format!("{what}: {error}"), "is there room in TMPDIR?")
    };
    let serial = settings.map(|settings| settings.device.serial_number.clone()).unwrap_or_default();
    let order = Order { serial_number: &serial, utc: &facts.now_utc, delivered: !bench.options.no_delivery };
    let study = phantom::study(order).map_err(|error| failed("the test study", &error))?;
    let folder = tempfile::tempdir().map_err(|error| failed("a temporary folder", &error))?;
    let mut files = Vec::new();
    for (index, image) in study.images.iter().enumerate() {
        let path = folder.path().join(format!("{index:03}.dcm"));
        std::fs::write(&path, image).map_err(|error| failed("a temporary file", &error))?;
        files.push(File::open(&path).map_err(|error| failed("a temporary file", &error))?);
    }
    let target = target(bench, facts, settings);
    let mut run = StudyRun {
        study_uid: study.study_uid.clone(),
        calling_ae: target.calling_ae.clone(),
        called_ae: target.called_ae.clone(),
        address: target.address.clone(),
        images: study.images.len(),
        delivered: order.delivered,
        waited_secs: bench.options.within,
        ..StudyRun::default()
    };
    let (mut taken, begun) = (Taken::default(), Instant::now());
    let sent = store(&target, &files, |_, answer| match answer {
        Ok(_) => taken.images += 1,
        Err(error) => {
            taken.refusal.get_or_insert_with(|| error.to_string());
        }
    })
    .await;
    run.send_ms = begun.elapsed().as_secs_f64() * 1000.0;
    run.sent = Some(match sent {
        Err(error) if taken.images == 0 => Err(error.to_string()),
        Err(error) => Ok(Taken { refusal: taken.refusal.or_else(|| Some(error.to_string())), ..taken }),
        Ok(()) => Ok(taken),
    });
    if matches!(run.sent, Some(Err(_))) {
        let callers = bench.manager.list_callers(Options::new()).await.unwrap_or_default();
        let ours = |caller: &&crate::Caller| {
            caller.calling_ae == run.calling_ae && caller.called_ae == run.called_ae && caller.outcome != "accepted"
        };
        run.refused = callers.iter().find(ours).cloned();
    }
    Ok(run)
}

/// The box's own port, by the titles that it accepts.
fn target(bench: &Bench<'_>, facts: &Facts, settings: Option<&Settings>) -> Target {
    let listens = facts.status.as_ref().map(|status| status.dicom_address.clone()).unwrap_or_default();
    let called_ae = bench.options.to.clone().or_else(|| facts.ae_titles.first().cloned());
    let plain = Target {
        address: reachable(&listens),
        called_ae: called_ae.unwrap_or_else(|| "SCANSIDE".into()),
        calling_ae: bench.options.from.clone().unwrap_or_else(|| caller(&facts.senders)),
        tls: None,
    };
    settings.and_then(|settings| secured(&plain, settings)).unwrap_or(plain)
}

/// Over TLS where the box takes nothing else, with the box's own certificate.
fn secured(plain: &Target, settings: &Settings) -> Option<Target> {
    let (dicom, tls) = (&settings.dicom, &settings.dicom.tls);
    if dicom.plain != Plain::Named || dicom.sender.iter().any(|one| one.plain && one.ae_title == plain.calling_ae) {
        return None;
    }
    let mut own = DestinationTls { check: CheckBy::Ca, ..DestinationTls::default() };
    own.inherit(tls);
    Some(Target { address: reachable(&tls.listen), tls: Some(Client::from(&own)), ..plain.clone() })
}

/// Whoever listens everywhere is reached here.
fn reachable(listens: &str) -> String {
    let Ok(mut address) = listens.parse::<SocketAddr>() else { return listens.to_owned() };
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address.to_string()
}

/// Of those who may send, one who may from this box: this test by its own name, or else anybody who may from here or anywhere.
/// Where nobody may, its own name: the refusal says what is missing.
fn caller(senders: &[(String, String)]) -> String {
    let here = |address: &str| {
        address.is_empty() || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    let own = senders.is_empty() || senders.iter().any(|(title, address)| title == OWN_AE && here(address));
    let other = senders.iter().find(|(_, address)| here(address)).filter(|_| !own);
    other.map_or_else(|| OWN_AE.to_owned(), |(title, _)| title.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sends_as_somebody_who_may_send_from_this_box() {
        let senders = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(title, address)| ((*title).to_owned(), (*address).to_owned())).collect()
        };
        assert_eq!(caller(&[]), OWN_AE, "anyone may");
        assert_eq!(caller(&senders(&[("CT1", "192.0.2.1"), ("CT2", "")])), "CT2");
        assert_eq!(caller(&senders(&[("CT1", ""), ("ACCEPTANCE", "127.0.0.1")])), OWN_AE);
        assert_eq!(caller(&senders(&[("CT1", "192.0.2.1")])), OWN_AE, "nobody may: it is refused by name");
        assert_eq!(caller(&senders(&[("ACCEPTANCE", "192.0.2.1"), ("CT1", "::1")])), "CT1");
    }

    #[test]
    fn a_box_that_listens_everywhere_is_reached_on_itself() {
        assert_eq!(reachable("0.0.0.0:104"), "127.0.0.1:104");
        assert_eq!(reachable("[::]:104"), "[::1]:104");
        assert_eq!(reachable("192.0.2.5:11112"), "192.0.2.5:11112");
    }
}
