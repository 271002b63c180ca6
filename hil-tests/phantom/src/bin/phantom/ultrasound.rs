//! `phantom ultrasound`: videos, training frames and pictures of breast ultrasound phantoms.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use phantom::npy;
use phantom::ultrasound::descriptors::CHANNELS;
use phantom::ultrasound::frames::{self, Pick};
use phantom::ultrasound::layout::Name;
use phantom::ultrasound::y4m;
use phantom::ultrasound::{Options, Video};

#[derive(Subcommand)]
pub enum What {
    /// Make a video of the scanner's screen (grey YUV4MPEG2), with its truth in a .json file beside it
    Video {
        #[command(flatten)]
        scan: Scan,
        /// Also write NAME-masks.y4m: the id of the lesion at each pixel
        #[arg(long)]
        masks: bool,
        /// File to write, ending in .y4m
        #[arg(long)]
        out: PathBuf,
    },
    /// Make training clips: SEED-images.npy (uint8), SEED-labels.npy (uint16, one bit for each channel), SEED.json
    Frames {
        #[command(flatten)]
        scan: Scan,
        /// Number of clips; seeds are counted up
        #[arg(long, default_value_t = 1)]
        clips: u64,
        /// Number of frames of each clip, evenly distributed
        #[arg(long, default_value_t = 24)]
        count: usize,
        /// Take every n-th frame instead
        #[arg(long, conflicts_with = "count")]
        every: Option<usize>,
        /// Edge of the frames, pixels
        #[arg(long, default_value_t = 256)]
        size: usize,
        #[arg(long)]
        out: PathBuf,
    },
    /// Make PNGs of some frames, in pairs; the second of each pair has the lesions circled
    Picture {
        #[command(flatten)]
        scan: Scan,
        /// Number of frames, evenly distributed
        #[arg(long, default_value_t = 4)]
        count: usize,
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Args)]
pub struct Scan {
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Layout of the scanner's screen; chosen by the seed when absent
    #[arg(long)]
    layout: Option<Name>,
    #[arg(long, default_value_t = 10.0)]
    seconds: f32,
    #[arg(long, default_value_t = 30.0)]
    fps: f32,
    /// Number of lesions; chosen by the seed (0 to 4) when absent
    #[arg(long)]
    lesions: Option<usize>,
}

impl Scan {
    fn video(&self, seed: u64) -> Video {
        let layout = self.layout.unwrap_or_else(|| Name::by_seed(seed));
        Video::new(seed, &Options { layout, seconds: self.seconds, fps: self.fps, lesions: self.lesions })
    }
}

pub fn make(what: What) -> anyhow::Result<()> {
    match what {
        What::Video { scan, masks, out } => video(&scan, masks, &out),
        What::Frames { scan, clips, count, every, size, out } => {
            super::make(&out)?;
            let pick = every.map_or(Pick::Spread(count), Pick::Every);
            (scan.seed..scan.seed + clips).try_for_each(|seed| clip(&scan.video(seed), pick, size, &out))
        }
        What::Picture { scan, count, out } => pictures(&scan.video(scan.seed), count, &out),
    }
}

fn video(scan: &Scan, masks: bool, out: &Path) -> anyhow::Result<()> {
    let video = scan.video(scan.seed);
    let (width, height) = (video.layout.width, video.layout.height);
    let open = |path: &Path| {
        y4m::Writer::new(path, width, height, scan.fps).with_context(|| format!("cannot write {}", path.display()))
    };
    let mut file = open(out)?;
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let mut mask_file = masks.then(|| open(&out.with_file_name(format!("{stem}-masks.y4m")))).transpose()?;
    let mut truths = Vec::new();
    for number in 0..video.frames() {
        let frame = video.frame(number);
        file.frame(&frame.screen)?;
        if let Some(file) = &mut mask_file {
            file.frame(&frame.labels)?;
        }
        truths.push(frame.truth);
    }
    file.finish()?;
    mask_file.map_or(Ok(()), y4m::Writer::finish)?;
    let truth = video.truth(truths);
    std::fs::write(out.with_extension("json"), serde_json::to_string_pretty(&truth)?)?;
    println!("{}: {} frames, {} lesions", out.display(), truth.frames.len(), truth.lesions.len());
    Ok(())
}

fn clip(video: &Video, pick: Pick, size: usize, out: &Path) -> anyhow::Result<()> {
    let frames = frames::take(video, pick, size);
    let shape = [frames.truths.len(), size, size];
    let seed = video.seed;
    npy::write(&out.join(format!("{seed}-images.npy")), "|u1", &shape, &frames.images)?;
    let labels: Vec<u8> = frames.labels.iter().flat_map(|l| l.to_le_bytes()).collect();
    npy::write(&out.join(format!("{seed}-labels.npy")), "<u2", &shape, &labels)?;
    let facts = serde_json::json!({
        "size": size,
        "screen_pixels_per_pixel": frames::scale(video.layout.sector, size),
        "channels": CHANNELS,
        "truth": video.truth(frames.truths),
    });
    std::fs::write(out.join(format!("{seed}.json")), serde_json::to_string(&facts)?)?;
    Ok(())
}

fn pictures(video: &Video, count: usize, out: &Path) -> anyhow::Result<()> {
    super::make(out)?;
    for i in 0..count {
        let number = (2 * i + 1) * video.frames() / (2 * count);
        let mut frame = video.frame(number);
        let (width, height) = (frame.screen.width, frame.screen.height);
        super::png(&out.join(format!("{number:04}.png")), width, height, &frame.screen.grey)?;
        let ids = &frame.labels.grey;
        for at in width..ids.len() - width {
            if ids[at] > 0 && [at - 1, at + 1, at - width, at + width].iter().any(|n| ids[*n] != ids[at]) {
                frame.screen.grey[at] = 255;
            }
        }
        super::png(&out.join(format!("{number:04}-lesions.png")), width, height, &frame.screen.grey)?;
        println!("{}", serde_json::to_string(&frame.truth)?);
    }
    Ok(())
}
