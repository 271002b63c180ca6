//! What must not leave the process: its memory, which holds patients.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps, whoever started the program; the unit says the same with `LimitCORE`. The limit alone would not
/// do: the kernel ignores it when dumps are piped to a program (core(5)).
pub fn no_core_dump() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let outcomes = [setrlimit(Resource::Core, none), set_dumpable_behavior(DumpableBehavior::NotDumpable)];
    for error in outcomes.into_iter().filter_map(Result::err) {
        tracing::warn!(%error, "cannot forbid core dumps: after a crash the dump would hold patient data");
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn a_crash_leaves_no_core_dump() {
        no_core_dump();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
    }
}
