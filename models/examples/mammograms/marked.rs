//! Marks of a package's network on the films, one view at a time, and how they meet the labels. A label is hit when a mark lies within
//! its radius, or within 10 mm where that is more. Every other mark is false.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use hal::LoadedModel;
use hal::accel::{self, AcceleratorConfig, ENVIRONMENT_KEY};
use models::Package;
use models::manifest::mammogram::Mammogram;
use models::task::Unattended;
use models::task::mammography_views::StandardView;
use models::task::mg_breast::marks::{self, Given, MarkedView};
use models::task::mg_breast::scorer::Scorer;
use models::task::mg_breast::{self, Expected, Picture, Place, Side};

use crate::cases::{Case, FILE_MM};
use crate::overlay;

const NEAR_MM: f32 = 10.0;
/// False marks for each film at which hits are counted, too.
const RATES: [f32; 2] = [0.5, 2.0];
const LABELS: [&str; 6] = ["CALC", "CIRC", "SPIC", "MISC", "ARCH", "ASYM"];

/// What the network says about one film.
struct Marked<'a> {
    case: &'a Case,
    view: MarkedView,
    /// Mean of both channels of the network's picture where there is breast, and how much detail reaches its end.
    seen: [f32; 3],
}

struct Loaded {
    package: Package,
    scorer: Scorer,
    model: Box<dyn LoadedModel>,
}

fn load(directory: &Path) -> Result<Loaded> {
    let library = std::env::var_os(ENVIRONMENT_KEY).unwrap_or_else(|| "libonnxruntime.so".into()).into();
    let device = accel::open(&AcceleratorConfig { provider: "cpu".into(), library, ..AcceleratorConfig::default() })?;
    let package = Package::open(directory)?;
    let (_, network) = package.network("cpu")?;
    let plan = package.manifest.mammogram().context("the package reads no mammograms")?;
    let scorer = Scorer::parse(&package.read(&plan.outputs.scorer)?).map_err(anyhow::Error::msg)?;
    let model = device.load(&network)?;
    Ok(Loaded { scorer, model, package })
}

fn look<'a>(loaded: &mut Loaded, plan: &Mammogram, case: &'a Case) -> Result<Option<Marked<'a>>> {
    let (pixels, width) = &case.grey;
    let size = [*width, pixels.len() / width.max(&1)];
    let level = |x: usize, y: usize| f32::from(pixels[y * width + x]) / 255.0;
    let picture = Picture::reduced(size, Some(FILE_MM), level);
    let place = |side: Side| Place { size, mm: FILE_MM, magnified: 1.0, mirrored: side == Side::Right };
    let read =
        mg_breast::read_for_network(&picture, Expected { muscle: false, density: false }, &plan.input, place, level);
    let Ok((_, Some((place, channels)))) = read else { return Ok(None) };
    let inside: Vec<usize> = (0..channels.grey.len()).filter(|i| channels.grey[*i] > 10).collect();
    let mean = |plane: &[u8]| inside.iter().map(|i| f32::from(plane[*i])).sum::<f32>() / inside.len().max(1) as f32;
    let full = inside.iter().filter(|i| channels.detail[**i] == 255).count() as f32 / inside.len().max(1) as f32;
    let seen = [mean(&channels.grey) / 255.0, mean(&channels.detail) / 255.0, full];
    let view = if case.number % 2 == 1 { StandardView::LeftMlo } else { StandardView::RightMlo };
    let given = [Given { view, sop_instance_uid: case.name.clone(), channels, place }];
    let (manifest, scorer) = (&loaded.package.manifest, &loaded.scorer);
    let marks = marks::run(&given, Vec::new(), manifest, scorer, loaded.model.as_mut(), &Unattended)?;
    Ok(marks.views.into_iter().next().map(|view| Marked { case, view, seen }))
}

impl Marked<'_> {
    /// The labels that a place of the film belongs to.
    fn labels(&self, at: [f32; 2]) -> Vec<usize> {
        let (pixels, width) = &self.case.grey;
        let size = [*width as f32, (pixels.len() / width.max(&1)) as f32];
        let near = |place: &usize| {
            let lesion = &self.case.lesions[*place];
            let away = (at[0] - lesion.centre[0] * size[0]).hypot(at[1] - lesion.centre[1] * size[1]);
            away <= (lesion.radius * size[0]).max(NEAR_MM / FILE_MM as f32)
        };
        (0..self.case.lesions.len()).filter(near).collect()
    }

    /// Scores of false candidates, and the best score on each label.
    fn judged(&self) -> (Vec<f32>, Vec<f32>) {
        let (mut wrong, mut best) = (Vec::new(), vec![0.0f32; self.case.lesions.len()]);
        for candidate in &self.view.candidates {
            let on = self.labels(candidate.at);
            on.iter().for_each(|place| best[*place] = best[*place].max(candidate.score));
            if on.is_empty() {
                wrong.push(candidate.score);
            }
        }
        (wrong, best)
    }
}

/// The table, and pictures with marks in `out`.
///
/// # Errors
/// When the package cannot be run, or a picture not written.
pub fn table(cases: &[Case], directory: &Path, out: &Path) -> Result<String> {
    let mut loaded = load(directory)?;
    let plan = loaded.package.manifest.mammogram().context("the package reads no mammograms")?.clone();
    let mut all = Vec::new();
    for case in cases {
        all.extend(look(&mut loaded, &plan, case)?);
    }
    for marked in &all {
        picture(marked, out)?;
    }
    let counted = plan.thresholds.one_view.confidence;
    let mut wrong: Vec<f32> = all.iter().flat_map(|marked| marked.judged().0).collect();
    wrong.sort_by(|a, b| b.total_cmp(a));
    let at_rate = |rate: f32| wrong.get((rate * all.len() as f32) as usize).copied().unwrap_or(0.0);
    let thresholds: Vec<f32> = std::iter::once(counted).chain(RATES.map(at_rate)).collect();
    let heads = RATES.map(|rate| format!("hit at {rate} false marks a film")).join(" | ");
    let mut text = format!("| label | labelled | hit by a mark | {heads} |\n|---|---|---|---|---|\n");
    for label in LABELS.iter().map(|label| Some(*label)).chain([None]) {
        let own = || all.iter().filter(|marked| label.is_none_or(|label| marked.case.label == label));
        let best: Vec<f32> = own().flat_map(|marked| marked.judged().1).collect();
        let hits = |threshold: &f32| best.iter().filter(|score| **score >= *threshold).count().to_string();
        let cells = thresholds.iter().map(hits).collect::<Vec<_>>().join(" | ");
        writeln!(text, "| {} | {} | {cells} |", label.unwrap_or("all"), best.len())?;
    }
    let false_marks = |normal: bool| {
        let own: Vec<&Marked> = all.iter().filter(|marked| (marked.case.label == "NORM") == normal).collect();
        let count: usize = own.iter().map(|m| m.judged().0.iter().filter(|score| **score >= counted).count()).sum();
        (count as f32 / own.len().max(1) as f32, own.len())
    };
    let ((normal, normals), (ill, ills)) = (false_marks(true), false_marks(false));
    writeln!(
        text,
        "\nFalse marks a film at the package's own threshold ({counted}): {normal:.2} on {normals} without a label, {ill:.2} on \
         {ills} with one. Area under the curve, film with against without a label, by its surest candidate: {:.3}.",
        area(&all)
    )?;
    let range = |k: usize| {
        let mut values: Vec<f32> = all.iter().map(|marked| marked.seen[k]).collect();
        values.sort_by(f32::total_cmp);
        [0, values.len() / 2, values.len().saturating_sub(1)].map(|i| values.get(i).copied().unwrap_or(0.0))
    };
    for (k, name) in ["mean grey", "mean detail", "part of full detail"].into_iter().enumerate() {
        writeln!(text, "{name} of the network's picture, least, median, most: {:.3?}", range(k))?;
    }
    Ok(text)
}

/// Share of pairs (a film with a label, one without) in which the first has the higher score.
fn area(all: &[Marked]) -> f32 {
    let best = |m: &&Marked| m.view.candidates.first().map_or(0.0, |candidate| candidate.score);
    let of = |normal: bool| -> Vec<f32> {
        all.iter().filter(|m| (m.case.label == "NORM") == normal).map(|m| best(&m)).collect()
    };
    let (ill, normal) = (of(false), of(true));
    let wins: f32 = ill
        .iter()
        .flat_map(|a| normal.iter().map(move |b| if a > b { 1.0 } else { f32::from(u8::from(a == b)) / 2.0 }))
        .sum();
    wins / (ill.len() * normal.len()).max(1) as f32
}

/// Marks in orange over what else was read.
fn picture(marked: &Marked, out: &Path) -> Result<()> {
    let mut colour = overlay::draw(marked.case);
    for mark in &marked.view.marks {
        let [left, top, right, bottom] = mark.bounds;
        colour.line(&[[left, top], [right, top], [right, bottom], [left, bottom], [left, top]], [255, 150, 0]);
    }
    overlay::save(&colour, &out.join(format!("{}-marks.png", marked.case.name)))
}
