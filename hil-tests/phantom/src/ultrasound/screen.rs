//! Everything on the scanner's screen besides the image: text, scale, grey bar, freeze icon, callipers.

use super::canvas::Canvas;
use super::image::View;
use super::layout::{Layout, Rect, Says};
use super::settings::Settings;
use super::truth::VisibleLesion;
use crate::random::Random;

/// What the operator has typed or measured; the same for the whole video.
#[derive(Debug, Clone)]
pub struct Operator {
    seed: u64,
    /// Site of the breast, written into the sector.
    note: Option<String>,
    /// Callipers also in live pictures, at places without a lesion.
    stray_callipers: bool,
    /// Name and ID of the patient.
    pub patient: [String; 2],
}

impl Operator {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 43);
        let names = ["EVA", "ADA", "MIRA", "NOOR", "LI", "ANA", "INES", "ROSA"];
        let side = ["RT", "LT"][random.below(2)];
        let clock = 1 + random.below(12);
        Self {
            seed: random.word(),
            note: random.chance(0.35).then(|| format!("{side} BREAST {clock}:00 {} CM FN", 1 + random.below(8))),
            stray_callipers: random.chance(0.15),
            patient: [format!("PHANTOM^{}", names[random.below(names.len())]), format!("{:07}", seed % 10_000_000)],
        }
    }
}

/// Everything that does not change from frame to frame.
pub fn still(layout: &Layout, settings: &Settings, operator: &Operator) -> Canvas {
    let mut screen = Canvas::new(layout.width, layout.height);
    screen.grey.fill(layout.background);
    screen.fill(layout.sector, 0);
    for area in layout.texts {
        for (i, line) in words(area.says, settings, operator).iter().enumerate() {
            screen.text(area.rect.x, area.rect.y + 22 * i, line, layout.font, layout.ink);
        }
    }
    let bar = layout.grey_bar;
    for y in 0..bar.height {
        let grey = 255 - (255 * y / (bar.height - 1)) as u8;
        screen.fill(Rect::new(bar.x, bar.y + y, bar.width, 1), grey);
    }
    depth_scale(layout, settings, &mut screen);
    screen
}

fn words(says: Says, s: &Settings, operator: &Operator) -> Vec<String> {
    match says {
        Says::Site => vec!["PHANTOM CLINIC".into()],
        Says::Patient => vec![operator.patient.join("  ID ")],
        Says::Date | Says::FrameRate | Says::Measurements => Vec::new(),
        Says::Probe => vec!["L15-4  Breast".into()],
        Says::Output => vec!["MI 0.9  TIs 0.2".into()],
        Says::Settings => vec![
            format!("F {:.1} MHz", s.frequency_mhz),
            format!("G {:.0} dB", 60.0 + s.gain_db),
            format!("D {:.1} cm", s.depth_mm / 10.0),
            format!("DR {:.0}", s.dynamic_range_db),
            format!("SC {}", s.looks - 1),
            "P 100 %".into(),
        ],
    }
}

fn depth_scale(layout: &Layout, settings: &Settings, screen: &mut Canvas) {
    let scale = layout.depth_scale;
    let pixel_per_mm = layout.sector.height as f32 / settings.depth_mm;
    let mut mm = 0;
    while (mm as f32) <= settings.depth_mm {
        let y = (scale.y + (mm as f32 * pixel_per_mm) as usize).min(scale.bottom() - 1);
        let length = if mm % 10 == 0 { 12 } else { 6 };
        let x = if layout.ticks_point_left { scale.x } else { scale.right() - length };
        screen.fill(Rect::new(x, y, length, 1), layout.ink);
        if mm % 10 == 0 && mm > 0 {
            let x = if layout.ticks_point_left { scale.x + 16 } else { scale.x + 8 };
            let y = y.saturating_sub(7).min(scale.bottom() - 14);
            screen.text(x, y, &(mm / 10).to_string(), layout.small_font, layout.ink);
        }
        mm += 5;
    }
    let focus = scale.y + (settings.focus_mm * pixel_per_mm) as usize;
    for i in 0..5 {
        let x = if layout.ticks_point_left { scale.right() - 6 + i } else { scale.x + 5 - i };
        screen.fill(Rect::new(x, focus - i, 1, 2 * i + 1), layout.ink);
    }
}

/// What a frame's drawing depends on.
#[derive(Debug)]
pub struct Now<'a> {
    pub seconds: f32,
    pub fps: f32,
    pub frozen: bool,
    /// Seconds since the picture froze.
    pub frozen_for: f32,
    pub visible: &'a [VisibleLesion],
}

/// Draws what changes; returns whether callipers are in the sector.
pub fn moving(layout: &Layout, view: &View, operator: &Operator, now: &Now<'_>, screen: &mut Canvas) -> bool {
    let clock = now.seconds as usize;
    for area in layout.texts {
        let text = match area.says {
            Says::Date => format!("2026-01-{:02} 10:{:02}:{:02}", 1 + operator.seed % 28, clock / 60, clock % 60),
            Says::FrameRate if !now.frozen => format!("FR {:.0} Hz", now.fps),
            _ => continue,
        };
        screen.text(area.rect.x, area.rect.y, &text, layout.font, layout.ink);
    }
    if let Some(note) = &operator.note {
        screen.text(view.rect.x + 16, view.rect.bottom() - 24, note, layout.font, 230);
    }
    if now.frozen {
        freeze_icon(layout.freeze_icon, screen);
    }
    let mut random = Random::new(operator.seed, now.visible.first().map_or(0, |l| u64::from(l.id)));
    let largest = now.visible.iter().max_by(|a, b| a.area_mm2.total_cmp(&b.area_mm2));
    match largest {
        Some(lesion) if now.frozen && now.frozen_for > 0.4 => {
            callipers(layout, view, lesion.screen_box, &mut random, screen);
            true
        }
        _ if operator.stray_callipers && (now.seconds / 2.0) as usize % 3 == 1 => {
            let rect = view.rect;
            let size = |all: usize, random: &mut Random| (all as f32 * random.between(0.08, 0.3)) as usize;
            let (width, height) = (size(rect.width, &mut random), size(rect.height, &mut random));
            let x = rect.x + (random.unit() * (rect.width - width) as f32) as usize;
            let y = rect.y + (random.unit() * (rect.height - height) as f32) as usize;
            callipers(layout, view, Rect::new(x, y, width, height), &mut random, screen);
            true
        }
        _ => false,
    }
}

/// A snowflake in a box.
fn freeze_icon(rect: Rect, screen: &mut Canvas) {
    screen.fill(rect, 60);
    let middle = [rect.x as f32 + rect.width as f32 / 2.0, rect.y as f32 + rect.height as f32 / 2.0];
    let reach = rect.width as f32 * 0.4;
    for i in 0..3 {
        let (s, c) = (std::f32::consts::PI * i as f32 / 3.0).sin_cos();
        let end = |sign: f32| [middle[0] + sign * reach * s, middle[1] + sign * reach * c];
        screen.line(end(-1.0), end(1.0), [1, 1], 240);
    }
}

/// Two measured axes: crosses at their ends, dots between, lengths in the box for measurements.
fn callipers(layout: &Layout, view: &View, around: Rect, random: &mut Random, screen: &mut Canvas) {
    let middle = [around.x as f32 + around.width as f32 / 2.0, around.y as f32 + around.height as f32 / 2.0];
    let lengths = [around.width as f32, around.height as f32];
    let tilt = random.between(-0.12, 0.12);
    let dotted = random.chance(0.7);
    for (i, length) in lengths.into_iter().enumerate() {
        let (s, c) = (tilt + std::f32::consts::FRAC_PI_2 * i as f32).sin_cos();
        let end = |sign: f32| [middle[0] + sign * length / 2.0 * c, middle[1] + sign * length / 2.0 * s];
        let (from, to) = (end(-1.0), end(1.0));
        if dotted {
            screen.line(from, to, [1, 6], 235);
        }
        for [x, y] in [from, to] {
            let arm = 6.0;
            screen.line([x - arm, y], [x + arm, y], [1, 1], 250);
            screen.line([x, y - arm], [x, y + arm], [1, 1], 250);
        }
        let number = [to[0].max(0.0) as usize + 8, to[1].max(0.0) as usize];
        screen.text(number[0], number[1], &(i + 1).to_string(), layout.small_font, 250);
        if let Some(area) = layout.texts.iter().find(|t| t.says == Says::Measurements) {
            let text = format!("{} D {:.1} mm", i + 1, length * view.mm_per_pixel);
            screen.text(area.rect.x, area.rect.y + 22 * i, &text, layout.font, layout.ink);
        }
    }
}
