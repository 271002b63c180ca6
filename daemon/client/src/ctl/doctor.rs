//! `doctor`: prints what is wrong, the gravest first; then what was looked at.

use std::process::ExitCode;

use comfy_table::{Attribute, Cell, CellAlignment};
use serde::Serialize;

use super::examine::{self, Place};
use super::failure::Failure;
use super::output::{Output, Tone, field};
use crate::doctor::text::{Language, Text};
use crate::doctor::{self, Finding, Gravity, Report};

#[derive(Serialize)]
struct Answer<'a> {
    /// What the exit code says: `fine`, `warnings` or `broken`.
    verdict: &'static str,
    #[serde(flatten)]
    report: &'a Report,
}

pub async fn run(place: &Place, language: Language, output: &Output) -> Result<ExitCode, Failure> {
    if output.shows_progress() {
        output.note(&language.pick(
            "Looking at the box; up to a minute when something does not answer ...",
            "正在检查本机；如有设备无应答，最多需要一分钟……",
        ));
    }
    let facts = examine::facts(place).await;
    let report = doctor::judge(&facts);
    let code = ExitCode::from(report.exit_code());
    if output.is_json() {
        let verdict = ["fine", "warnings", "broken"][usize::from(report.exit_code())];
        output.json(&Answer { verdict, report: &report })?;
        return Ok(code);
    }
    print(&report, language, output)?;
    Ok(code)
}

pub fn print(report: &Report, language: Language, output: &Output) -> Result<(), Failure> {
    output.line(&headline(report, language, output))?;
    for finding in &report.findings {
        output.line("")?;
        print_finding(finding, language, output)?;
    }
    output.line("")?;
    print_checked(report, language, output)
}

fn headline(report: &Report, language: Language, output: &Output) -> String {
    let count = |gravity: Gravity| report.findings.iter().filter(|finding| finding.gravity == gravity).count();
    let (broken, warnings, notes) = (count(Gravity::Broken), count(Gravity::Warning), count(Gravity::Note));
    if broken + warnings + notes == 0 {
        let blind = report.checked.iter().filter(|checked| !checked.done).count();
        let all = language.pick("Nothing is wrong.", "一切正常。");
        let but = language.pick(
            &format!(" ({blind} of the areas below could not be looked at.)"),
            &format!("（下列项目中有 {blind} 项无法检查。）"),
        );
        return output.paint(&all, Tone::Good) + &if blind > 0 { but } else { String::new() };
    }
    let some = |number: usize, one: &str, many: &str, chinese: &str| {
        (number > 0).then(|| {
            language.pick(&format!("{number} {}", if number == 1 { one } else { many }), &format!("{number} {chinese}"))
        })
    };
    let parts: Vec<String> = [
        some(broken, "problem", "problems", "个故障").map(|text| output.paint(&text, Tone::Bad)),
        some(warnings, "warning", "warnings", "个警告").map(|text| output.paint(&text, Tone::Busy)),
        some(notes, "note", "notes", "个提示").map(|text| output.paint(&text, Tone::Weak)),
    ]
    .into_iter()
    .flatten()
    .collect();
    parts.join(&language.pick(", ", "，"))
        + &language.pick(". The first is the first to solve.", "。请从第一项开始处理。")
}

fn label(gravity: Gravity, language: Language) -> (String, Tone) {
    match gravity {
        Gravity::Broken => (language.pick("BROKEN", "故障"), Tone::Bad),
        Gravity::Warning => (language.pick("WARNING", "警告"), Tone::Busy),
        Gravity::Note => (language.pick("NOTE", "提示"), Tone::Weak),
    }
}

fn print_finding(finding: &Finding, language: Language, output: &Output) -> Result<(), Failure> {
    let (word, tone) = label(finding.gravity, language);
    let mut table = output.table(&[]);
    table.add_row(vec![
        super::output::toned_cell(&word, tone),
        Cell::new(finding.cause.in_language(language)).add_attribute(Attribute::Bold),
    ]);
    let rows = [
        (language.pick("Do", "处理"), vec![&finding.remedy]),
        (language.pick("Seen", "依据"), finding.evidence.iter().collect()),
        (language.pick("Effect", "影响"), vec![&finding.effect]),
    ];
    for (name, texts) in rows {
        let texts: Vec<String> =
            texts.into_iter().map(|text: &Text| text.in_language(language)).filter(|text| !text.is_empty()).collect();
        for (index, text) in texts.into_iter().enumerate() {
            table.add_row(vec![
                Cell::new(if index == 0 { name.as_str() } else { "" }).add_attribute(Attribute::Dim),
                Cell::new(text),
            ]);
        }
    }
    table.add_row(vec![
        Cell::new(language.pick("Code", "代码")).add_attribute(Attribute::Dim),
        Cell::new(finding.code).add_attribute(Attribute::Dim).set_alignment(CellAlignment::Left),
    ]);
    // The same left edge for all findings.
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(comfy_table::ColumnConstraint::LowerBoundary(comfy_table::Width::Fixed(9)));
    }
    output.print(table)
}

fn print_checked(report: &Report, language: Language, output: &Output) -> Result<(), Failure> {
    output.line(&output.paint(&language.pick("Looked at", "检查项目"), Tone::Strong))?;
    let mut table = output.table(&[]);
    for checked in &report.checked {
        let seen = checked.seen.in_language(language);
        let seen = if checked.done {
            seen
        } else {
            language.pick(&format!("not looked at: {seen}"), &format!("未检查：{seen}"))
        };
        field(&mut table, &checked.area.in_language(language), seen);
    }
    output.print(table)
}
