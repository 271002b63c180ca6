//! Measures how many instances per second become durable. Run by hand: `cargo test --release -p custody --lib
//! spool::tests::speed -- --ignored --nocapture`

use std::time::{Duration, Instant};

use super::*;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, not a promise"]
async fn durable_instances_per_second() {
    for (senders, size) in [(1, 512 * 1024), (4, 512 * 1024), (1, 64 * 1024), (16, 64 * 1024)] {
        let mut place = Place::new();
        place.settings.segment_mib = 128;
        let (spool, _) = place.open();
        keep(&spool, 0, 1000).await;
        let number = 600;
        let data: Arc<Vec<Vec<u8>>> =
            Arc::new((1..=number).map(|number| data_set(&uid(number), number as u8, size)).collect());
        let begin = Instant::now();
        let tasks: Vec<_> = (0..senders)
            .map(|sender| {
                let (spool, data) = (spool.clone(), data.clone());
                tokio::spawn(async move {
                    let mut waits = Vec::new();
                    for index in (sender..number).step_by(senders) {
                        let begin = Instant::now();
                        let outcome = send(&spool, &uid(index + 1), &data[index]).await.unwrap();
                        assert!(matches!(outcome, Outcome::New(_)));
                        waits.push(begin.elapsed());
                    }
                    waits
                })
            })
            .collect();
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await.unwrap());
        }
        let seconds = begin.elapsed().as_secs_f64();
        waits.sort();
        let at = |fraction: f64| -> Duration { waits[(waits.len() as f64 * fraction) as usize] };
        println!(
            "{senders} senders, {} KiB: {:.0}/s, {:.0} MB/s, p50 {:?} p99 {:?} max {:?}",
            size / 1024,
            number as f64 / seconds,
            (number * size) as f64 / seconds / 1e6,
            at(0.5),
            at(0.99),
            waits[waits.len() - 1],
        );
    }
}
