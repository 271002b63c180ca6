//! Waits for a condition with a deadline. Tests use this instead of sleeping for a time that is hopefully long enough.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Time between two checks of a condition: short compared with what is waited for, long compared with a check.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Calls `ask` until the answer is `Some`.
///
/// # Errors
/// When the deadline passes; the error names `what`.
pub async fn until<T, A>(what: &str, within: Duration, mut ask: impl FnMut() -> A) -> anyhow::Result<T>
where
    A: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            anyhow::bail!("waited {:.1} s in vain for: {what}", within.as_secs_f64());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The same for a plain condition.
///
/// # Errors
/// When the deadline passes.
pub async fn until_true(what: &str, within: Duration, mut ask: impl FnMut() -> bool) -> anyhow::Result<()> {
    until(what, within, || {
        let answer = ask().then_some(());
        async move { answer }
    })
    .await
}

/// Waits until a count reaches 0. The deadline starts again whenever the count changes, so that a slow machine may take
/// as long as it needs while it makes progress.
///
/// # Errors
/// When the count does not change until the deadline; the error gives the count.
pub async fn until_none(what: &str, unchanged_within: Duration, mut count: impl FnMut() -> i64) -> anyhow::Result<()> {
    let mut left = count();
    while left > 0 {
        let before = left;
        let changed = until_true(what, unchanged_within, || {
            left = count();
            left != before
        });
        changed.await.map_err(|error| error.context(format!("{before} are left")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_that_passes_names_what_was_waited_for() {
        let error = until_true("the moon", Duration::from_millis(1), || false).await.unwrap_err();
        assert!(error.to_string().contains("the moon"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_that_falls_is_waited_for_and_one_that_stands_still_is_not() {
        let mut left = 5;
        let begun = Instant::now();
        let falls = || {
            left = 5 - (begun.elapsed().as_secs() / 8) as i64;
            left
        };
        until_none("jobs", Duration::from_secs(10), falls).await.unwrap();
        let error = until_none("jobs", Duration::from_secs(10), || 3).await.unwrap_err();
        assert_eq!(error.to_string(), "3 are left");
    }

    #[tokio::test]
    async fn the_first_answer_ends_the_wait() {
        let mut asked = 0;
        until_true("three", Duration::from_secs(10), || {
            asked += 1;
            asked == 3
        })
        .await
        .unwrap();
        assert_eq!(asked, 3);
    }
}
