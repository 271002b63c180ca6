//! The login for other machines: one token for the site, a random cookie for each browser.
//!
//! A wrong token makes its own address wait, and no other: guesses from elsewhere cannot lock the right token out.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use custody::audit::{Audit, Entry};
use node::subscriber;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const COOKIE: &str = "scanside";
/// How long a login lasts: a working day.
const LASTS: Duration = Duration::from_secs(12 * 3600);
/// The most logins; above it the oldest ends.
const MOST: usize = 64;
/// Delay after a wrong token, which makes guessing impractical. Until it has passed, further tokens from the same
/// address are not looked at.
const PENALTY: Duration = Duration::from_secs(1);
/// Addresses whose delay is remembered; above it the delay that ends first is forgotten.
const MOST_DELAYED: usize = 1024;
/// Wrong tokens whose answer is held back at the same time, over all addresses; bounds the memory. Above it a wrong
/// token is answered at once, and its address is delayed all the same.
const AT_ONCE: usize = 32;
/// Wrong tokens get one line in the log in this time.
const TOLD_EVERY: Duration = Duration::from_secs(10);
const SHORTEST: usize = 16;

type Hash = [u8; 32];

fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    WrongToken,
    /// This address has given a wrong token a moment ago.
    Busy,
    /// No token is configured, or the system has no random numbers.
    Closed,
}

#[derive(Debug)]
struct Login {
    cookie: Hash,
    pass: Pass,
    /// From where the cookie was shown last.
    address: IpAddr,
}

impl Drop for Login {
    fn drop(&mut self) {
        self.pass.over.cancel();
    }
}

/// What a login allows: as long as it lasts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pass {
    until: Instant,
    over: CancellationToken,
}

impl Pass {
    fn new() -> Self {
        Self { until: Instant::now() + LASTS, over: CancellationToken::new() }
    }

    /// Waits until the login has ended: its time is over, somebody has logged out, or too many others came.
    pub async fn ended(&self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.until) => {}
            () = self.over.cancelled() => {}
        }
    }
}

/// Wrong tokens.
#[derive(Debug, Default)]
struct Wrong {
    /// Until when an address is not listened to.
    delayed: HashMap<IpAddr, Instant>,
    told: Option<Instant>,
    since_told: u64,
}

impl Wrong {
    fn is_delayed(&self, address: IpAddr) -> bool {
        self.delayed.get(&address).is_some_and(|until| *until > Instant::now())
    }

    fn delay(&mut self, address: IpAddr) {
        let now = Instant::now();
        self.delayed.retain(|_, until| *until > now);
        while self.delayed.len() >= MOST_DELAYED
            && let Some(first) = self.delayed.iter().min_by_key(|(_, until)| **until).map(|(address, _)| *address)
        {
            self.delayed.remove(&first);
        }
        self.delayed.insert(address, now + PENALTY);
    }

    /// Counts an attempt. Returns how many there were since the last line in the log, when it is time for one.
    fn count(&mut self) -> Option<u64> {
        self.since_told += 1;
        let now = Instant::now();
        if self.told.is_some_and(|told| now < told + TOLD_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.since_told))
    }
}

/// The logins. It has only hashes, so that neither token nor cookies can appear in a log.
#[derive(Debug)]
pub struct Door {
    token: Option<Hash>,
    logins: Mutex<VecDeque<Login>>,
    wrong: Mutex<Wrong>,
    held_back: Semaphore,
    pub audit: Audit,
    /// Other machines get the page by TLS only: a browser gives the cookie to nobody else.
    pub is_secure: bool,
}

impl Door {
    /// Without a token file no login is possible, and only this machine has access.
    ///
    /// # Errors
    /// When the file cannot be read or its first line is too short.
    pub fn new(token_file: Option<&Path>) -> Result<Self, String> {
        let token = token_file.map(read).transpose()?;
        let (logins, wrong, audit) = (Mutex::default(), Mutex::default(), Audit::default());
        Ok(Self { token, logins, wrong, held_back: Semaphore::new(AT_ONCE), audit, is_secure: false })
    }

    /// Checks a token that came from `from`. Returns the value of `Set-Cookie`.
    ///
    /// # Errors
    /// [`Denied`]; after a delay if the token is wrong.
    pub async fn enter(&self, token: &str, from: IpAddr) -> Result<String, Denied> {
        let wanted = self.token.ok_or(Denied::Closed)?;
        let address = subscriber(from);
        if !self.is_right(token, &wanted, from, address)? {
            if let Ok(_held_back) = self.held_back.try_acquire() {
                tokio::time::sleep(PENALTY).await;
            }
            return Err(Denied::WrongToken);
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| Denied::Closed)?;
        let cookie = hex::encode(random);
        let mut logins = self.logins();
        logins.push_back(Login { cookie: hash(&cookie), pass: Pass::new(), address });
        while logins.len() > MOST {
            logins.pop_front();
        }
        drop(logins);
        // Nobody waits for the disk.
        self.audit.later(Entry { who: &format!("page {from}"), what: "login", object: "page", result: "allowed" });
        Ok(self.cookie(&cookie, LASTS))
    }

    /// Ends the login whose cookie a request shows, and with it what is open by it. Returns the value of `Set-Cookie`.
    pub fn leave(&self, headers: &HeaderMap, from: IpAddr) -> String {
        let shown: Vec<Hash> = shown(headers).collect();
        let mut logins = self.logins();
        let before = logins.len();
        logins.retain(|login| !shown.iter().any(|one| bool::from(login.cookie.ct_eq(one))));
        let ended = logins.len() < before;
        drop(logins);
        if ended {
            self.audit.later(Entry { who: &format!("page {from}"), what: "logout", object: "page", result: "done" });
        }
        self.cookie("", Duration::ZERO)
    }

    fn cookie(&self, value: &str, lasts: Duration) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{COOKIE}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}", lasts.as_secs())
    }

    /// Looks at the token unless its address is delayed, and delays the address if it is wrong. One step under one
    /// lock, so that many attempts at once are not looked at together.
    fn is_right(&self, token: &str, wanted: &Hash, from: IpAddr, address: IpAddr) -> Result<bool, Denied> {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let delayed = wrong.is_delayed(address);
        if !delayed && bool::from(hash(token.trim()).ct_eq(wanted)) {
            return Ok(true);
        }
        if let Some(attempts) = wrong.count() {
            tracing::warn!(address = %from, attempts, "live page: a login with a wrong token was refused");
        }
        // By the address that waits, so that one network of many addresses is one caller.
        let (who, result) = (format!("page {address}"), "refused: wrong token");
        self.audit.refused(Entry { who: &who, what: "login", object: "page", result });
        if delayed {
            return Err(Denied::Busy);
        }
        wrong.delay(address);
        Ok(false)
    }

    /// The login whose cookie the request shows. Its address counts as logged in from now on.
    pub fn knows(&self, headers: &HeaderMap, from: IpAddr) -> Option<Pass> {
        let mut logins = self.logins();
        logins.retain(|login| login.pass.until > Instant::now());
        for shown in shown(headers) {
            if let Some(login) = logins.iter_mut().find(|login| bool::from(login.cookie.ct_eq(&shown))) {
                login.address = subscriber(from);
                return Some(login.pass.clone());
            }
        }
        None
    }

    /// Whether the request shows the token itself, as programs do (`Authorization: Bearer`). A wrong one is delayed like
    /// at the login.
    pub fn is_shown_token(&self, headers: &HeaderMap, from: IpAddr) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (Some(token), Some(wanted)) = (shown.and_then(|value| value.strip_prefix("Bearer ")), self.token) else {
            return false;
        };
        self.is_right(token, &wanted, from, subscriber(from)) == Ok(true)
    }

    /// Whether a login was used last from this address.
    pub fn has_login_from(&self, address: IpAddr) -> bool {
        let (address, now) = (subscriber(address), Instant::now());
        self.logins().iter().any(|login| login.address == address && login.pass.until > now)
    }

    fn logins(&self) -> MutexGuard<'_, VecDeque<Login>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cookies of this page that a request shows.
fn shown(headers: &HeaderMap) -> impl Iterator<Item = Hash> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let ours = cookies.flat_map(|all| all.split(';')).filter_map(|one| one.trim().split_once('='));
    ours.filter(|(name, _)| *name == COOKIE).map(|(_, value)| hash(value))
}

fn read(file: &Path) -> Result<Hash, String> {
    use std::os::unix::fs::PermissionsExt;
    let told = |error: std::io::Error| format!("console.token_file {}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(told)?;
    let token = text.lines().next().unwrap_or_default().trim();
    if token.len() < SHORTEST {
        return Err(format!("console.token_file {}: fewer than {SHORTEST} characters", file.display()));
    }
    if std::fs::metadata(file).map_err(told)?.permissions().mode() & 0o007 != 0 {
        tracing::warn!(file = %file.display(), "all users of this machine can read console.token_file; restrict its permissions");
    }
    Ok(hash(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Door {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "correct horse battery\nsecond line\n").unwrap();
        Door::new(Some(file.path())).unwrap()
    }

    fn shown(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = format!("other=1; {}", cookie.split(';').next().unwrap());
        headers.insert(header::COOKIE, value.parse().unwrap());
        headers
    }

    const TABLET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 8));
    const TOKEN: &str = "correct horse battery";

    #[tokio::test(start_paused = true)]
    async fn a_login_lasts_a_day_and_a_wrong_token_takes_its_time() {
        let door = door();
        let begun = Instant::now();
        assert_eq!(door.enter("correct horse", TABLET).await, Err(Denied::WrongToken));
        assert!(begun.elapsed() >= PENALTY);
        let cookie = door.enter(" correct horse battery ", TABLET).await.unwrap();
        assert!(cookie.ends_with("HttpOnly; SameSite=Strict"), "{cookie}");
        assert!(
            door.knows(&shown(&cookie), TABLET).is_some() && door.has_login_from(TABLET) && !door.has_login_from(OTHER)
        );
        assert!(
            door.knows(&shown(&cookie), OTHER).is_some() && door.has_login_from(OTHER),
            "the tablet got another address"
        );
        assert!(
            door.knows(&shown("scanside=0000"), TABLET).is_none() && door.knows(&HeaderMap::new(), TABLET).is_none()
        );
        tokio::time::advance(LASTS).await;
        assert!(!door.has_login_from(OTHER) && door.knows(&shown(&cookie), TABLET).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_guesses_waits_and_the_right_token_from_another_does_not() {
        let door = door();
        let guesses: Vec<_> = (0..50).map(|n| n.to_string()).collect();
        let all = futures_util::future::join_all(guesses.iter().map(|guess| door.enter(guess, OTHER)));
        let right = async {
            let begun = Instant::now();
            let entered = door.enter(TOKEN, TABLET).await;
            (entered.is_ok(), begun.elapsed())
        };
        let (answers, right) = futures_util::future::join(all, right).await;
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Denied::WrongToken)).count(), 1, "looked at");
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Denied::Busy)).count(), 49, "not looked at");
        assert_eq!(right, (true, Duration::ZERO));
        assert!(door.enter("a guess", OTHER).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_from_very_many_addresses_do_not_lock_the_right_token_out_nor_fill_the_memory() {
        let door = door();
        let guesses = (0..u32::try_from(2 * MOST_DELAYED).unwrap()).map(|number| {
            let from = IpAddr::V4(std::net::Ipv4Addr::from(0x0a00_0000 + number));
            let door = &door;
            async move { door.enter("a guess", from).await }
        });
        let all = futures_util::future::join_all(guesses);
        let (_, right) = futures_util::future::join(all, door.enter(TOKEN, TABLET)).await;
        assert!(right.is_ok());
        assert!(door.wrong.lock().unwrap().delayed.len() <= MOST_DELAYED);
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_tokens_get_one_line_in_the_log_for_many() {
        let mut wrong = Wrong::default();
        assert_eq!([wrong.count(), wrong.count(), wrong.count()], [Some(1), None, None]);
        tokio::time::advance(TOLD_EVERY).await;
        assert_eq!(wrong.count(), Some(3), "those that had no line are counted");
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_only_so_many_logins_and_the_oldest_ends() {
        let door = door();
        let mut first = None;
        for _ in 0..=MOST {
            let cookie = door.enter(TOKEN, TABLET).await.unwrap();
            first.get_or_insert(cookie);
        }
        assert!(door.knows(&shown(&first.unwrap()), TABLET).is_none());
    }

    /// A picture of a patient would go on moving on a tablet that somebody left.
    #[tokio::test(start_paused = true)]
    async fn what_is_open_by_a_login_ends_with_it_and_another_login_goes_on() {
        let door = door();
        let (first, second) = (door.enter(TOKEN, TABLET).await.unwrap(), door.enter(TOKEN, OTHER).await.unwrap());
        let begun = Instant::now();
        let [one, other] = [(&first, TABLET), (&second, OTHER)].map(|(c, from)| door.knows(&shown(c), from).unwrap());
        let gone = door.leave(&shown(&first), TABLET);
        assert!(gone.starts_with("scanside=; ") && gone.contains("Max-Age=0; "), "{gone}");
        one.ended().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "at once");
        assert!(door.knows(&shown(&first), TABLET).is_none() && !door.has_login_from(TABLET));
        assert!(door.knows(&shown(&second), OTHER).is_some());
        other.ended().await;
        assert_eq!(begun.elapsed(), LASTS, "when its day is over");
    }

    #[test]
    fn a_token_that_is_short_or_not_there_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "short\n").unwrap();
        assert!(Door::new(Some(file.path())).unwrap_err().ends_with("fewer than 16 characters"));
        assert!(Door::new(Some(Path::new("/nonexistent"))).unwrap_err().contains("No such file"));
    }
}
