//! Makes the quiz: one page that holds everything, so that it works from a stick. Outlines are embedded as numbers, drawn only once
//! the learner has answered.

use data_encoding::BASE64;
use dicom::deidentify::Case;
use serde_json::json;

use super::Words;
use super::args::TeachingOptions;
use super::outline::Mark;
use super::write::{NOTICE, Page};
use crate::doctor::text::Language;

const TEMPLATE: &str = include_str!("quiz.html");
/// Where the case goes into the template.
const CASE: &str = "\"CASE\"";

/// # Errors
/// When it cannot be encoded, which is an error of the program.
pub fn page(
    options: &TeachingOptions,
    words: &Words,
    case: &Case,
    pages: &[Page],
) -> Result<String, serde_json::Error> {
    let pictures: Vec<_> = pages
        .iter()
        .map(|page| {
            let [columns, rows] = page.picture.size;
            json!({
                "columns": columns,
                "rows": rows,
                "mm": page.picture.mm,
                "image": format!("data:image/png;base64,{}", BASE64.encode(&page.png)),
                "marks": page.chosen.marks.iter().map(mark).collect::<Vec<_>>(),
            })
        })
        .collect();
    let content = json!({
        "case": case.name,
        "language": if words.language == Language::Chinese { "zh" } else { "en" },
        "history": options.history,
        "title": options.title,
        "author": options.author,
        "diagnosis": options.diagnosis,
        "discussion": words.discussion,
        "notice": { "en": NOTICE[0], "zh": NOTICE[1] },
        "pictures": pictures,
    });
    // It stands in a script element, which ends at the first `</script`.
    let content = serde_json::to_string(&content)?.replace('<', "\\u003c");
    Ok(TEMPLATE.replace(CASE, &content))
}

fn mark(mark: &Mark) -> serde_json::Value {
    let [red, green, blue] = mark.colour;
    let runs: Vec<u8> = mark.runs.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    json!({
        "label": mark.label,
        "colour": format!("rgb({red} {green} {blue})"),
        // Pairs of 32 bits, little endian: first pixel, number of pixels.
        "runs": format!("data:application/octet-stream;base64,{}", BASE64.encode(&runs)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_no_other_host_and_has_one_place_for_the_case() {
        assert_eq!(TEMPLATE.matches(CASE).count(), 1);
        for outside in ["http:", "https:", "//cdn", "src=\"", "@import", "fetch(", "XMLHttpRequest", "WebSocket"] {
            assert!(!TEMPLATE.contains(outside), "{outside}");
        }
    }
}
