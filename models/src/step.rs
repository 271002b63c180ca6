//! Where a test may stop or kill the process, to see what is on the disk then. Outside tests it does nothing.

#[cfg(not(test))]
pub fn step(_what: &str) {}

/// Set in a child process that stops at each step.
#[cfg(test)]
pub const FOLDER: &str = "SCANSIDE_CRASH_FOLDER";

/// In the child: tells the parent, and waits to be let go on (or killed). Elsewhere nothing.
#[cfg(test)]
pub fn step(what: &str) {
    use std::io::{Read, Write};
    use std::sync::OnceLock;

    static CHILD: OnceLock<bool> = OnceLock::new();
    if *CHILD.get_or_init(|| std::env::var_os(FOLDER).is_some()) {
        // Written directly: what the test harness captures never arrives.
        writeln!(std::io::stderr(), "step: {what}").unwrap();
        assert_eq!(std::io::stdin().read(&mut [0]).unwrap(), 1, "the parent has gone");
    }
}
