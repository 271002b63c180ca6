//! Pages in place of the overview: help, and what happened to one study. State -> rows that scroll.

use ratatui_core::layout::Rect;

use super::panels::{Scene, day_and_time};
use super::pen::{Cell, Pen, line};
use super::text::wrap;
use super::words;
use crate::Study;
use crate::ctl::output::{Tone, tone_of};
use crate::ctl::{studies, time};

type Row = Vec<Cell>;

/// Returns how far it can be scrolled.
pub fn help(scene: &Scene<'_>, scroll: usize, area: Rect, pen: &mut Pen<'_>) -> usize {
    let mut rows = Vec::new();
    for (key, text) in words::help(scene.words) {
        let key = Cell::fixed(22, key).tone(Tone::Strong);
        rows.extend(paragraph(vec![key], 23, &text, area.width, None));
    }
    scrolled(&scene.words.pick("Help", "帮助"), &rows, scroll, area, pen)
}

/// Returns how far it can be scrolled.
pub fn study(scene: &Scene<'_>, uid: &str, scroll: usize, area: Rect, pen: &mut Pen<'_>) -> usize {
    let words = scene.words;
    let known = scene.state.studies.iter().find(|study| study.study_uid == uid);
    let mut rows = known.map(|study| facts(scene, study, area.width)).unwrap_or_default();
    rows.push(vec![Cell::rest(words.pick("Journal", "记录")).tone(Tone::Strong)]);
    let events = scene.state.journal.as_ref().filter(|(of, _)| of == uid).map(|(_, events)| events);
    match events {
        None => rows.push(vec![Cell::rest(words.pick("is being read", "正在读取")).tone(Tone::Weak)]),
        Some(events) if events.is_empty() => {
            rows.push(vec![Cell::rest(words.pick("nothing", "无")).tone(Tone::Weak)]);
        }
        Some(events) => {
            for event in events {
                let begin = vec![
                    Cell::fixed(14, day_and_time(&event.utc)).tone(Tone::Weak),
                    Cell::fixed(13, event.subject.replace('/', " ")),
                    Cell::fixed(13, words.state(&event.what)).tone(tone_of(&event.what)),
                ];
                rows.extend(paragraph(begin, 43, &event.detail, area.width, None));
            }
        }
    }
    let title = words.pick("Study ", "检查 ") + &scene.state.number_of(uid);
    scrolled(&title, &rows, scroll, area, pen)
}

fn facts(scene: &Scene<'_>, study: &Study, width: u16) -> Vec<Row> {
    let words = scene.words;
    let mut rows = Vec::new();
    let mut tell = |en: &str, zh: &str, text: &str, tone: Option<Tone>| {
        if !text.is_empty() {
            let label = Cell::fixed(10, words.pick(en, zh)).tone(Tone::Weak);
            rows.extend(paragraph(vec![label], 11, text, width, tone));
        }
    };
    let counts = format!(
        "{}, {}",
        words.count(u64::from(study.series_count), "series", "series", "个序列"),
        words.images(study.instance_count)
    );
    let dot = scene.look.dot();
    let what = [study.modalities.join(" "), study.description.clone(), counts];
    tell("What", "内容", &what.iter().filter(|t| !t.trim().is_empty()).cloned().collect::<Vec<_>>().join(dot), None);
    if scene.state.sight.names {
        tell("Patient", "患者", &studies::patients(study), None);
    }
    tell("State", "状态", &words.state(&study.state), Some(tone_of(&study.state)));
    let (first, last) = (time::local(&study.first_utc), time::local(&study.last_utc));
    tell("Received", "接收", &words.pick(&format!("{first} to {last}"), &format!("{first} 至 {last}")), None);
    for verdict in &study.verdicts {
        tell("Verdict", "结论", verdict, None);
    }
    if let Some(reason) = &study.hold {
        tell("Held", "保留", reason, Some(Tone::Busy));
    }
    tell("UID", "UID", &study.study_uid, Some(Tone::Weak));
    rows
}

/// Text beside `begin`, which takes `indent` columns of the first row; wrapped, nothing of it cut.
fn paragraph(begin: Row, indent: u16, text: &str, width: u16, tone: Option<Tone>) -> Vec<Row> {
    let toned = |text: String| {
        let cell = Cell::rest(text);
        if let Some(tone) = tone { cell.tone(tone) } else { cell }
    };
    // Where there is no room beside it, the text goes below.
    let narrow = width < indent + 12;
    let room = if narrow { width } else { width - indent };
    let mut lines = wrap(text, usize::from(room)).into_iter();
    let mut rows = Vec::new();
    if narrow {
        rows.push(begin);
        rows.extend(lines.map(|text| vec![toned(text)]));
        return rows;
    }
    let mut first = begin;
    first.push(toned(lines.next().unwrap_or_default()));
    rows.push(first);
    rows.extend(lines.map(|text| vec![Cell::fixed(indent - 1, ""), toned(text)]));
    rows
}

fn scrolled(title: &str, rows: &[Row], scroll: usize, area: Rect, pen: &mut Pen<'_>) -> usize {
    if area.height == 0 {
        return 0;
    }
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let most = rows.len().saturating_sub(usize::from(body.height));
    let scroll = scroll.min(most);
    let place = if most == 0 { String::new() } else { format!(" ({}/{})", scroll + 1, most + 1) };
    pen.title(line(area, 0), &format!("{title}{place}"));
    for (at, row) in (0..body.height).zip(rows.iter().skip(scroll)) {
        pen.row(line(body, at), row);
    }
    most
}
