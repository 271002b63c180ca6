//! `live profile learn`: a scanner profile, proposed from the picture that the daemon captures.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::ProfileCommand;
use super::failure::Failure;
use super::output::{Output, count};
use crate::{Area, Learnt, LiveProxy, Options};

const LOOK_EVERY: Duration = Duration::from_millis(100);

pub async fn run(live: &LiveProxy<'_>, command: ProfileCommand, output: &Output) -> Result<(), Failure> {
    let ProfileCommand::Learn { seconds, name, pixel_aspect, out } = command;
    // Before the time is spent.
    if let Some(out) = out.as_ref().filter(|out| out.exists()) {
        return Err(Failure::new(format!("{} is there already", out.display()), "choose another file for --out"));
    }
    let mut options = Options::from([("seconds", seconds.into())]);
    options.extend(name.map(|name| ("name", name.into())));
    let (toml, summary) = looking(seconds, output, live.learn_profile(options)).await?;
    let toml = with_aspect(toml, pixel_aspect);
    let learnt = Learnt::of(&summary);
    if let Some(out) = &out {
        write(out, &toml)?;
    }
    if output.is_json() {
        return output.json(&serde_json::json!({ "toml": toml, "file": out, "summary": learnt }));
    }
    if out.is_none() {
        output.line(toml.trim_end())?;
    }
    for line in told(&learnt, pixel_aspect, out.as_ref()) {
        output.note(&line);
    }
    Ok(())
}

/// Shows how far it is, for people at a terminal.
async fn looking<T>(seconds: u32, output: &Output, call: impl Future<Output = T>) -> T {
    let bar = if output.shows_progress() { ProgressBar::new(seconds.into()) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("looking at the picture {wide_bar} {pos} of {len} s") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    let (mut call, mut tick) = (std::pin::pin!(call), tokio::time::interval(LOOK_EVERY));
    loop {
        tokio::select! {
            answer = &mut call => {
                bar.finish_and_clear();
                return answer;
            }
            _ = tick.tick() => bar.set_position(bar.elapsed().as_secs().min(seconds.into())),
        }
    }
}

fn write(out: &Path, toml: &str) -> Result<(), Failure> {
    let written = File::create_new(out).and_then(|mut file| file.write_all(toml.as_bytes()));
    written.map_err(|error| Failure::new(format!("{}: {error}", out.display()), "choose another file for --out"))
}

/// The profile with what was said of its pixels, before its first table.
fn with_aspect(toml: String, aspect: Option<f32>) -> String {
    match aspect {
        Some(aspect) => format!("pixel_aspect = {aspect:?}\n{toml}"),
        None => toml,
    }
}

/// For people, beside the profile.
fn told(learnt: &Learnt, aspect: Option<f32>, out: Option<&PathBuf>) -> Vec<String> {
    let (width, height) = learnt.screen;
    let area = |(x, y, width, height): Area| format!("{width}x{height} at {x},{y}");
    let scale = match (learnt.ticks, learnt.mm_per_tick, learnt.mm_per_pixel) {
        (Some(ticks), Some(mm), Some(pixel)) => {
            format!(
                "scale       ticks in {}, taken to be {mm} mm apart: {pixel:.4} mm per pixel down the picture at this depth",
                area(ticks)
            )
        }
        (Some(ticks), Some(mm), None) => format!("scale       ticks in {}, taken to be {mm} mm apart", area(ticks)),
        _ => "scale       none found: no sizes are given until one is written into the profile".into(),
    };
    let texts = count(learnt.text_areas, "area", "areas");
    let pixels = match aspect {
        None => "not known whether they are square: no sizes are given until the profile says pixel_aspect (draw a circle on the scanner and \
                 measure it on the page's picture both ways; height divided by width in pixels, 1.0 for a round one)"
            .to_owned(),
        Some(aspect) if (aspect - 1.0).abs() < 0.01 => "square, as you say".to_owned(),
        Some(aspect) => format!("{aspect} times as wide as high: no sizes are given; let scanner and grabber have the same resolution"),
    };
    let path = out.map_or_else(|| "its path".to_owned(), |out| format!("{:?}", out.display().to_string()));
    vec![
        format!("learned from {} of {width}x{height}:", count(learnt.pictures, "picture", "pictures")),
        format!("  image       {}", area(learnt.sector)),
        format!("  {scale}"),
        format!("  pixels      {pixels}"),
        format!("  text        {texts}, all taken to identify the patient; the freeze icon is not looked for"),
        format!("Look at it before you use it; then set [live] profile = {path} and restart scansided."),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt() -> Learnt {
        Learnt {
            pictures: 200,
            screen: (1280, 720),
            sector: (236, 64, 800, 616),
            ticks: Some((1040, 64, 6, 616)),
            mm_per_tick: Some(5.0),
            mm_per_pixel: Some(0.0625),
            text_areas: 1,
        }
    }

    #[test]
    fn a_missing_scale_is_said() {
        let mut learnt = learnt();
        let said = told(&learnt, Some(1.0), None).join("\n");
        for words in ["200 pictures of 1280x720", "800x616 at 236,64", "0.0625 mm per pixel", "1 area,"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        (learnt.ticks, learnt.mm_per_tick, learnt.mm_per_pixel) = (None, None, None);
        assert!(told(&learnt, None, Some(&"a.toml".into())).join("\n").contains("none found"));
    }

    #[test]
    fn whether_pixels_are_square_is_asked_and_written_down() {
        let learnt = learnt();
        let said = |aspect| told(&learnt, aspect, None).join("\n");
        assert!(said(None).contains("no sizes are given until") && said(None).contains("circle"));
        assert!(said(Some(1.0)).contains("square") && said(Some(1.25)).contains("no sizes are given;"));
        let toml = with_aspect("name = \"one\"\n[scale]\n".into(), Some(1.0));
        assert_eq!(toml, "pixel_aspect = 1.0\nname = \"one\"\n[scale]\n");
    }
}
