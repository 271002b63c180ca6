//! Markers in the log: where the interval of a support case begins and ends (`scansidectl bundle --record`).

use super::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Start,
    Stop,
}

impl Place {
    /// # Errors
    /// `InvalidArgument` for any other word.
    pub fn parse(word: &str) -> Result<Self, Error> {
        match word {
            "start" => Ok(Self::Start),
            "stop" => Ok(Self::Stop),
            other => Err(Error::InvalidArgument(format!("{other:?} is neither start nor stop"))),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// A code stands in the log and in the audit trail, so it cannot be any text.
///
/// # Errors
/// `InvalidArgument` for what is no code.
pub fn check(code: &str) -> Result<(), Error> {
    let is_part =
        |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let is_code = code.split_once('-').is_some_and(|(first, last)| is_part(first) && is_part(last));
    if is_code { Ok(()) } else { Err(Error::InvalidArgument("a code is like K7QM-3XDP".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_code_gets_into_the_log() {
        assert!(check("K7QM-3XDP").is_ok());
        for wrong in
            ["", "K7QM", "K7QM3XDP", "k7qm-3xdp", "DOE^-JANE", "K7QM-3XDP\n", "K7QM-3XD", "ÄÖ-ÜÄ", "AAAA-BBBB-CCCC"]
        {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
        assert!(Place::parse("begin").is_err());
    }
}
