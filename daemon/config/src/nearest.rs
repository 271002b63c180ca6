//! The real key that is nearest to one that does not exist. Which keys exist is what the settings themselves say when they refuse
//! one, so that there is no list of keys that could grow old.

use toml::Value;

/// How unlike (of 0 to 1) the word may be before nothing is proposed.
const LIKENESS: f64 = 0.75;
const UNKNOWN: &str = "unknown key `";

/// The sentence to add to the refusal of an unknown key. `refused` says why the settings do not take a value at a path.
pub fn of_key(path: &[String], refused: impl Fn(&[String], &Value) -> Option<String>) -> Option<String> {
    let mut path = path.to_vec();
    let mut changed = false;
    // Each turn mends the first word that is wrong.
    for _ in 0..path.len() {
        let reason = refused(&path, &Value::Boolean(true)).or_else(|| refused(&path, &Value::from("x")));
        let Some((wrong, expected)) = reason.as_deref().and_then(words) else { break };
        let at = path.iter().position(|word| *word == wrong)?;
        let like = |word: &&str| strsim::jaro_winkler(word, &wrong);
        let best = expected.into_iter().max_by(|a, b| like(a).total_cmp(&like(b)))?;
        if like(&best) < LIKENESS {
            return None;
        }
        path[at] = best.to_owned();
        changed = true;
    }
    changed.then(|| format!("is `{}` meant?", path.join(".")))
}

/// The unknown word of a refusal, and the known ones.
fn words(reason: &str) -> Option<(String, Vec<&str>)> {
    let rest = reason.strip_prefix(UNKNOWN)?;
    let (wrong, rest) = rest.split_once('`')?;
    // Words stand between backticks: every second part.
    Some((wrong.to_owned(), rest.split('`').skip(1).step_by(2).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragment::refused;

    #[test]
    fn each_word_of_a_key_may_be_wrong() {
        let of = |key: &str| of_key(&key.split('.').map(str::to_owned).collect::<Vec<_>>(), refused);
        for (typed, meant) in [
            ("dicom.max_pduu", "dicom.max_pdu"),
            ("dicm.lisen", "dicom.listen"),
            ("dicom.comitment.wait_sec", "dicom.commitment.wait_secs"),
            ("destination.pacs.adress", "destination.pacs.address"),
        ] {
            assert_eq!(of(typed).unwrap(), format!("is `{meant}` meant?"));
        }
        assert_eq!(of("dicom.max_pdu"), None, "it exists");
        assert_eq!(of("qqq.zzz"), None, "nothing is like it");
    }
}
