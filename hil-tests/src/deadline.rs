//! Waiting for something to become true, with a deadline instead of a hopeful sleep.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at. Short against everything that is waited for, long against looking.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Asks until the answer is `Some`.
///
/// # Errors
/// When the deadline passes; names what was waited for.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_that_passes_names_what_was_waited_for() {
        let error = until_true("the moon", Duration::from_millis(1), || false).await.unwrap_err();
        assert!(error.to_string().contains("the moon"));
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
