//! A simulated scanner on the command line: sends a folder of DICOM files as a scanner does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use hil_tests::modality::{Manners, Modality};
use hil_tests::part10::Folder;

/// Sends DICOM files as a scanner does.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address of the receiver, for example 127.0.0.1:11112.
    address: SocketAddr,
    /// File or folder to send; subfolders are searched too.
    path: PathBuf,
    #[arg(long, default_value = "SIMULATED_CT")]
    calling: String,
    #[arg(long, default_value = "SCANSIDE")]
    called: String,
    /// Send in a random order.
    #[arg(long)]
    shuffle: bool,
    /// Fraction of instances that are never sent, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    lose: f64,
    /// Fraction of instances that are sent twice, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    duplicate: f64,
    /// Bytes per second of the link.
    #[arg(long)]
    bytes_per_sec: Option<u32>,
    /// Open a new association after this many instances.
    #[arg(long)]
    per_association: Option<usize>,
    /// Seed of the random numbers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of parallel senders; each one sends everything.
    #[arg(long, default_value_t = 1)]
    senders: usize,
    /// Give up after this many seconds.
    #[arg(long, default_value_t = 600)]
    within: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = Folder::scan(&arguments.path)?;
    println!("{} DICOM files, {} others ignored", folder.instances.len(), folder.ignored.len());
    let mut senders = tokio::task::JoinSet::new();
    for number in 0..arguments.senders {
        let manners = Manners {
            seed: arguments.seed + number as u64,
            shuffle: arguments.shuffle,
            lose: arguments.lose,
            duplicate: arguments.duplicate,
            bytes_per_sec: arguments.bytes_per_sec,
            per_association: arguments.per_association,
            cut_at: None,
        };
        let modality = Modality::new(arguments.address, &arguments.calling, &arguments.called).with(manners);
        let instances = folder.instances.clone();
        let within = Duration::from_secs(arguments.within);
        senders.spawn(async move {
            modality
                .send_until_acknowledged(&instances, within, |instance, status| {
                    if status != 0 {
                        println!("{status:04X} {}", instance.sop_instance_uid);
                    }
                })
                .await
        });
    }
    while let Some(sent) = senders.join_next().await {
        let sent = sent??;
        println!(
            "{} acknowledged, {} refused, {} not accepted; {:.1} MB in {:.2} s",
            sent.acknowledged(),
            sent.refused(),
            sent.not_accepted.len(),
            sent.bytes as f64 / 1e6,
            sent.elapsed.as_secs_f64()
        );
    }
    Ok(())
}
