//! The table of peers and services in the conformance statement: what is said there is what tests have tried.
//!
//! A test that has tried a service with a peer that nobody here wrote says so by [`tried`], which fails when the table does not. And a
//! test here fails when the table says "yes" where no test does.

use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Dcmtk,
    Orthanc,
    Pynetdicom,
    DicomwebClient,
    OpenSsl,
    /// The HTTP server, parser and reader of Python, with pydicom.
    Python,
}

/// `In`: the peer asks the box. `Out`: the box asks the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    EchoIn,
    EchoOut,
    StoreIn,
    StoreOut,
    CommitmentIn,
    CommitmentOut,
    MppsIn,
    MppsOut,
    WorklistIn,
    WorklistOut,
    FindOut,
    GetOut,
    MoveOut,
    TlsIn,
    TlsOut,
    IdentityIn,
    TasksOut,
    NoticesOut,
    QidoIn,
    WadoIn,
    StowOut,
}

impl Program {
    #[cfg(test)]
    const ALL: [Self; 6] =
        [Self::Dcmtk, Self::Orthanc, Self::Pynetdicom, Self::DicomwebClient, Self::OpenSsl, Self::Python];

    /// The head of its column.
    fn head(self) -> &'static str {
        match self {
            Self::Dcmtk => "DCMTK",
            Self::Orthanc => "Orthanc",
            Self::Pynetdicom => "pynetdicom",
            Self::DicomwebClient => "dicomweb-client",
            Self::OpenSsl => "OpenSSL",
            Self::Python => "Python",
        }
    }
}

impl Service {
    #[cfg(test)]
    const ALL: [Self; 21] = [
        Self::EchoIn,
        Self::EchoOut,
        Self::StoreIn,
        Self::StoreOut,
        Self::CommitmentIn,
        Self::CommitmentOut,
        Self::MppsIn,
        Self::MppsOut,
        Self::WorklistIn,
        Self::WorklistOut,
        Self::FindOut,
        Self::GetOut,
        Self::MoveOut,
        Self::TlsIn,
        Self::TlsOut,
        Self::IdentityIn,
        Self::TasksOut,
        Self::NoticesOut,
        Self::QidoIn,
        Self::WadoIn,
        Self::StowOut,
    ];

    /// The head of its row.
    fn head(self) -> &'static str {
        match self {
            Self::EchoIn => "C-ECHO to the box",
            Self::EchoOut => "C-ECHO from the box",
            Self::StoreIn => "C-STORE to the box",
            Self::StoreOut => "C-STORE from the box",
            Self::CommitmentIn => "storage commitment that the peer asks",
            Self::CommitmentOut => "storage commitment that the box asks",
            Self::MppsIn => "MPPS to the box",
            Self::MppsOut => "MPPS from the box",
            Self::WorklistIn => "worklist that the peer asks",
            Self::WorklistOut => "worklist that the box asks",
            Self::FindOut => "C-FIND of studies from the box",
            Self::GetOut => "C-GET from the box",
            Self::MoveOut => "C-MOVE that the box asks",
            Self::TlsIn => "TLS to the box",
            Self::TlsOut => "TLS from the box",
            Self::IdentityIn => "user identity to the box",
            Self::TasksOut => "tasks (UPS) that the box performs",
            Self::NoticesOut => "notice of available results from the box",
            Self::QidoIn => "QIDO-RS of the box",
            Self::WadoIn => "WADO-RS of the box",
            Self::StowOut => "STOW-RS, QIDO-RS from the box",
        }
    }
}

/// The cell of the table of `document`; `None`: it has no such row or column.
fn cell(document: &str, peer: Program, service: Service) -> Option<&str> {
    let mut lines = document.lines().skip_while(|line| !line.starts_with("| tried with |"));
    let cells = |line| -> Vec<&str> { str::split(line, '|').map(str::trim).collect() };
    let column = cells(lines.next()?).iter().position(|head| *head == peer.head())?;
    let row =
        lines.take_while(|line| line.starts_with('|')).map(cells).find(|row| row.get(1) == Some(&service.head()))?;
    row.get(column).copied()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/dicom-conformance.md")).unwrap_or_default()
}

/// Says that the test has tried these services with this peer. Call it at the end of the test.
///
/// # Panics
/// When the conformance statement does not say so.
#[track_caller]
pub fn tried(peer: Program, services: &[Service]) {
    let document = document();
    for service in services {
        let cell = cell(&document, peer, *service);
        let (row, column) = (service.head(), peer.head());
        assert_eq!(
            cell,
            Some("yes"),
            "the table in docs/dicom-conformance.md says this of {row:?} with {column}, and it was tried"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All Rust files below `folder`.
    fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                into.push(path);
            }
        }
    }

    /// What tests say that they have tried: `tried(Program::Orthanc, &[Service::StowOut])`.
    fn said(text: &str) -> Vec<(String, String)> {
        let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric()).collect::<String>();
        let mut all = Vec::new();
        for call in text.split("tried(").skip(1) {
            let Some(call) = call.trim_start().strip_prefix("Program::") else { continue };
            let call = call.split(");").next().unwrap_or_default();
            all.extend(call.split("Service::").skip(1).map(|service| (name(call), name(service))));
        }
        all
    }

    #[test]
    fn the_table_of_peers_says_yes_where_a_test_has_tried_it_and_nowhere_else() {
        let mut files = Vec::new();
        for folder in ["daemon", "hil-tests/src", "hil-tests/tests"] {
            sources(&root().join(folder), &mut files);
        }
        let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
        let said: Vec<_> = texts.flat_map(|text| said(&text)).collect();
        let document = document();
        for peer in Program::ALL {
            for service in Service::ALL {
                let is_tried = said.contains(&(format!("{peer:?}"), format!("{service:?}")));
                let cell = cell(&document, peer, service).expect("a row for each service, a column for each peer");
                assert_eq!(cell == "yes", is_tried, "{:?} with {}: {cell:?}", service.head(), peer.head());
                assert!(["yes", "no", "-"].contains(&cell), "{cell:?}");
            }
        }
    }

    #[test]
    fn calls_are_read_in_one_line_and_in_several() {
        let text = "tried(Program::Orthanc, &[Service::EchoIn]); tried(\n  Program::Dcmtk,\n &[\nService::TlsIn,\nService::StoreIn,\n]);";
        let expected = [("Orthanc", "EchoIn"), ("Dcmtk", "TlsIn"), ("Dcmtk", "StoreIn")];
        assert_eq!(said(text), expected.map(|(peer, service)| (peer.to_owned(), service.to_owned())));
    }
}
