//! The recall list as CSV (RFC 4180), in UTF-8 with a byte order mark, which spreadsheets need to read names.

use crate::lesions::listed::RecallRow;

const HEADER: &str = "recall,lesion,patient_id,issuer,patient_name,birth_date,sex,side,clock,distance_mm,due,standing,days,modality,why,\
rule,entered,entered_by,last_date,last_longest_mm,last_modality,done,done_study_uid,cancelled_because,simulated";

pub fn written(rows: &[RecallRow]) -> String {
    let mut text = format!("\u{FEFF}{HEADER}\r\n");
    for row in rows {
        let optional = |value: Option<String>| value.unwrap_or_default();
        let fields = [
            row.id.to_string(),
            row.lesion.to_string(),
            row.person.id.clone(),
            row.person.issuer.clone(),
            row.person.name.clone(),
            row.person.birth_date.clone(),
            row.person.sex.clone(),
            optional(row.side.map(|side| format!("{side:?}").to_lowercase())),
            optional(row.clock.map(|clock| clock.to_string())),
            optional(row.distance_mm.map(|mm| mm.to_string())),
            row.due.to_string(),
            row.standing.as_str().to_owned(),
            row.days.to_string(),
            row.modality.clone(),
            row.why.clone(),
            row.rule.clone(),
            row.entered.to_string(),
            row.by.clone(),
            optional(row.last_date.map(|date| date.to_string())),
            optional(row.last_longest_mm.map(|mm| format!("{mm:.1}"))),
            row.last_modality.clone(),
            optional(row.done.map(|date| date.to_string())),
            row.done_study_uid.clone(),
            row.reason.clone(),
            row.simulated.to_string(),
        ];
        text.push_str(&fields.map(|field| quoted(&field)).join(","));
        text.push_str("\r\n");
    }
    text
}

/// A field that a spreadsheet would take for a formula gets an apostrophe in front: names come from outside. So does what begins
/// after a semicolon or tab, at which spreadsheets of many countries begin another field. A negative number stays one.
fn quoted(field: &str) -> String {
    let mut safe = String::with_capacity(field.len());
    for part in field.split_inclusive([';', '\t', '\n', '\r']) {
        let begun = part.trim_start_matches([' ', '"', '\u{feff}']);
        // Some take the wide forms for the same.
        let formula = begun.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
        if formula && field.parse::<f64>().is_err() {
            safe.push('\'');
        }
        safe.push_str(part);
    }
    let field = safe;
    if field.contains([',', ';', '"', '\t', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lesions::tests::some_row;

    #[test]
    fn names_from_outside_neither_break_a_line_nor_become_formulas() {
        let mut row = some_row();
        row.person.name = "=HYPERLINK(\"http://x\"),\nB".into();
        row.days = -3;
        let text = written(&[row]);
        let line = text.split_once("\r\n").unwrap().1;
        assert!(line.contains(r#","'=HYPERLINK(""http://x""),"#), "{line}");
        assert!(line.contains(",-3,"), "{line}");
    }

    /// A spreadsheet with another list separator splits fields at semicolons, also inside of quotes that do not begin a field.
    #[test]
    fn what_begins_a_field_elsewhere_is_no_formula_either() {
        for (field, safe) in [
            ("A;=1+1", "\"A;'=1+1\""),
            ("A\t@x", "\"A\t'@x\""),
            ("A; +1", "\"A;' +1\""),
            ("A\n-x", "\"A\n'-x\""),
            ("A;\"=1", "\"A;'\"\"=1\""),
            ("＝1", "'＝1"),
            ("-3.5", "-3.5"),
            ("A-B=C", "A-B=C"),
        ] {
            assert_eq!(quoted(field), safe, "{field:?}");
        }
    }

    #[test]
    fn every_line_has_the_fields_of_the_header() {
        let text = written(&[some_row()]);
        let counts: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(counts[0], counts[1]);
    }
}
