//! The message of a panic that was caught.

use std::any::Any;

/// The text that a panic carries; `no message` when it carries none.
pub fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caught_panic_says_what_its_macro_said() {
        let caught = |body: fn()| {
            let panic = std::panic::catch_unwind(body).unwrap_err();
            text(panic.as_ref())
        };
        assert_eq!(caught(|| panic!("a fixed text")), "a fixed text");
        assert_eq!(caught(|| panic!("{} of {}", 1, 2)), "1 of 2");
        assert_eq!(caught(|| std::panic::panic_any(7)), "no message");
    }
}
