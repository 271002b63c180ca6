//! What a task uses. Pure: a selection and an event in, a selection or a refusal out.
//!
//! ```text
//!             activate                    activate (another)
//!   nothing ----------> active ---------------------------------> active, the former is last good
//!      ^                 |  ^                                        |
//!      |      deactivate |  | activate                     rollback  |  or it turned out bad
//!      |                 v  |                                        v
//!      +----------- deactivated                              active: what was last good
//! ```

use serde::{Deserialize, Serialize};

use super::Key;

/// A package by name and content: a software update may bring another package of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Choice {
    #[serde(flatten)]
    pub key: Key,
    /// Of `model.toml`.
    pub sha256: String,
}

/// One small file for each task; it is replaced whole, so that a change of several fields happens or does not. Without
/// the file a package that came with the software is active.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Selection {
    pub active: Option<Choice>,
    /// What was active before and was not found to be bad.
    pub last_good: Option<Choice>,
    /// Was active until someone switched it off; nothing is active then.
    pub deactivated: Option<Choice>,
    /// Runs beside the active one; its results are compared and never used.
    pub shadow: Option<Choice>,
}

impl Selection {
    /// `now` is what the task uses at this moment, chosen or shipped.
    #[must_use]
    pub fn activate(&self, choice: Choice, now: Option<Choice>) -> Self {
        if now.as_ref() == Some(&choice) {
            return Self { active: Some(choice), deactivated: None, ..self.clone() };
        }
        let last_good = now.or_else(|| self.last_good.clone()).filter(|last| *last != choice);
        let shadow = self.shadow.clone().filter(|shadow| *shadow != choice);
        Self { active: Some(choice), last_good, deactivated: None, shadow }
    }

    /// `to` is what was last good. The one that is left is not good any more.
    #[must_use]
    pub fn back(&self, to: Option<Choice>) -> Self {
        let shadow = self.shadow.clone().filter(|shadow| Some(shadow) != to.as_ref());
        Self { active: to, last_good: None, deactivated: None, shadow }
    }

    #[must_use]
    pub fn deactivate(&self, now: Choice) -> Self {
        Self { active: None, deactivated: Some(now), ..self.clone() }
    }

    #[must_use]
    pub fn shadow(&self, shadow: Option<Choice>) -> Self {
        Self { shadow, ..self.clone() }
    }

    /// Without a package that is removed.
    #[must_use]
    pub fn without(&self, gone: &Key) -> Self {
        let keep = |choice: &Option<Choice>| choice.clone().filter(|choice| choice.key != *gone);
        Self {
            active: keep(&self.active),
            last_good: keep(&self.last_good),
            // Still switched off: removing the package does not switch another one on.
            deactivated: self.deactivated.clone(),
            shadow: keep(&self.shadow),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(version: &str) -> Choice {
        Choice { key: Key::new("p", version), sha256: version.into() }
    }

    fn some(version: &str) -> Option<Choice> {
        Some(choice(version))
    }

    #[test]
    fn the_former_becomes_last_good_and_comes_back_once() {
        let first = Selection::default().activate(choice("1"), some("0"));
        assert_eq!((first.active.clone(), first.last_good.clone()), (some("1"), some("0")));
        let second = first.activate(choice("2"), some("1"));
        assert_eq!((second.active.clone(), second.last_good.clone()), (some("2"), some("1")));
        assert_eq!(second.activate(choice("2"), some("2")), second, "twice is once");
        let back = second.back(second.last_good.clone());
        assert_eq!((back.active, back.last_good), (some("1"), None), "what was left is not good");
    }

    #[test]
    fn switched_off_stays_off_until_something_is_activated() {
        let active = Selection::default().activate(choice("1"), None);
        let off = active.deactivate(choice("1"));
        assert_eq!((off.active.clone(), off.deactivated.clone()), (None, some("1")));
        assert_eq!(off.without(&Key::new("p", "1")).deactivated, some("1"));
        let on = off.activate(choice("1"), None);
        assert_eq!((on.active, on.deactivated), (some("1"), None));
    }

    #[test]
    fn a_shadow_that_becomes_active_is_no_shadow_any_more() {
        let shadowed = Selection::default().shadow(some("2"));
        assert_eq!(shadowed.activate(choice("2"), some("1")).shadow, None);
        assert_eq!(shadowed.activate(choice("3"), some("1")).shadow, some("2"));
        assert_eq!(shadowed.without(&Key::new("p", "2")).shadow, None);
    }
}
