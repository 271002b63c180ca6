//! Which files with certificates the configuration names, and who needs each: listener, senders, destinations, worklist server,
//! manager, archive of earlier studies, inference hosts, the box's own service for neighbours, page.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::availability::settings::Receiver;
use crate::inference::InferenceHost;
use crate::inference::settings::InferenceService;
use crate::manager::settings::StepManager;
use crate::retrieve::settings::PriorArchive;
use crate::settings::{Destination, Dicom};
use crate::tls::expiry::{Configured, User};
use crate::tls::server::ca_file;
use crate::tls::settings::{CheckBy, DestinationTls};
use crate::ups::settings::TaskManager;
use crate::worklist::settings::WorklistServer;

/// Every file with certificates that is in use, once. `page`: the certificate of the page, if it has one. Pure.
pub fn configured(
    dicom: &Dicom,
    destinations: &BTreeMap<String, Destination>,
    worklist: &WorklistServer,
    (manager, tasks, receivers): (&StepManager, &TaskManager, &BTreeMap<String, Receiver>),
    prior: &PriorArchive,
    hosts: (&BTreeMap<String, InferenceHost>, &InferenceService),
    page: Option<&PathBuf>,
) -> Vec<Configured> {
    let mut found: BTreeMap<(PathBuf, bool), Vec<User>> = BTreeMap::new();
    let mut add = |file: &PathBuf, is_ca: bool, user: User| found.entry((file.clone(), is_ca)).or_default().push(user);
    if dicom.tls.listen().is_some() {
        dicom.tls.certificate.iter().for_each(|file| add(file, false, User::Listener));
        dicom.tls.ca.iter().for_each(|file| add(file, true, User::Listener));
        for sender in &dicom.sender {
            let file = sender.certificate.as_deref().and_then(ca_file);
            file.iter().for_each(|file| add(file, true, User::Sender(sender.ae_title.trim().to_owned())));
        }
    }
    let mut sending = |tls: &DestinationTls, user: &User| {
        tls.certificate.iter().for_each(|file| add(file, false, user.clone()));
        // One certificate is trusted by its fingerprint, whoever issued it.
        let cas = tls.ca.iter().filter(|_| tls.check != CheckBy::Fingerprint);
        cas.for_each(|file| add(file, true, user.clone()));
    };
    for (name, destination) in destinations {
        destination.tls.iter().for_each(|tls| sending(tls, &User::Destination(name.clone())));
    }
    if worklist.address.is_some() {
        worklist.tls.iter().for_each(|tls| sending(tls, &User::WorklistServer));
    }
    if manager.address.is_some() {
        manager.tls.iter().for_each(|tls| sending(tls, &User::StepManager));
    }
    if tasks.is_on() {
        tasks.tls.iter().for_each(|tls| sending(tls, &User::TaskManager));
    }
    for (name, receiver) in receivers {
        receiver.tls.iter().for_each(|tls| sending(tls, &User::Availability(name.clone())));
    }
    if prior.is_on() {
        prior.tls.iter().for_each(|tls| sending(tls, &User::PriorArchive));
    }
    let (hosts, service) = hosts;
    for (name, host) in hosts.iter().filter(|(_, host)| host.url.is_secure()) {
        host.tls.iter().for_each(|tls| sending(tls, &User::InferenceHost(name.clone())));
    }
    if service.listen().is_some() {
        service.certificate.iter().for_each(|file| add(file, false, User::InferenceService));
    }
    page.into_iter().for_each(|file| found.entry((file.clone(), false)).or_default().push(User::Page));
    found.into_iter().map(|((file, is_ca), users)| Configured { file, is_ca, users }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_file_in_use_is_found_once_with_all_who_need_it() {
        let mut dicom = Dicom::default();
        dicom.tls.ca = vec!["/ca.pem".into()];
        let to = |tls: serde_json::Value| -> Destination {
            serde_json::from_value(json!({ "address": "pacs:104", "ae_title": "PACS", "tls": tls })).unwrap()
        };
        let mut destinations = BTreeMap::from([
            ("pacs".to_owned(), to(json!({ "certificate": "/own.pem", "ca": ["/ca.pem"] }))),
            ("pinned".to_owned(), to(json!({ "check": "fingerprint", "ca": ["/ca.pem"] }))),
            ("plain".to_owned(), to(json!(false))),
        ]);
        let all = |dicom: &Dicom, destinations: &BTreeMap<String, Destination>, worklist: &WorklistServer| {
            let tls = DestinationTls { ca: vec!["/manager.pem".into()], ..DestinationTls::default() };
            let address = worklist.address.clone();
            let manager = StepManager { address, tls: Some(tls), ..StepManager::default() };
            let page = dicom.tls.certificate.as_ref().map(|_| PathBuf::from("/page.pem"));
            let tls = DestinationTls { ca: vec!["/prior.pem".into()], ..DestinationTls::default() };
            let prior = PriorArchive { address: worklist.address.clone(), tls: Some(tls), ..PriorArchive::default() };
            let tls = DestinationTls { ca: vec!["/hosts.pem".into()], ..DestinationTls::default() };
            let scheme = if worklist.address.is_some() { "https" } else { "http" };
            let url = format!("{scheme}://gpu1:8000").parse().unwrap();
            let host = InferenceHost { tls: Some(tls), ..InferenceHost::at(url) };
            let hosts = BTreeMap::from([("gpu1".to_owned(), host)]);
            let address = if worklist.address.is_some() { "0.0.0.0:8485" } else { "off" };
            let certificate = Some("/service.pem".into());
            let service = InferenceService { address: address.into(), certificate, ..InferenceService::default() };
            let hosts = (&hosts, &service);
            let found = configured(
                dicom,
                destinations,
                worklist,
                (&manager, &TaskManager::default(), &BTreeMap::new()),
                &prior,
                hosts,
                page.as_ref(),
            )
            .into_iter();
            found.map(|one| (one.file.display().to_string(), one.is_ca, one.users)).collect::<Vec<_>>()
        };
        let pacs = || User::Destination("pacs".into());
        let tls = DestinationTls { ca: vec!["/ris.pem".into()], ..DestinationTls::default() };
        let mut worklist = WorklistServer { tls: Some(tls), ..WorklistServer::default() };
        let sending = [("/ca.pem".into(), true, vec![pacs()]), ("/own.pem".into(), false, vec![pacs()])];
        assert_eq!(all(&dicom, &destinations, &worklist), sending, "the box does not listen, no server is asked");

        dicom.tls.certificate = Some("/own.pem".into());
        let sender = |certificate: &str| crate::settings::Sender {
            ae_title: "CT1 ".into(),
            certificate: Some(certificate.into()),
            ..crate::settings::Sender::default()
        };
        dicom.sender = vec![sender("/vendor.pem"), sender("sha256:00")];
        worklist.address = Some("ris:104".into());
        destinations.remove("pinned");
        let both = || vec![User::Listener, pacs()];
        let expected = [
            ("/ca.pem".into(), true, both()),
            ("/hosts.pem".into(), true, vec![User::InferenceHost("gpu1".into())]),
            ("/manager.pem".into(), true, vec![User::StepManager]),
            ("/own.pem".into(), false, both()),
            ("/page.pem".into(), false, vec![User::Page]),
            ("/prior.pem".into(), true, vec![User::PriorArchive]),
            ("/ris.pem".into(), true, vec![User::WorklistServer]),
            ("/service.pem".into(), false, vec![User::InferenceService]),
            ("/vendor.pem".into(), true, vec![User::Sender("CT1".into())]),
        ];
        assert_eq!(all(&dicom, &destinations, &worklist), expected);
    }
}
