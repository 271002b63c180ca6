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
}
