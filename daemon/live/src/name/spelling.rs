//! How a name may be spelled on a screen, and letters that are not told apart. Pure.

/// What a name may look like on a screen: each of its ways of writing (PS3.5 6.2.1), family name first or last, with middle
/// names or without.
pub(super) fn spellings(name: &str) -> Vec<Vec<char>> {
    let mut all = Vec::new();
    for group in name.split('=') {
        for plain in [without_marks(group, false), without_marks(group, true)] {
            let mut parts = plain.split('^').map(|part| folded(part).collect::<Vec<char>>());
            let [family, given, middle] = std::array::from_fn(|_| parts.next().unwrap_or_default());
            for parts in [[&family, &given, &Vec::new()], [&family, &given, &middle], [&given, &middle, &family]] {
                all.push(joined(&parts.map(Vec::as_slice).concat()));
            }
            all.push(joined(&[given, family].concat()));
        }
    }
    all.retain(|word| word.len() >= 2);
    all.sort();
    all.dedup();
    all
}

/// Umlauts and accents as scanners without them write: the letter alone, or with an E (`with_e`).
fn without_marks(name: &str, with_e: bool) -> String {
    let mut plain = String::new();
    for c in name.chars().map(upper) {
        plain.push(without_mark(c));
        match c {
            'Ä' | 'Ö' | 'Ü' | 'Ø' | 'Å' if with_e => plain.push('E'),
            'ß' if with_e => plain.push('S'),
            _ => {}
        }
    }
    plain
}

/// The capital; of ß it would be two letters, so that stays.
fn upper(c: char) -> char {
    if c == 'ß' { c } else { c.to_uppercase().next().unwrap_or(c) }
}

/// An upper-case letter without its mark.
fn without_mark(c: char) -> char {
    match c {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => 'A',
        'Ç' | 'Ć' | 'Č' => 'C',
        'È'..='Ë' | 'Ē' | 'Ę' | 'Ě' => 'E',
        'Ì'..='Ï' | 'İ' => 'I',
        'Ñ' | 'Ń' | 'Ň' => 'N',
        'Ò'..='Ö' | 'Ø' | 'Ő' => 'O',
        'Ù'..='Ü' | 'Ů' | 'Ű' => 'U',
        'Ý' => 'Y',
        'Ł' => 'L',
        'Ś' | 'Š' | 'Ş' | 'ß' | 'ẞ' => 'S',
        'Ź' | 'Ż' | 'Ž' => 'Z',
        'Ğ' => 'G',
        'Ř' => 'R',
        other => other,
    }
}

pub(super) fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}')
}

/// Letters and digits only, each as the first of those that look like it.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter_map(fold)
}

pub(super) fn fold(c: char) -> Option<char> {
    match without_mark(upper(c)) {
        '0' | 'Q' => Some('O'),
        '1' | 'L' | '|' | '!' => Some('I'),
        '5' => Some('S'),
        '8' => Some('B'),
        '2' => Some('Z'),
        '6' => Some('G'),
        c => c.is_alphanumeric().then_some(c),
    }
}

/// Two letters that are read as one: `rn` as `m`, `vv` as `w`.
pub(super) fn run_together(letters: [char; 2]) -> Option<char> {
    match letters {
        ['R', 'N'] => Some('M'),
        ['V', 'V'] => Some('W'),
        _ => None,
    }
}

/// A word as the reader may read it: see [`run_together`].
pub(super) fn joined(word: &[char]) -> Vec<char> {
    let mut joined: Vec<char> = Vec::with_capacity(word.len());
    for c in word {
        match joined.last_mut().and_then(|last| Some((run_together([*last, *c])?, last))) {
            Some((one, last)) => *last = one,
            None => joined.push(*c),
        }
    }
    joined
}
