//! `cert`: a small CA for a site, and the certificates of the box and its peers. Files only: no daemon and no network.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use hal::clock::is_synchronised;
use hal::root::Root;
use jiff::{SignedDuration, Timestamp};
use node::tls::certificate::{self, Certificate};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, SubjectPublicKeyInfo,
    date_time_ymd,
};
use serde::Serialize;

use super::args::{CA_DAYS, CertCommand, MACHINE_DAYS};
use super::failure::Failure;
use super::output::{Output, field};

/// Before the moment of issue, because the peer's clock may be behind.
const BEGINS_BEFORE: SignedDuration = SignedDuration::from_hours(24);
const DAY_SECS: i64 = 24 * 3600;

/// One file as `show` prints it; the JSON of all commands.
#[derive(Debug, Serialize)]
struct Shown {
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<PathBuf>,
    subject: String,
    issuer: String,
    fingerprint: String,
    is_ca: bool,
    /// `YYYY-MM-DD`, UTC.
    expires: String,
    /// By this machine's clock; below 0: it has expired.
    days_left: i64,
}

pub fn run(command: &CertCommand, output: &Output) -> Result<(), Failure> {
    // Every file that is made here is for its owner only until it says otherwise.
    super::keep_private();
    match command {
        CertCommand::Ca { directory, name, days, force } => {
            let (key, params) = (new_key()?, ca_params(name, *days)?);
            let certificate = params.self_signed(&key).map_err(|error| cannot("make the certificate", &error))?;
            issued(&Files::of(directory, "ca"), &key, &certificate.pem(), *force, output)
        }
        CertCommand::Make { name, hosts, directory, days, force } => {
            let (key, params) = (new_key()?, machine_params(name, hosts, *days)?);
            let certificate =
                params.signed_by(&key, &issuer(directory)?).map_err(|error| cannot("make the certificate", &error))?;
            issued(&Files::of(directory, name), &key, &certificate.pem(), *force, output)
        }
        CertCommand::Request { name, hosts, directory, force } => request(name, hosts, directory, *force, output),
        CertCommand::Sign { request, directory, days, force } => sign(request, directory, *days, *force, output),
        CertCommand::Renew { file, directory, days } => renew(file, directory.as_deref(), *days, output),
        CertCommand::Show { files } => {
            let mut all = Vec::new();
            for file in files {
                all.append(&mut shown(file, None)?);
            }
            show(&all, output)
        }
    }
}

/// Writes a new key and its certificate, and shows them.
fn issued(files: &Files, key: &KeyPair, pem: &str, force: bool, output: &Output) -> Result<(), Failure> {
    files.write_key(key, force)?;
    write(&files.certificate, pem, 0o644, force)?;
    clock_note(output);
    show(&[files.shown()?], output)
}

/// A request to another CA, with the key that stays here. A key that exists is used again.
fn request(name: &str, hosts: &[String], directory: &Path, force: bool, output: &Output) -> Result<(), Failure> {
    let files = Files::of(directory, name);
    let key = if files.key.exists() && !force {
        read_key(&files.key)?
    } else {
        let key = new_key()?;
        files.write_key(&key, force)?;
        key
    };
    let mut params = machine_params(name, hosts, 1)?;
    // The CA decides about these.
    params.serial_number = None;
    params.use_authority_key_identifier_extension = false;
    let request = params.serialize_request(&key).and_then(|request| request.pem());
    let request = request.map_err(|error| cannot("make the request", &error))?;
    let file = directory.join(format!("{name}.csr"));
    write(&file, &request, 0o644, true)?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "request": file, "key": files.key }));
    }
    output.line(&format!(
        "{} is for the CA; {} stays here. Put the certificate that comes back into {}.",
        file.display(),
        files.key.display(),
        files.certificate.display()
    ))
}

/// Signs the request of a peer that has made its own key. Name and hosts are the request's; whether it is a CA and what it may
/// be used for are not.
fn sign(request: &Path, directory: &Path, days: u32, force: bool, output: &Output) -> Result<(), Failure> {
    let text = fs::read_to_string(request).map_err(|error| unreadable(request, &error))?;
    let mut asked = CertificateSigningRequestParams::from_pem(&text).map_err(|error| {
        Failure::new(format!("{}: {error}", request.display()), "give a certificate request in PEM form")
    })?;
    let mut params = machine_params("", &[], days)?;
    params.subject_alt_names = asked.params.subject_alt_names;
    params.distinguished_name = asked.params.distinguished_name;
    asked.params = params;
    let certificate = asked.signed_by(&issuer(directory)?).map_err(|error| cannot("sign the request", &error))?;
    let file = request.with_extension("pem");
    write(&file, &certificate.pem(), 0o644, force)?;
    clock_note(output);
    show(&shown(&file, None)?, output)
}

/// The same names and the same key, with new dates. Of a CA: what it has issued stays good.
fn renew(file: &Path, directory: Option<&Path>, days: Option<u32>, output: &Output) -> Result<(), Failure> {
    let old = first(file)?;
    let (_, parsed) = x509(&old, file)?;
    let days = days.unwrap_or_else(|| if parsed.is_ca() { CA_DAYS } else { MACHINE_DAYS });
    let directory = directory.or_else(|| file.parent()).unwrap_or_else(|| Path::new("."));
    let pem = if parsed.is_ca() {
        let key = read_key(&file.with_extension("key"))?;
        let mut params = ca_params("", days)?;
        params.distinguished_name = names(&parsed);
        params.self_signed(&key).map_err(|error| cannot("renew the certificate", &error))?.pem()
    } else {
        let mut params = machine_params("", &[], days)?;
        params.distinguished_name = names(&parsed);
        params.subject_alt_names = hosts_of(&parsed)?;
        let key = SubjectPublicKeyInfo::from_der(parsed.public_key().raw)
            .map_err(|error| cannot("use the certificate's key", &error))?;
        params.signed_by(&key, &issuer(directory)?).map_err(|error| cannot("renew the certificate", &error))?.pem()
    };
    write(file, &pem, 0o644, true)?;
    clock_note(output);
    show(&shown(file, None)?, output)
}

/// Where certificate and key of one name lie.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn of(directory: &Path, name: &str) -> Self {
        let file = |ending| directory.join(format!("{name}.{ending}"));
        Self { certificate: file("pem"), key: file("key") }
    }

    fn write_key(&self, key: &KeyPair, force: bool) -> Result<(), Failure> {
        write(&self.key, &key.serialize_pem(), 0o600, force)
    }

    fn shown(&self) -> Result<Shown, Failure> {
        let mut shown = shown(&self.certificate, Some(&self.key))?;
        Ok(shown.swap_remove(0))
    }
}

fn new_key() -> Result<KeyPair, Failure> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| cannot("make a key", &error))
}

fn read_key(file: &Path) -> Result<KeyPair, Failure> {
    let text = fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    KeyPair::from_pem(&text).map_err(|error| {
        Failure::new(
            format!("{}: {error}", file.display()),
            "give a private key in PEM form (PKCS #8) without a password",
        )
    })
}

/// The CA of a directory.
fn issuer(directory: &Path) -> Result<Issuer<'static, KeyPair>, Failure> {
    let files = Files::of(directory, "ca");
    if !files.certificate.exists() {
        let message = format!("there is no CA in {}", directory.display());
        return Err(Failure::new(
            message,
            "make one with `scansidectl cert ca`, or `cert request` for the hospital's CA",
        ));
    }
    let key = read_key(&files.key)?;
    let text = fs::read_to_string(&files.certificate).map_err(|error| unreadable(&files.certificate, &error))?;
    Issuer::from_ca_cert_pem(&text, key).map_err(|error| {
        Failure::new(format!("{}: {error}", files.certificate.display()), "is it the certificate of a CA?")
    })
}

fn ca_params(name: &str, days: u32) -> Result<CertificateParams, Failure> {
    let mut params = dated(days)?;
    params.distinguished_name.push(DnType::CommonName, name);
    // It issues certificates of machines, not of other CAs.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Of a machine that both connects and is connected to, as every DICOM node.
fn machine_params(name: &str, hosts: &[String], days: u32) -> Result<CertificateParams, Failure> {
    let mut params = dated(days)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = hosts.iter().map(|host| host_name(host)).collect::<Result<_, _>>()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn dated(days: u32) -> Result<CertificateParams, Failure> {
    let now = Timestamp::now();
    let moment = |offset: SignedDuration| {
        let day = now.checked_add(offset).ok().map(|moment| moment.to_zoned(jiff::tz::TimeZone::UTC).date());
        let day = day.filter(|day| day.year() >= 1970);
        let day = day.ok_or_else(|| {
            Failure::new(format!("{days} days from now lie beyond the calendar"), "give fewer --days")
        })?;
        let (month, of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
        Ok::<_, Failure>(date_time_ymd(i32::from(day.year()), month, of_month))
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = moment(-BEGINS_BEFORE)?;
    params.not_after = moment(SignedDuration::from_secs(i64::from(days) * DAY_SECS))?;
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|error| Failure::new(format!("no random numbers: {error}"), "try again"))?;
    // Positive, as RFC 5280 section 4.1.2.2 wants it.
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

/// A DNS name or an address in a certificate.
fn host_name(host: &str) -> Result<SanType, Failure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let plain = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.*".contains(c));
    let name = Ia5String::try_from(host).ok().filter(|_| plain);
    name.map(SanType::DnsName).ok_or_else(|| {
        Failure::new(format!("{host:?} is neither the name of a machine nor an address"), "without a port")
    })
}

fn x509<'a>(der: &'a [u8], file: &Path) -> Result<(&'a [u8], x509_parser::certificate::X509Certificate<'a>), Failure> {
    x509_parser::parse_x509_certificate(der)
        .map_err(|error| Failure::new(format!("{}: {error}", file.display()), "give a certificate in PEM form"))
}

/// Common name and organisation.
fn names(parsed: &x509_parser::certificate::X509Certificate<'_>) -> rcgen::DistinguishedName {
    let mut names = rcgen::DistinguishedName::new();
    let subject = parsed.subject();
    for (kind, found) in [
        (DnType::OrganizationName, subject.iter_organization().next()),
        (DnType::CommonName, subject.iter_common_name().next()),
    ] {
        if let Some(text) = found.and_then(|found| found.as_str().ok()) {
            names.push(kind, text);
        }
    }
    names
}

fn hosts_of(parsed: &x509_parser::certificate::X509Certificate<'_>) -> Result<Vec<SanType>, Failure> {
    use x509_parser::extensions::GeneralName;
    let Ok(Some(found)) = parsed.subject_alternative_name() else { return Ok(Vec::new()) };
    let of = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(host_name(name)),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = address.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| Ok(SanType::IpAddress(address)))
        }
        _ => None,
    };
    found.value.general_names.iter().filter_map(of).collect()
}

/// Written beside and renamed, so that nobody reads half a file. It belongs to whoever owns the directory: with sudo the daemon's
/// user must still be able to read its key.
fn write(file: &Path, text: &str, mode: u32, force: bool) -> Result<(), Failure> {
    let unwritable = |error: std::io::Error| {
        Failure::new(format!("{}: {error}", file.display()), "does the directory exist, and may you write there?")
    };
    if file.exists() && !force {
        let message = format!("{} exists", file.display());
        return Err(Failure::new(message, "use `cert renew` for new dates, another name, or --force to replace it"));
    }
    let beside = file.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(unwritable(error)),
        _ => {}
    }
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(unwritable)?;
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(unwritable)?;
    // A stick has neither owners nor modes; what everyone may read needs none.
    let public = mode & 0o004 != 0;
    let set = give_to_the_owner_of_the_directory(&beside, file)
        .and_then(|()| fs::set_permissions(&beside, Permissions::from_mode(mode)));
    if !public {
        set.map_err(unwritable)?;
    }
    fs::rename(&beside, file).map_err(unwritable)
}

fn give_to_the_owner_of_the_directory(beside: &Path, file: &Path) -> std::io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let (owner, made) = (fs::metadata(directory)?, fs::metadata(beside)?);
    if rustix::process::geteuid().is_root() && owner.uid() != made.uid() {
        chown(beside, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

fn first(file: &Path) -> Result<Vec<u8>, Failure> {
    let found = certificate::read("certificate", file).map_err(|error| Failure::new(error.to_string(), ""))?;
    Ok(found.first().map(|der| der.to_vec()).unwrap_or_default())
}

/// Every certificate of a file.
fn shown(file: &Path, key: Option<&Path>) -> Result<Vec<Shown>, Failure> {
    let found = certificate::read("certificate", file)
        .map_err(|error| Failure::new(error.to_string(), "give a file with certificates in PEM form"))?;
    let today = Timestamp::now().as_second();
    let shown = |der: &[u8]| {
        let certificate = Certificate::of(der)
            .map_err(|error| Failure::new(format!("{} {error}", file.display()), "give another file"))?;
        Ok(Shown {
            file: file.to_owned(),
            key: key.map(Path::to_owned),
            expires: certificate.expires(),
            days_left: (certificate.not_after - today).div_euclid(DAY_SECS),
            fingerprint: certificate.fingerprint.to_string(),
            subject: certificate.subject,
            issuer: certificate.issuer,
            is_ca: certificate.is_ca,
        })
    };
    found.iter().map(|der| shown(der)).collect()
}

fn show(all: &[Shown], output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&all);
    }
    for shown in all {
        let mut table = output.table(&[]);
        let what = if shown.is_ca { "CA" } else { "Certificate" };
        field(&mut table, what, shown.file.display().to_string());
        if let Some(key) = &shown.key {
            field(&mut table, "Key", key.display().to_string());
        }
        field(&mut table, "Subject", shown.subject.as_str());
        field(&mut table, "Issuer", shown.issuer.as_str());
        field(&mut table, "Fingerprint", shown.fingerprint.as_str());
        let left = match shown.days_left {
            ..0 => "has expired".to_owned(),
            days => format!("in {days} days"),
        };
        field(&mut table, "Expires", format!("{} ({left})", shown.expires));
        output.print(table)?;
    }
    Ok(())
}

fn clock_note(output: &Output) {
    if !is_synchronised(&Root::default()) {
        output.note("No time server has set this machine's clock: check that the dates below are right.");
    }
}

fn cannot(what: &str, error: &rcgen::Error) -> Failure {
    Failure::new(format!("cannot {what}: {error}"), "try again; if it stays, report this as a bug")
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}", file.display()), "does it exist, and may you read it?")
}
