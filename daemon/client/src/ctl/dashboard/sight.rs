//! What a person looks at, and what keys do. Pure.

use super::state::State;
use crate::{Happened, Study};

/// A key, as the terminal tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    /// Escape, Backspace, Left.
    Back,
    Character(char),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z.
    Suspend,
    /// Ctrl-L.
    Redraw,
    /// The terminal has another size.
    Resized,
}

/// What the edge is to do about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Quit,
    Suspend,
    Redraw,
    /// Read the journal of this study, of none.
    Journal(Option<String>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Page {
    #[default]
    Overview,
    Help {
        scroll: usize,
    },
    Study {
        uid: String,
        scroll: usize,
    },
}

/// Lists as they were when somebody wanted to read them.
#[derive(Debug, Clone, PartialEq)]
pub struct Paused {
    pub studies: Vec<Study>,
    pub events: Vec<Happened>,
}

#[derive(Debug, Default)]
pub struct Sight {
    pub page: Page,
    /// UID of the chosen study.
    pub chosen: Option<String>,
    /// Whether patients are named, as `studies list` does.
    pub names: bool,
    pub paused: Option<Paused>,
    /// How far the page can be scrolled, as it was drawn last.
    pub most_scroll: usize,
}

const PAGE_ROWS: usize = 10;

impl State {
    pub fn press(&mut self, key: Key) -> Option<Wish> {
        match key {
            Key::Interrupt | Key::Character('q' | 'Q') => return Some(Wish::Quit),
            Key::Suspend => return Some(Wish::Suspend),
            Key::Redraw => return Some(Wish::Redraw),
            Key::Resized => return None,
            _ => {}
        }
        match self.sight.page {
            Page::Overview => self.press_overview(key),
            Page::Help { .. } | Page::Study { .. } => self.press_page(key),
        }
    }

    fn press_overview(&mut self, key: Key) -> Option<Wish> {
        match key {
            // The first key chooses the newest study.
            Key::Up | Key::Character('k') => self.choose(|at, _| at.map_or(0, |at| at.saturating_sub(1))),
            Key::Down | Key::Character('j') => self.choose(|at, _| at.map_or(0, |at| at + 1)),
            Key::PageUp => self.choose(|at, _| at.map_or(0, |at| at.saturating_sub(PAGE_ROWS))),
            Key::PageDown => self.choose(|at, _| at.map_or(0, |at| at + PAGE_ROWS)),
            Key::Home | Key::Character('g') => self.choose(|_, _| 0),
            Key::End | Key::Character('G') => self.choose(|_, last| last),
            Key::Back => self.sight.chosen = None,
            Key::Enter => {
                let newest = || self.shown_studies().first().map(|study| study.study_uid.clone());
                let uid = self.sight.chosen.clone().or_else(newest)?;
                self.sight.chosen = Some(uid.clone());
                self.sight.page = Page::Study { uid: uid.clone(), scroll: 0 };
                self.journal = None;
                return Some(Wish::Journal(Some(uid)));
            }
            Key::Character('?' | 'h') => self.sight.page = Page::Help { scroll: 0 },
            Key::Character('p' | ' ') => self.pause(),
            Key::Character('n') => self.sight.names = !self.sight.names,
            _ => {}
        }
        None
    }

    fn press_page(&mut self, key: Key) -> Option<Wish> {
        let most = self.sight.most_scroll;
        let (Page::Help { scroll } | Page::Study { scroll, .. }) = &mut self.sight.page else { return None };
        match key {
            Key::Up | Key::Character('k') => *scroll = scroll.saturating_sub(1),
            Key::Down | Key::Character('j') => *scroll = (*scroll + 1).min(most),
            Key::PageUp => *scroll = scroll.saturating_sub(PAGE_ROWS),
            Key::PageDown | Key::Character(' ') => *scroll = (*scroll + PAGE_ROWS).min(most),
            Key::Home | Key::Character('g') => *scroll = 0,
            Key::End | Key::Character('G') => *scroll = most,
            Key::Character('n') => self.sight.names = !self.sight.names,
            Key::Back | Key::Enter | Key::Character('?' | 'h') => {
                let was_study = matches!(self.sight.page, Page::Study { .. });
                self.sight.page = Page::Overview;
                self.journal = None;
                return was_study.then_some(Wish::Journal(None));
            }
            _ => {}
        }
        None
    }

    fn pause(&mut self) {
        self.sight.paused = match self.sight.paused.take() {
            Some(_) => None,
            None => Some(Paused { studies: self.studies.clone(), events: self.newest_events() }),
        };
    }

    /// `to`: place of the chosen study and of the last -> the new place.
    fn choose(&mut self, to: impl Fn(Option<usize>, usize) -> usize) {
        let studies = self.shown_studies();
        let Some(last) = studies.len().checked_sub(1) else { return };
        let next = to(self.chosen_at(), last).min(last);
        self.sight.chosen = studies.get(next).map(|study| study.study_uid.clone());
    }

    pub fn chosen_at(&self) -> Option<usize> {
        let chosen = self.sight.chosen.as_deref()?;
        self.shown_studies().iter().position(|study| study.study_uid == chosen)
    }

    /// The list as it stands still, or as it is.
    pub fn shown_studies(&self) -> &[Study] {
        self.sight.paused.as_ref().map_or(&self.studies, |paused| &paused.studies)
    }

    pub fn shown_events(&self) -> Vec<Happened> {
        self.sight.paused.as_ref().map_or_else(|| self.newest_events(), |paused| paused.events.clone())
    }
}

/// The first of the rows to show, so that the chosen one is among them.
pub fn first_row(chosen: Option<usize>, rows: usize) -> usize {
    chosen.map_or(0, |at| (at + 1).saturating_sub(rows))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{now, study};
    use super::super::state::Fact;
    use super::*;

    fn state() -> State {
        let mut state = State::new();
        state.learn(Fact::Studies((1..=3).rev().map(study).collect()), now(0));
        state
    }

    #[test]
    fn arrows_choose_a_study_and_enter_opens_it() {
        let mut state = state();
        let chosen = |state: &State| state.chosen_at();
        state.press(Key::Down);
        assert_eq!(chosen(&state), Some(0), "the first key chooses the newest");
        for _ in 0..5 {
            state.press(Key::Down);
        }
        assert_eq!(chosen(&state), Some(2));
        state.press(Key::Up);
        assert_eq!(state.press(Key::Enter), Some(Wish::Journal(Some("1.2.2".into()))));
        assert_eq!(state.sight.page, Page::Study { uid: "1.2.2".into(), scroll: 0 });
        assert_eq!(state.press(Key::Back), Some(Wish::Journal(None)));
        assert_eq!((&state.sight.page, chosen(&state)), (&Page::Overview, Some(1)));
    }

    #[test]
    fn the_chosen_study_stays_chosen_when_newer_ones_come() {
        let mut state = state();
        state.press(Key::Down);
        state.learn(Fact::Studies((1..=5).rev().map(study).collect()), now(1));
        assert_eq!(state.chosen_at(), Some(2));
        assert_eq!((first_row(Some(2), 2), first_row(Some(1), 2), first_row(None, 2)), (1, 0, 0));
    }

    #[test]
    fn a_pause_keeps_the_lists_still_and_the_next_one_shows_what_came_meanwhile() {
        let mut state = state();
        state.press(Key::Character('p'));
        state.learn(Fact::Studies((1..=9).rev().map(study).collect()), now(1));
        assert_eq!(state.shown_studies().len(), 3);
        state.press(Key::Character('p'));
        assert_eq!(state.shown_studies().len(), 9);
    }

    #[test]
    fn a_page_scrolls_no_further_than_it_is_long_and_q_ends_everywhere() {
        let mut state = state();
        state.press(Key::Character('?'));
        state.sight.most_scroll = 4;
        for _ in 0..3 {
            state.press(Key::PageDown);
        }
        assert_eq!(state.sight.page, Page::Help { scroll: 4 });
        assert_eq!(state.press(Key::Character('q')), Some(Wish::Quit));
        assert_eq!((state.press(Key::Back), &state.sight.page), (None, &Page::Overview));
        assert_eq!(state.press(Key::Interrupt), Some(Wish::Quit));
    }
}
