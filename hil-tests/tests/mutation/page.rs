//! One browser at the live page, through the real server: what it sends, from the first byte to the last.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use config::settings::Console;
use hal::capture::frame::{Frame, Shape};
use hal::capture::{Colour, PixelFormat};
use live::view::{self, Picture, Stage, View};
use live::worklist::Worklist;
use scansided::console::Server;
use tokio_util::sync::CancellationToken;

use crate::association::runtime;

/// Far above the time limits of the server.
const PATIENCE: Duration = Duration::from_secs(60);

struct Site {
    address: SocketAddr,
    _stage: Stage,
}

fn site() -> &'static Site {
    static SITE: LazyLock<Site> = LazyLock::new(|| {
        let settings = Console { address: "127.0.0.1:0".into(), ..Console::default() };
        let server = runtime().block_on(Server::bind(&settings)).unwrap();
        let address = server.address();
        let (mut stage, view) = view::channel();
        // Nobody obeys: every command is refused at once.
        stage.commands.close();
        let shape = Shape::tight(PixelFormat::Grey, 16, 16, Colour::default());
        let frame = Frame::new(shape, 1, Duration::from_micros(1), Arc::new(vec![7; 256]));
        stage.pictures.send_replace(Some(Arc::new(Picture { sequence: 1, captured: Duration::ZERO, exam: 0, frame })));
        let view = View { worklist: Worklist::default(), ..view };
        runtime().spawn(server.serve(Some(view), CancellationToken::new()));
        Site { address, _stage: stage }
    });
    &SITE
}

/// Sends the bytes, and waits until the server has closed.
pub fn ask(bytes: &[u8]) {
    let mut browser = TcpStream::connect(site().address).unwrap();
    browser.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may close before it has read everything.
    let _ = browser.write_all(bytes);
    let _ = browser.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match browser.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("the page neither answers nor closes"),
        _ => {}
    }
}
