//! State -> a buffer. Pure.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

use super::health::{self, Health};
use super::layout::{arrange, left_out};
use super::pages;
use super::panels::Scene;
use super::pen::{Pen, line};
use super::sight::Page;
use super::state::Link;
use super::text::{width, wrap};
use crate::ctl::output::Tone;

/// Rows for what is wrong, at most.
const MOST_REASONS: usize = 3;

/// What the next key has to know of what was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    pub most_scroll: usize,
}

/// `clock`: the local time, as text.
pub fn draw(scene: &Scene<'_>, clock: &str, buffer: &mut Buffer) -> Drawn {
    let area = buffer.area;
    let mut pen = Pen::new(buffer, scene.look);
    let (health, reasons) = health::judge(scene.state, scene.words, scene.now);
    // Whether the box is well comes first, also in a window of one row; then what can be done; then the name.
    let (head, foot) = (u16::from(area.height >= 6), u16::from(area.height >= 4));
    let beside = Rect { y: area.y + head, height: area.height - head - foot, ..area };
    let most = usize::from(beside.height).min(if area.height >= 16 { MOST_REASONS } else { 1 });
    let told = tell(scene, health, &reasons, beside, most, &mut pen);
    if head > 0 {
        header(scene, clock, line(area, 0), &mut pen);
    }
    let body = Rect { y: beside.y + told, height: beside.height - told, ..beside };
    let mut drawn = Drawn { most_scroll: 0 };
    let mut hidden = String::new();
    match &scene.state.sight.page {
        Page::Overview => hidden = overview(scene, body, &mut pen),
        Page::Help { scroll } => drawn.most_scroll = pages::help(scene, *scroll, body, &mut pen),
        Page::Study { uid, scroll } => drawn.most_scroll = pages::study(scene, uid, *scroll, body, &mut pen),
    }
    if foot > 0 {
        footer(scene, &hidden, line(area, area.height - 1), &mut pen);
    }
    drawn
}

/// The word in its colour, then the reasons. Returns how many rows that took.
fn tell(scene: &Scene<'_>, health: Health, reasons: &[String], area: Rect, most: usize, pen: &mut Pen<'_>) -> u16 {
    let word = health.word(scene.words);
    pen.put(line(area, 0), &word, Some(health.tone()));
    let indent = u16::try_from(width(&word)).unwrap_or(0).saturating_add(2);
    let beside = Rect { x: area.x.saturating_add(indent), width: area.width.saturating_sub(indent), ..area };
    let mut lines = wrap(&reasons.join("; "), usize::from(beside.width));
    if lines.len() > most && most > 0 {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            last.push(' ');
            last.push(scene.look.more());
            *last = super::text::cut(last, usize::from(beside.width), scene.look.more());
        }
    }
    for (row, text) in (0u16..).zip(lines.iter().take(most)) {
        pen.put(line(beside, row), text, None);
    }
    u16::try_from(lines.len().min(most)).unwrap_or(0).max(1).min(area.height)
}

fn header(scene: &Scene<'_>, clock: &str, area: Rect, pen: &mut Pen<'_>) {
    let (words, state) = (scene.words, scene.state);
    let mut name = "Scanside".to_owned();
    let mut facts = Vec::new();
    if let Some(status) = &state.appliance {
        name = format!("Scanside {}", status.version);
        facts.push(format!("DICOM {}", status.dicom_address));
        if status.simulated {
            facts.push(words.pick("SIMULATED: not for clinical use", "模拟设备：不得用于临床"));
        }
    }
    if state.sight.paused.is_some() {
        facts.push(words.pick("PAUSED", "已暂停"));
    }
    if state.appliance.is_some() && matches!(state.link, Link::Lost { .. }) {
        facts.push(words.pick("old figures below", "以下为旧数据"));
    }
    let clock_width = u16::try_from(clock.len()).unwrap_or(0);
    let left = Rect { width: area.width.saturating_sub(clock_width + 1), ..area };
    let used = pen.put(left, &name, Some(Tone::Strong));
    let rest = Rect { x: left.x + used, width: left.width - used, ..left };
    if !facts.is_empty() {
        pen.put(rest, &(scene.look.dot().to_owned() + &facts.join(scene.look.dot())), None);
    }
    if area.width > clock_width + used {
        pen.put(Rect { x: area.right() - clock_width, width: clock_width, ..area }, clock, Some(Tone::Weak));
    }
}

/// Returns what was left out, in words.
fn overview(scene: &Scene<'_>, area: Rect, pen: &mut Pen<'_>) -> String {
    // Before anything is known, empty lists would say what is not so.
    if scene.state.appliance.is_none() {
        return String::new();
    }
    let needs = scene.needs(area.width);
    let places = arrange(area, &needs);
    for place in &places {
        scene.draw(place.panel, place.area, pen);
    }
    let hidden: Vec<String> = left_out(&needs, &places).into_iter().map(|panel| scene.words.short(panel)).collect();
    if hidden.is_empty() {
        return String::new();
    }
    let comma = scene.words.pick(", ", "、");
    scene.words.pick("no room for: ", "未显示：") + &hidden.join(&comma)
}

fn footer(scene: &Scene<'_>, hidden: &str, area: Rect, pen: &mut Pen<'_>) {
    let words = scene.words;
    let arrows = if scene.look.unicode { "↑↓" } else { "up/down" };
    let keys = match scene.state.sight.page {
        Page::Overview => words.pick(
            &format!("q quit  ? help  {arrows} study  Enter journal  p pause  n names"),
            &format!("q 退出  ? 帮助  {arrows} 选检查  Enter 记录  p 暂停  n 姓名"),
        ),
        Page::Help { .. } | Page::Study { .. } => words.pick(
            &format!("q quit  Esc back  {arrows} PgUp PgDn scroll  n names"),
            &format!("q 退出  Esc 返回  {arrows} PgUp PgDn 滚动  n 姓名"),
        ),
    };
    let used = pen.put(area, &keys, Some(Tone::Weak));
    let rest = Rect { x: area.x + used, width: area.width - used, ..area };
    let taken = u16::try_from(width(hidden)).unwrap_or(u16::MAX);
    let before = rest.width.saturating_sub(taken).max(2).min(rest.width);
    pen.put(Rect { x: rest.x + before, width: rest.width - before, ..rest }, hidden, Some(Tone::Busy));
}
