//! Whose name the scanner's screen has shown in an exam that belongs to nobody yet. Pure.

use std::time::Duration;

use crate::name::OnScreen;

/// More patients than this are not on the screen of one exam.
const MOST: usize = 32;

/// What was read twice in a row, each once. A reading counts by its letters: how sure they are, and a clock beside the name, are
/// another thing each second.
#[derive(Debug, Default)]
pub struct Nobodys {
    shown: Vec<([String; 2], OnScreen)>,
    /// What was read last, and when.
    last: Option<([String; 2], Duration)>,
}

impl Nobodys {
    /// Takes what was read `at`. Readings that are further apart than `within` are not in a row; between them the screen may have been
    /// unreadable.
    pub fn read(&mut self, screen: &OnScreen, at: Duration, within: Duration) {
        let letters = screen.letters();
        let again =
            self.last.as_ref().is_some_and(|(last, then)| *last == letters && at.saturating_sub(*then) <= within);
        if again {
            self.remember(letters.clone(), screen);
        }
        self.last = Some((letters, at));
    }

    /// Of several readings of the same letters the surest one is compared.
    fn remember(&mut self, letters: [String; 2], screen: &OnScreen) {
        match self.shown.iter().position(|(known, _)| *known == letters) {
            Some(at) if screen.least() > self.shown[at].1.least() => self.shown[at].1 = screen.clone(),
            None if self.shown.len() < MOST => self.shown.push((letters, screen.clone())),
            _ => {}
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &OnScreen> {
        self.shown.iter().map(|(_, screen)| screen)
    }
}
