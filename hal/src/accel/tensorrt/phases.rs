//! How far a build is. TensorRT tells phases, phases within phases, and their steps; people want one number that only grows.

/// The longest tree of phases that is followed.
const DEEPEST: usize = 32;

#[derive(Debug)]
struct Phase {
    name: String,
    steps: u32,
    done: u32,
}

/// The phases that go on, outermost first.
#[derive(Debug, Default)]
pub struct Phases {
    open: Vec<Phase>,
    told: f64,
}

impl Phases {
    /// A phase of so many steps begins within `parent`, or by itself.
    pub fn start(&mut self, name: &str, parent: Option<&str>, steps: i32) {
        if self.open.len() < DEEPEST {
            // What a parent has open already is beside the new one, not around it.
            if let Some(at) = parent.and_then(|parent| self.open.iter().position(|phase| phase.name == parent)) {
                self.open.truncate(at + 1);
            }
            let steps = u32::try_from(steps).unwrap_or(0).max(1);
            self.open.push(Phase { name: name.to_owned(), steps, done: 0 });
        }
    }

    /// A step of a phase is done; `step` counts from 0.
    pub fn step(&mut self, name: &str, step: i32) {
        if let Some(phase) = self.open.iter_mut().find(|phase| phase.name == name) {
            phase.done = u32::try_from(step).unwrap_or(0).saturating_add(1).clamp(phase.done, phase.steps);
        }
    }

    pub fn finish(&mut self, name: &str) {
        if let Some(at) = self.open.iter().position(|phase| phase.name == name) {
            self.open.truncate(at);
        }
    }

    /// From 0 to 1, and never less than before. A phase that ends is its parent's next step.
    pub fn fraction(&mut self) -> f64 {
        let inner = |within: f64, phase: &Phase| {
            let steps = f64::from(phase.steps);
            ((f64::from(phase.done) + within) / steps).min(1.0)
        };
        let now = self.open.iter().rev().fold(0.0, inner);
        self.told = self.told.max(now);
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_an_inner_phase_move_the_outer_one() {
        let mut phases = Phases::default();
        assert_eq!(phases.fraction(), 0.0);
        phases.start("build", None, 4);
        phases.step("build", 0);
        assert_eq!(phases.fraction(), 0.25);
        phases.start("timing", Some("build"), 10);
        phases.step("timing", 4);
        assert_eq!(phases.fraction(), 0.375);
        phases.finish("timing");
        phases.step("build", 3);
        assert_eq!(phases.fraction(), 1.0);
    }

    #[test]
    fn it_never_goes_back_and_never_leaves_its_range() {
        let mut phases = Phases::default();
        phases.start("one", None, 2);
        phases.step("one", 0);
        phases.finish("one");
        assert_eq!(phases.fraction(), 0.0);
        phases.start("two", None, 2);
        phases.step("two", 1);
        let before = phases.fraction();
        phases.start("three", None, -7);
        phases.step("three", i32::MAX);
        phases.step("unknown", i32::MIN);
        phases.finish("unknown");
        for _ in 0..100 {
            phases.start("deep", Some("deep"), 3);
        }
        let after = phases.fraction();
        assert!(before <= after && (0.0..=1.0).contains(&after), "{before} {after}");
        assert!(phases.open.len() <= DEEPEST);
    }
}
