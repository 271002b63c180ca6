//! The picture files of a recording, and the clips and pictures in them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use live::record::journal::{Moment, Story};
use live::record::pictures::{self, Shot};
use live::record::ring::Window;
use report::ultrasound::{Clip, Shown};

/// The picture files of a recording in order, each with the time that it covers, so that a key image needs only one of
/// them.
pub(super) struct PictureFiles(Vec<(PathBuf, Window)>);

impl PictureFiles {
    pub(super) fn list(recording: &Path) -> std::io::Result<Self> {
        let entries = std::fs::read_dir(recording)?;
        let mut files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "pic"));
        files.sort();
        let mut parts = Vec::new();
        for path in files {
            let bytes = std::fs::read(&path)?;
            let times = || pictures::read(&bytes).into_iter().map(|shot| shot.head.captured);
            if let (Some(from), Some(to)) = (times().min(), times().max()) {
                parts.push((path, Window { from, to }));
            }
        }
        Ok(Self(parts))
    }

    /// The pictures of a window. A new clip begins where size or colour format changes, or after a gap of a second or
    /// more.
    pub(super) fn clips(&self, window: Window, story: &Story) -> std::io::Result<Vec<Clip>> {
        let mut clips: Vec<Clip> = Vec::new();
        self.each(window, |shot| {
            let follows = |clip: &&mut Clip| {
                let same =
                    (clip.columns, clip.rows, clip.colour) == (shot.head.size[0], shot.head.size[1], shot.head.colour);
                let last = clip.frames.last().map_or(Duration::ZERO, |frame| frame.at);
                same && shot.head.captured >= last && shot.head.captured - last < Duration::from_secs(1)
            };
            match clips.last_mut().filter(follows) {
                Some(clip) => clip.frames.push(shown(&shot)),
                None => clips.push(clip(&shot, story)),
            }
        })?;
        for clip in &mut clips {
            if let [first, .., last] = &clip.frames[..] {
                clip.mm_per_pixel = story.scale(first.at, last.at).map(f64::from);
            }
        }
        Ok(clips)
    }

    pub(super) fn picture(&self, moment: Moment, story: &Story) -> std::io::Result<Option<Clip>> {
        let mut found = None;
        self.each(Window { from: moment.captured, to: moment.captured }, |shot| {
            if shot.head.sequence == moment.sequence {
                found = Some(clip(&shot, story));
            }
        })?;
        Ok(found)
    }

    pub(super) fn last(&self) -> std::io::Result<Option<Moment>> {
        let Some((path, _)) = self.0.last() else { return Ok(None) };
        let bytes = std::fs::read(path)?;
        let shots = pictures::read(&bytes);
        Ok(shots.last().map(|shot| Moment { sequence: shot.head.sequence, captured: shot.head.captured }))
    }

    /// Calls `take` for each picture of a window; only one file at a time is in memory.
    fn each(&self, window: Window, mut take: impl FnMut(Shot<'_>)) -> std::io::Result<()> {
        for (path, _) in self.0.iter().filter(|(_, spans)| spans.overlaps(&window)) {
            let bytes = std::fs::read(path)?;
            let shots = pictures::read(&bytes);
            shots.into_iter().filter(|shot| window.contains(shot.head.captured)).for_each(&mut take);
        }
        Ok(())
    }
}

fn shown(shot: &Shot<'_>) -> Shown {
    Shown { at: shot.head.captured, jpeg: shot.jpeg.to_vec() }
}

/// A clip that begins with this picture. Sector and scale come from the scene with this screen.
fn clip(shot: &Shot<'_>, story: &Story) -> Clip {
    let [columns, rows] = shot.head.size;
    let size = [usize::from(columns), usize::from(rows)];
    let scene = story.scenes.iter().rfind(|scene| scene.size == size);
    let at = shot.head.captured;
    Clip {
        frames: vec![shown(shot)],
        columns,
        rows,
        colour: shot.head.colour,
        mm_per_pixel: story.scale(at, at).map(f64::from),
        sector: scene.map_or_else(|| [0, 0, u32::from(columns), u32::from(rows)], |scene| scene.sector),
        masked: scene.is_some_and(|scene| scene.masked),
        side: None,
    }
}
