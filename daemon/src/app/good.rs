//! Keeps the configuration as the last good one once this run was ready for long enough.

use std::future::pending;
use std::time::Duration;

use config::good::Keep;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Ends at shutdown. `keep` is absent when there is nothing to keep: no state directory, or a run with the last good one.
pub async fn keep(keep: Option<Keep>, after: Duration, mut ready: watch::Receiver<bool>, shutdown: CancellationToken) {
    let work = async {
        if let Some(keep) = keep
            && ready.wait_for(|ready| *ready).await.is_ok()
        {
            tokio::time::sleep(after).await;
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
