//! The files of the page, embedded from `daemon/assets/console`.

/// Name, media type, content.
pub type Asset = (&'static str, &'static str, &'static [u8]);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($kind:ident $name:literal),* $(,)?) => {
        &[$(($name, $kind, include_bytes!(concat!("../../assets/console/", $name)))),*]
    };
}

pub const INDEX: &str = "index.html";
pub const LOGIN: &str = "login.html";
pub const STUDIES: &str = "studies.html";
pub const RECALLS: &str = "recalls.html";

pub const ALL: &[Asset] = assets![
    HTML "index.html",
    HTML "login.html",
    HTML "studies.html",
    HTML "recalls.html",
    CSS "page.css",
    CSS "studies.css",
    CSS "recalls.css",
    CSS "breast.css",
    SVG "icon.svg",
    SCRIPT "page.js",
    SCRIPT "connection.js",
    SCRIPT "picture.js",
    SCRIPT "overlay.js",
    SCRIPT "lesions.js",
    SCRIPT "sign.js",
    SCRIPT "figures.js",
    SCRIPT "exam.js",
    SCRIPT "place.js",
    SCRIPT "guide.js",
    SCRIPT "worklist.js",
    SCRIPT "sound.js",
    SCRIPT "login.js",
    SCRIPT "logout.js",
    SCRIPT "studies.js",
    SCRIPT "workplace.js",
    SCRIPT "told.js",
    SCRIPT "breast.js",
    SCRIPT "hanging.js",
    SCRIPT "mammogram.js",
    SCRIPT "marks.js",
    SCRIPT "lesion_list.js",
    SCRIPT "words.js",
    SCRIPT "table.js",
    SCRIPT "edit.js",
    SCRIPT "findings.js",
    SCRIPT "viewer.js",
    SCRIPT "planes.js",
    SCRIPT "segments.js",
    SCRIPT "stack.js",
    SCRIPT "box.js",
    SCRIPT "list.js",
    SCRIPT "name.js",
    SCRIPT "recalls.js",
    SCRIPT "history.js",
    SCRIPT "course.js",
];

pub fn find(name: &str) -> Option<&'static Asset> {
    ALL.iter().find(|(known, ..)| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_fetched_from_elsewhere_and_nothing_is_inline() {
        for (name, _, bytes) in ALL {
            let text = std::str::from_utf8(bytes).unwrap();
            let outside = text.replace("http://www.w3.org/2000/svg", "");
            for address in ["://", "\"//", "'//", "url(", "@import", "data:"] {
                assert!(!outside.contains(address), "{name}: {address}");
            }
            // The content security policy forbids these.
            for inline in ["<style", " style=", " onclick=", " onload=", "eval(", "javascript:"] {
                assert!(!text.contains(inline), "{name}: {inline}");
            }
            assert!(!text.contains("<script>"), "{name}");
        }
    }

    #[test]
    fn every_file_is_embedded() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/console");
        for file in std::fs::read_dir(directory).unwrap() {
            let name = file.unwrap().file_name();
            assert!(find(name.to_str().unwrap()).is_some(), "{name:?}");
        }
    }

    /// Text from outside becomes text nodes on the page, never markup.
    #[test]
    fn no_script_turns_text_into_markup() {
        for (name, _, bytes) in ALL {
            let text = String::from_utf8_lossy(bytes);
            for way in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "srcdoc"]
            {
                assert!(!text.contains(way), "{name}: {way}");
            }
        }
    }

    /// What a person reads comes from the table, in the language of the browser: pages hold none of it, and neither do scripts.
    #[test]
    fn no_page_has_a_word_outside_the_table() {
        for (name, kind, bytes) in ALL.iter().filter(|(name, ..)| *name != "table.js") {
            let text = std::str::from_utf8(bytes).unwrap();
            let found = match *kind {
                HTML => in_page(text),
                SCRIPT => in_script(text),
                _ => Vec::new(),
            };
            assert_eq!(found, [] as [&str; 0], "{name}");
        }
    }

    #[test]
    fn a_word_outside_the_table_is_found() {
        assert_eq!(in_page("<p id=\"a\">No study yet</p><kbd>M</kbd><b data-word=\"a.b\"></b>"), ["No study yet"]);
        assert_eq!(in_page("<p aria-label=\"Views\"></p>"), ["aria-label=\"Views"]);
        assert_eq!(
            in_script("by(\"id\").textContent = \"Loading\"; const a = `${n} of them`; // Not a word"),
            ["Loading", " of them"]
        );
    }

    fn has_letters(text: &str) -> bool {
        text.chars().filter(|letter| letter.is_ascii_alphabetic()).count() > 1
    }

    /// Texts between tags, and attributes that are read out. Keys, commands and figures are the same in every language.
    fn in_page(page: &str) -> Vec<&str> {
        let mut found = Vec::new();
        for part in page.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap_or((part, ""));
            let is_same = ["kbd", "code", "!--", "a id=\"csv", "a id=\"fhir"].iter().any(|same| tag.starts_with(same));
            if has_letters(text) && !is_same {
                found.push(text.trim());
            }
            for attribute in [" aria-label=\"", " placeholder=\"", " title=\""] {
                if let Some(at) = tag.find(attribute) {
                    found.push(
                        tag[at + 1..]
                            .split('"')
                            .take(2)
                            .last()
                            .map_or("", |value| &tag[at + 1..at + attribute.len() + value.len()]),
                    );
                }
            }
        }
        found
    }

    /// Literals that begin as a sentence does, or have several words. Names of keys, methods and fonts, and lists of classes, are none.
    fn in_script(script: &str) -> Vec<&str> {
        const SAME: [&str; 26] = [
            "ArrowUp",
            "ArrowDown",
            "ArrowLeft",
            "ArrowRight",
            "Shift+",
            "Shift+ArrowUp",
            "Shift+ArrowDown",
            "Shift+ArrowLeft",
            "Shift+ArrowRight",
            "PageUp",
            "PageDown",
            "Home",
            "End",
            "Escape",
            "Arrow",
            "Space",
            "Content-Type",
            "T00:00:00Z",
            "Esc",
            "Ax",
            // The box's words and names, by which a script tells cases apart, and what goes into the browser's log.
            "on the page: tick the box",
            "not parallel",
            "not circumscribed",
            "no posterior features",
            "zoom in",
            "a picture could not be decoded",
        ];
        let is_said = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().filter(|word| has_letters(word)).collect();
            let begins = text.chars().next().is_some_and(|first| first.is_ascii_uppercase())
                && text.chars().nth(1).is_some_and(|second| second.is_ascii_lowercase());
            begins
                || words.len() > 1
                    && words.iter().any(|word| {
                        ["of", "the", "is", "are", "not", "no", "in", "by", "them", "loaded"].contains(word)
                    })
        };
        literals(script).into_iter().filter(|text| !SAME.contains(&text.trim()) && is_said(text)).collect()
    }

    /// What stands between quotes, without what is computed in it; comments left out.
    fn literals(script: &str) -> Vec<&str> {
        let mut found = Vec::new();
        for line in script.lines() {
            let code = line.split(" // ").next().unwrap_or(line);
            if code.trim_start().starts_with("//") || code.starts_with("import ") || code.starts_with("} from") {
                continue;
            }
            let (mut quote, mut begun, mut depth) = (None, 0, 0_u32);
            let mut outer = Vec::new();
            for (at, letter) in code.char_indices() {
                match quote {
                    None if matches!(letter, '"' | '\'' | '`') => (quote, begun) = (Some(letter), at + 1),
                    None if letter == '}' && depth > 0 => {
                        depth -= 1;
                        (quote, begun) = (outer.pop(), at + 1);
                    }
                    None => {}
                    Some('`') if letter == '$' && code[at + 1..].starts_with('{') => {
                        found.push(&code[begun..at]);
                        outer.push('`');
                        depth += 1;
                        quote = None;
                    }
                    Some(open) if letter == open => {
                        found.push(&code[begun..at]);
                        quote = None;
                    }
                    Some(_) => {}
                }
            }
        }
        found
    }
}
