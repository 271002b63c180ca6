//! A simulated archive on the command line: stores what it receives, or behaves badly in a chosen way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use hil_tests::pacs::{Conduct, Pacs};

/// Receives DICOM objects into a folder.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value = "127.0.0.1:4242")]
    listen: SocketAddr,
    #[arg(long, default_value = "PACS")]
    ae_title: String,
    /// Folder for the objects.
    #[arg(default_value = "out/pacs")]
    folder: PathBuf,
    #[arg(long, value_enum, default_value = "accept")]
    conduct: Choice,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Choice {
    Accept,
    /// Answer 0xA700, out of resources.
    Full,
    /// Answer 0xC000, cannot understand.
    Refuse,
    /// Never answer.
    Stall,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let pacs = Pacs::start_at(arguments.listen, &arguments.ae_title, &arguments.folder).await?;
    pacs.behave(match arguments.conduct {
        Choice::Accept => Conduct::Accept,
        Choice::Full => Conduct::Refuse(0xA700),
        Choice::Refuse => Conduct::Refuse(0xC000),
        Choice::Stall => Conduct::Stall,
    });
    println!("{} listens on {} and writes objects to {}", pacs.ae_title, pacs.address, arguments.folder.display());
    let mut shown = 0;
    loop {
        let received = pacs.wait_for(shown + 1, Duration::from_secs(u64::from(u32::MAX))).await?;
        for object in &received[shown..] {
            println!("{} from {}: {}", object.sop_instance_uid, object.calling_ae, object.path.display());
        }
        shown = received.len();
    }
}
