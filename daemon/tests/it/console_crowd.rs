//! The page beside a crowd: connections that hold places without using them, and guesses of the token. Strangers come
//! from an address of this machine that is not loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use config::settings::Console;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::console::elsewhere;
use super::console_support::{Answer, Site, within};

const TOKEN: &str = "a token of this box";
/// More than the server has places for.
const CROWD: usize = 200;
/// What a person who opens the page should wait at most, on a loaded machine.
const SOON: Duration = Duration::from_secs(2);

async fn site() -> (Site, NamedTempFile) {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    let settings =
        Console { address: "0.0.0.0:0".into(), token_file: Some(file.path().to_owned()), ..Console::default() };
    (Site::with(settings).await, file)
}

/// Connections that send `first` and then nothing; those that the server refused are kept out.
async fn crowd(address: SocketAddr, first: &str) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        let _ = stream.write_all(first.as_bytes()).await;
        crowd.push(stream);
    }
    crowd
}

/// A request on a connection of its own, from the address `from`; `None` when the server closed without an answer.
async fn ask_from(from: IpAddr, to: SocketAddr, what: &str, more: &str, body: &str) -> Option<Answer> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(to).await.ok()?;
    let length = body.len();
    let head = format!("{what} HTTP/1.1\r\nHost: {to}\r\nOrigin: http://{to}\r\n{more}Content-Length: {length}\r\n");
    let request = format!("{head}Content-Type: application/json\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    within("an answer", stream.read_to_end(&mut answer)).await.ok()?;
    (!answer.is_empty()).then(|| Answer::of(&String::from_utf8_lossy(&answer)))
}

async fn kiosk_gets_in(site: &Site) {
    let begun = Instant::now();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let address = SocketAddr::new(here, site.address.port());
    let answer = ask_from(here, address, "GET /session", "", "").await;
    assert_eq!(answer.map(|answer| answer.status), Some(204), "the kiosk is let in");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

fn login(token: &str) -> String {
    format!("{{\"token\":\"{token}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_dripping_connections_from_elsewhere_do_not_keep_the_kiosk_out() {
    let Some(address) = elsewhere() else { return };
    for first in ["", "GET / HTTP/1.1\r\nHost: "] {
        let (site, _file) = site().await;
        let there = SocketAddr::new(address, site.address.port());
        let _crowd = crowd(there, first).await;
        kiosk_gets_in(&site).await;
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_on_this_machine_do_not_keep_the_kiosk_out() {
    let (site, _file) = site().await;
    let _crowd = crowd(site.address, "").await;
    kiosk_gets_in(&site).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_logged_in_gets_in_beside_a_crowd_that_keeps_asking() {
    let Some(address) = elsewhere() else { return };
    let (site, _file) = site().await;
    let there = SocketAddr::new(address, site.address.port());
    let first = ask_from(address, there, "POST /login", "", &login(TOKEN)).await.unwrap();
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let _crowd = crowd(there, &format!("GET /login HTTP/1.1\r\nHost: {there}\r\n\r\n")).await;
    let answer = ask_from(address, there, "GET /session", &format!("Cookie: {cookie}\r\n"), "").await;
    assert_eq!(answer.map(|answer| answer.status), Some(204), "who is logged in is let in");
    kiosk_gets_in(&site).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_from_one_address_do_not_lock_the_right_token_out_of_another() {
    let Some(address) = elsewhere() else { return };
    let (site, _file) = site().await;
    let port = site.address.port();
    let guesses = (0..40).map(|number| {
        let guess = login(&format!("guess number {number} of many"));
        tokio::spawn(async move { ask_from(address, (address, port).into(), "POST /login", "", &guess).await })
    });
    let guesses: Vec<_> = guesses.collect();
    // Until the guesses are under way; they are answered after a second at the earliest.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let tablet = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let right = ask_from(tablet, (Ipv4Addr::LOCALHOST, port).into(), "POST /login", "", &login(TOKEN)).await;
    assert_eq!(right.map(|answer| answer.status), Some(204), "the right token opens");
    for guess in guesses {
        let status = guess.await.unwrap().map(|answer| answer.status);
        assert!(matches!(status, None | Some(403 | 429)), "{status:?}");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_sends_no_request_or_asks_for_ever_is_disconnected_soon() {
    let Some(address) = elsewhere() else { return };
    let (site, _file) = site().await;
    let there = SocketAddr::new(address, site.address.port());
    let silent = async {
        let mut stream = TcpStream::connect(there).await.unwrap();
        within("the end of a silent one", stream.read(&mut [0; 16])).await.unwrap_or(0)
    };
    let asks_for_ever = async {
        let (mut reader, mut writer) = TcpStream::connect(there).await.unwrap().into_split();
        let asks = async {
            let request = format!("GET /login HTTP/1.1\r\nHost: {there}\r\n\r\n");
            while writer.write_all(request.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let mut answers = Vec::new();
        tokio::select! {
            () = asks => {}
            _ = reader.read_to_end(&mut answers) => {}
        }
    };
    let begun = Instant::now();
    assert_eq!(silent.await, 0);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    within("the end of one that asks for ever", asks_for_ever).await;
    site.stop().await;
}
