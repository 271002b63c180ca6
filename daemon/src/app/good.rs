//! Keeps the configuration as the last good one once this run could receive for long enough.

use std::future::pending;
use std::time::Duration;

use config::good::Keep;
use custody::level::Level;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

type Now = (Level, String);

/// Ends at shutdown. `keep` is absent when there is nothing to keep: no state directory, or a run with the last good one.
pub async fn keep(keep: Option<Keep>, after: Duration, mut gate: watch::Receiver<Now>, shutdown: CancellationToken) {
    let work = async {
        if let Some(keep) = keep
            && received_for(after, &mut gate).await
        {
            match tokio::task::spawn_blocking(|| keep.keep()).await {
                Ok(Ok(())) => tracing::info!("the configuration is kept as the last good one"),
                Ok(Err(error)) => tracing::warn!(%error, "the configuration cannot be kept as the last good one"),
                Err(error) => tracing::warn!(%error, "the last good configuration"),
            }
        }
        pending::<()>().await;
    };
    tokio::select! {
        () = work => {}
        () = shutdown.cancelled() => {}
    }
}

/// Waits until studies were received for so long without a break: a configuration under which each is refused is no good one, however
/// steady the daemon is. `false`: nobody tells the level any more.
async fn received_for(after: Duration, gate: &mut watch::Receiver<Now>) -> bool {
    loop {
        if gate.wait_for(receives).await.is_err() {
            return false;
        }
        let refuses = async { gate.wait_for(|now| !receives(now)).await.is_ok() };
        match tokio::time::timeout(after, refuses).await {
            Err(_) => return true,
            Ok(false) => return false,
            Ok(true) => {}
        }
    }
}

fn receives(now: &Now) -> bool {
    now.0 <= Level::Reduced
}

#[cfg(test)]
mod tests {
    use custody::level::Gate;

    use super::*;

    const AFTER: Duration = Duration::from_secs(120);

    #[tokio::test(start_paused = true)]
    async fn what_refuses_studies_is_never_good_and_a_break_starts_the_wait_again() {
        let gate = Gate::default();
        gate.set(Level::NoNewStudies, "the spool cannot be opened");
        let mut seen = gate.subscribe();
        let day = Duration::from_secs(86400);
        assert!(tokio::time::timeout(day, received_for(AFTER, &mut seen)).await.is_err(), "it is kept");
        gate.set(Level::Reduced, "hot");
        let mut seen = gate.subscribe();
        let begun = tokio::time::Instant::now();
        let waits = tokio::spawn(async move { received_for(AFTER, &mut seen).await });
        tokio::time::sleep(Duration::from_secs(100)).await;
        gate.set(Level::NoOutput, "no disk");
        tokio::time::sleep(Duration::from_secs(100)).await;
        gate.set(Level::Full, "");
        assert!(waits.await.unwrap());
        assert!(begun.elapsed() >= Duration::from_secs(320), "{:?}", begun.elapsed());
    }
}
