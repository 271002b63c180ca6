//! The panels of the overview: state -> rows.

use ratatui_core::layout::Rect;

use super::layout::{Need, Panel, width_of};
use super::pen::{Cell, Look, Pen, line};
use super::sight::first_row;
use super::state::{Now, State, last_of};
use super::words::Words;
use crate::ctl::output::{Tone, tone_of};
use crate::ctl::{studies, time};
use crate::doctor::text::bytes;
use crate::{Destination, Study};

/// What drawing needs besides the state.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub state: &'a State,
    pub words: Words,
    pub look: Look,
    pub now: Now,
}

type Row = Vec<Cell>;

/// Widths at which the disk has one row when it is told briefly; where there is less, it has two anyway.
const ONE_ROW: std::ops::Range<u16> = 72..84;

/// From so many columns on, what a destination said stands beside its figures.
const BESIDE: u16 = 72;

/// Columns of a list that is wide enough for what a study is, and for patients.
const ROOMY: u16 = 84;

impl Scene<'_> {
    /// Rows that each panel needs, and could use.
    pub fn needs(&self, width: u16) -> Vec<Need> {
        let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).max(1);
        let (work, to) =
            (rows(self.work(80).len()), rows(self.destinations(width_of(Panel::Destinations, width)).len()));
        let live = rows(self.live().len());
        let machine = rows(self.machine(width_of(Panel::Machine, width)).len());
        let studies = rows(self.state.shown_studies().len()).saturating_add(1);
        [
            (Panel::Work, work.min(3), work),
            (Panel::Studies, 3.min(studies), studies),
            (Panel::Destinations, to.min(2), to),
            (Panel::Live, live.min(2), live),
            // The last row, memory, is the one to miss.
            (Panel::Machine, machine.saturating_sub(1).max(1), machine),
            (Panel::Events, 1, 200),
        ]
        .map(|(panel, least, most)| Need { panel, least, most })
        .to_vec()
    }

    pub fn draw(&self, panel: Panel, area: Rect, pen: &mut Pen<'_>) {
        pen.title(line(area, 0), &self.title(panel));
        let body = Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1), ..area };
        match panel {
            Panel::Studies => self.draw_studies(body, pen),
            Panel::Work => list(&self.work(body.width), body, pen),
            Panel::Destinations => list(&self.destinations(body.width), body, pen),
            Panel::Live => list(&self.live(), body, pen),
            Panel::Machine => list(&self.machine(body.width), body, pen),
            Panel::Events => list(&self.events(usize::from(body.height), body.width), body, pen),
        }
    }

    /// With the counts of what the rows below may not all show.
    fn title(&self, panel: Panel) -> String {
        let title = self.words.title(panel);
        let Some(status) = &self.state.appliance else { return title };
        let counts = match panel {
            Panel::Work => {
                let (receiving, running) = (status.series_receiving, status.jobs_running);
                let (queued, parked) = (status.jobs_queued, status.jobs_parked);
                self.words.pick(
                    &format!("{receiving} series, jobs: {running} running, {queued} waiting, {parked} parked"),
                    &format!("接收 {receiving} 个序列；任务：运行 {running}，排队 {queued}，搁置 {parked}"),
                )
            }
            Panel::Destinations => {
                let (waiting, parked) = (status.deliveries_pending, status.deliveries_parked);
                self.words
                    .pick(&format!("{waiting} waiting, {parked} parked"), &format!("待发 {waiting}，搁置 {parked}"))
            }
            Panel::Studies => self.words.count(u64::from(status.studies), "study", "studies", "个检查"),
            Panel::Live | Panel::Machine | Panel::Events => return title,
        };
        format!("{title}: {counts}")
    }

    fn work(&self, width: u16) -> Vec<Row> {
        let words = self.words;
        let (kind, name) = (10, 11);
        let mut rows = Vec::new();
        for one in &self.state.incoming {
            let rate = one.rate.per_second(self.now.ms).map(|rate| format!("{rate:.0}/s")).unwrap_or_default();
            rows.push(vec![
                Cell::fixed(kind, words.state("receiving")).tone(Tone::Busy),
                Cell::fixed(name, words.pick("series ", "序列 ") + last_of(&one.path)),
                Cell::fixed(4, &one.modality),
                Cell::fixed(13, words.images(one.images)).right(),
                Cell::rest(rate),
            ]);
        }
        for one in &self.state.running {
            let since = one.started_utc.as_deref().and_then(|utc| words.age(utc, self.now.utc));
            let since = since.map(|since| words.pick(&format!("for {since}"), &since)).unwrap_or_default();
            let number = self.state.number_of(&one.study_uid);
            let of = if number.is_empty() { String::new() } else { words.pick(" study ", " 检查 ") + &number };
            let bar = self.look.bar(one.fraction, if width >= ROOMY { 16 } else { 8 });
            rows.push(vec![
                Cell::fixed(kind, words.state("running")).tone(Tone::Busy),
                Cell::fixed(name + 9, words.pick("job ", "任务 ") + last_of(&one.path) + &of),
                Cell::fixed(u16::try_from(bar.chars().count()).unwrap_or(10), bar),
                Cell::fixed(5, format!("{:.0} %", one.fraction * 100.0)).right(),
                Cell::rest(format!("{}  {since}", words.state(&one.stage)).trim().to_owned()),
            ]);
        }
        for job in &self.state.parked {
            rows.push(vec![
                Cell::fixed(kind, words.state("parked")).tone(Tone::Bad),
                Cell::fixed(name, words.pick("job ", "任务 ") + last_of(job.path.as_str())),
                Cell::rest(job.reason.as_deref().unwrap_or_default()),
            ]);
        }
        if !self.state.queued.is_empty() {
            // The oldest goes first.
            let next: Vec<String> =
                self.state.queued.iter().rev().map(|job| self.state.number_of(&job.study_uid)).collect();
            let first = self.state.queued.last().and_then(|job| job.reason.clone());
            let first = first.map(|reason| format!(": {reason}")).unwrap_or_default();
            rows.push(vec![
                Cell::fixed(kind, words.state("queued")).tone(Tone::Busy),
                Cell::rest(words.pick("study ", "检查 ") + &next.join(", ") + &first),
            ]);
        }
        if rows.is_empty() {
            let nothing = words.pick("nothing is being received or analysed", "没有正在接收或分析的检查");
            rows.push(vec![Cell::rest(nothing).tone(Tone::Weak)]);
        }
        rows
    }

    fn draw_studies(&self, area: Rect, pen: &mut Pen<'_>) {
        let (studies, roomy) = (self.state.shown_studies(), area.width >= ROOMY);
        if studies.is_empty() {
            let none = self.words.pick("no study yet", "还没有检查");
            pen.put(line(area, 0), &none, Some(Tone::Weak));
            return;
        }
        let heads = [("No", "编号"), ("Came", "接收"), ("Images", "图像"), ("State", "状态"), ("Study", "检查")];
        let [no, came, images, state, what] = heads.map(|(en, zh)| self.words.pick(en, zh));
        let (patient, verdict) = (self.words.pick("Patient", "患者"), self.words.pick("Verdict", "结论"));
        let head = self.study_row([" ".into(), no, came, images, state, what, patient, verdict], None, roomy);
        let weak: Row = head.into_iter().map(|cell| cell.tone(Tone::Weak)).collect();
        pen.row(line(area, 0), &weak);
        let rows = area.height.saturating_sub(1);
        let chosen = self.state.chosen_at();
        let first = first_row(chosen, usize::from(rows));
        for (row, (at, study)) in (1..=rows).zip(studies.iter().enumerate().skip(first)) {
            let mark = if chosen == Some(at) { ">" } else { " " };
            let cells = self.study_row(self.study_text(study, mark), Some(&study.state), roomy);
            pen.row(line(area, row), &cells);
            if chosen == Some(at) {
                pen.mark(line(area, row));
            }
        }
    }

    fn study_text(&self, study: &Study, mark: &str) -> [String; 8] {
        let others = study.verdicts.len().saturating_sub(1);
        let others = if others == 0 { String::new() } else { format!(" (+{others})") };
        [
            mark.to_owned(),
            studies::number(study).to_owned(),
            short_time(&study.last_utc, self.now),
            study.instance_count.to_string(),
            self.words.state(&study.state),
            format!("{} {}", study.modalities.join(" "), study.description),
            studies::patients(study),
            study.verdicts.first().map(|verdict| verdict.clone() + &others).unwrap_or_default(),
        ]
    }

    /// Patients are named when somebody asked for it, as `studies list` does.
    fn study_row(&self, text: [String; 8], state: Option<&str>, roomy: bool) -> Row {
        let [mark, number, came, images, state_text, what, patient, verdict] = text;
        let tone = state.map_or(Tone::Weak, tone_of);
        let mut cells = vec![
            Cell::fixed(1, mark),
            Cell::fixed(4, number).right(),
            Cell::fixed(5, came),
            Cell::fixed(6, images).right(),
            Cell::fixed(10, state_text).tone(tone),
        ];
        if self.state.sight.names {
            cells.push(Cell::fixed(18, patient));
        }
        // The verdict matters most: without room, of what a study is only its first word is told, the modality.
        let brief = what.split_whitespace().next().unwrap_or_default().to_owned();
        cells.push(if roomy { Cell::fixed(14, what) } else { Cell::fixed(5, brief) });
        cells.push(Cell::rest(verdict));
        cells
    }

    fn destinations(&self, width: u16) -> Vec<Row> {
        let of = self.state.destinations.iter();
        let rows: Vec<Row> = of.flat_map(|one| self.destination(one, width)).collect();
        if rows.is_empty() {
            let none = self.words.pick("none: results stay on the box", "未配置：结果只保存在本机");
            return vec![vec![Cell::rest(none).tone(Tone::Weak)]];
        }
        rows
    }

    fn destination(&self, one: &Destination, width: u16) -> Vec<Row> {
        let words = self.words;
        let age = one.oldest_pending_utc.as_deref().and_then(|utc| words.age(utc, self.now.utc));
        let waiting = match (one.pending, age) {
            (0, _) => words.pick("none waits", "无待发"),
            (n, None) => words.pick(&format!("{n} waiting"), &format!("待发 {n}")),
            (n, Some(age)) => words.pick(&format!("{n} waiting, {age}"), &format!("待发 {n}，{age}")),
        };
        let parked = match one.parked {
            0 => String::new(),
            n => words.pick(&format!("{n} parked"), &format!("搁置 {n}")),
        };
        let held = match one.held {
            0 => String::new(),
            n => words.pick(&format!("{n} held; "), &format!("保留 {n}；")),
        };
        let gone = || words.pick("not configured any more", "已不在配置中");
        let trouble = one.reason.clone().or_else(|| one.parked_reason.clone());
        let rest = one.address.clone().unwrap_or_else(gone);
        let mut row = vec![
            Cell::fixed(10, &one.name),
            Cell::fixed(19, waiting).tone(if one.pending == 0 { Tone::Weak } else { Tone::Busy }),
            Cell::fixed(9, parked).tone(Tone::Bad),
        ];
        match trouble {
            // What it said is worth a row where there is no room beside the figures.
            Some(trouble) if width < BESIDE => {
                row.push(Cell::rest(held + &rest));
                vec![row, vec![Cell::fixed(10, ""), Cell::rest(trouble)]]
            }
            trouble => {
                row.push(Cell::rest(held + &trouble.unwrap_or(rest)));
                vec![row]
            }
        }
    }

    fn live(&self) -> Vec<Row> {
        let words = self.words;
        let Some(live) = &self.state.live else {
            return vec![vec![Cell::rest(words.pick("not read yet", "尚未读取")).tone(Tone::Weak)]];
        };
        let sign = words.state(&live.sign);
        if live.sign == "off" {
            let reason = live.reason.clone().unwrap_or_default();
            return vec![vec![Cell::fixed(10, sign).tone(Tone::Weak), Cell::rest(reason).tone(Tone::Weak)]];
        }
        let mut rows = vec![vec![Cell::fixed(10, sign).tone(tone_of(&live.sign)), Cell::rest(self.figures())]];
        if let Some(reason) = &live.reason {
            rows.push(vec![Cell::fixed(10, ""), Cell::rest(reason)]);
        }
        rows.push(vec![Cell::fixed(10, words.pick("exam", "检查")), Cell::rest(self.exam())]);
        let model = live.model.clone().unwrap_or_else(|| words.pick("no model", "无模型"));
        let simulated = if live.simulated { words.pick(" (simulated)", "（模拟）") } else { String::new() };
        let source = format!("{}{simulated}{}{model}", live.source, self.look.dot());
        rows.push(vec![Cell::fixed(10, words.pick("source", "信号源")), Cell::rest(source)]);
        rows
    }

    fn figures(&self) -> String {
        let words = self.words;
        let rate = self.state.pictures.per_second(self.now.ms);
        let rate = rate.map_or_else(|| "?".to_owned(), |rate| format!("{rate:.1}"));
        let Some(stats) = &self.state.stats else { return String::new() };
        let lost = stats.lost;
        let overlay = stats.stages.iter().find(|stage| stage.stage == "overlay" && stage.count > 0);
        let overlay = overlay.map_or_else(
            || words.pick("no overlay yet", "尚无叠加"),
            |stage| {
                words.pick(
                    &format!("overlay {:.0} ms (99 %: {:.0})", stage.p50, stage.p99),
                    &format!("叠加 {:.0} ms（99 %：{:.0}）", stage.p50, stage.p99),
                )
            },
        );
        words.pick(&format!("{rate}/s, {lost} lost, {overlay}"), &format!("{rate}/s，丢失 {lost}，{overlay}"))
    }

    /// Whose exam it is, is not told unless somebody asked for names.
    fn exam(&self) -> String {
        let words = self.words;
        let Some(live) = &self.state.live else { return String::new() };
        let Some(exam) = &live.exam else { return words.pick("none", "无") };
        let age = words.age(&exam.started_utc, self.now.utc).unwrap_or_default();
        let marks = words.count(u64::from(exam.marks), "mark", "marks", "个标记");
        let recording = words.state(&live.recording);
        let told = words.pick(
            &format!("for {age}, {marks}, recording {recording}"),
            &format!("已 {age}，{marks}，录制{recording}"),
        );
        if self.state.sight.names {
            return format!("{}: {told}", studies::patient(&exam.patient.id, &exam.patient.name));
        }
        told
    }

    fn machine(&self, width: u16) -> Vec<Row> {
        let words = self.words;
        let Some(status) = &self.state.appliance else { return Vec::new() };
        let label = |en: &str, zh: &str| Cell::fixed(11, words.pick(en, zh)).tone(Tone::Weak);
        let total = self.state.retention.as_ref().map(|told| told.disk.total_bytes);
        let mut disk = words.room(status.free_bytes, total, status.studies_left, ONE_ROW.contains(&width));
        let forecast = self.state.retention.as_ref().map(|told| words.forecast(&told.forecast));
        if let Some(forecast) = forecast.filter(|forecast| !forecast.is_empty()) {
            disk = disk + &words.pick(", ", "，") + &forecast;
        }
        let (holds, limit) = (bytes(status.memory_bytes), bytes(status.memory_limit_bytes));
        let memory = words.pick(
            &format!("{holds}; decoding and analysis may use {limit}"),
            &format!("{holds}；解码和分析最多可用 {limit}"),
        );
        let mut rows = disk_rows(&disk, label("Disk", "磁盘"), width);
        rows.push(vec![label("Accelerator", "加速器"), Cell::rest(&status.accelerator)]);
        rows.push(vec![label("Memory", "内存"), Cell::rest(memory)]);
        rows
    }

    fn events(&self, most: usize, width: u16) -> Vec<Row> {
        let (subject, what) = if width >= ROOMY { (18, 19) } else { (13, 13) };
        let events = self.state.shown_events();
        if events.is_empty() {
            return vec![vec![Cell::rest(self.words.pick("none yet", "暂无")).tone(Tone::Weak)]];
        }
        let row = |event: &crate::Happened| {
            vec![
                Cell::fixed(14, day_and_time(&event.utc)).tone(Tone::Weak),
                Cell::fixed(subject, event.subject.replace('/', " ")),
                Cell::fixed(what, self.words.state(&event.what)).tone(tone_of(&event.what)),
                Cell::rest(&event.detail),
            ]
        };
        events.iter().take(most).map(row).collect()
    }
}

/// In two rows where one is too narrow: how full it is must not be cut.
fn disk_rows(text: &str, label: Cell, width: u16) -> Vec<Row> {
    let mut parts = super::text::wrap(text, usize::from(width.saturating_sub(12))).into_iter();
    let mut rows = vec![vec![label, Cell::rest(parts.next().unwrap_or_default())]];
    rows.extend(parts.map(|part| vec![Cell::fixed(11, ""), Cell::rest(part)]));
    rows
}

fn list(rows: &[Row], area: Rect, pen: &mut Pen<'_>) {
    for (at, row) in (0..area.height).zip(rows) {
        pen.row(line(area, at), row);
    }
}

/// `14:05` for today, `12-31` for another day; local.
fn short_time(utc: &str, now: Now) -> String {
    let local = time::local_seconds(utc);
    let today = time::local_seconds(&now.utc.to_string());
    match (local.get(..10), local.get(5..10), local.get(11..16)) {
        (Some(day), _, Some(time)) if today.starts_with(day) => time.to_owned(),
        (_, Some(day), Some(_)) => day.to_owned(),
        _ => local,
    }
}

/// `12-31 14:05:09`, local.
pub fn day_and_time(utc: &str) -> String {
    let local = time::local_seconds(utc);
    local.get(5..19).map_or_else(|| local.clone(), str::to_owned)
}
