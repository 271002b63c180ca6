//! Follows the test study: until its verdict, and until its results are where results go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::acceptance::measured::{StudyRun, Taken};
use crate::ctl::acceptance::Bench;
use crate::doctor::Facts;
use crate::{Delivery, Options};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Fills in what happens to the study from now on.
///
/// # Errors
/// When the daemon leaves the bus.
pub async fn run(bench: &Bench<'_>, facts: &Facts, run: &mut StudyRun) -> zbus::Result<()> {
    if !matches!(&run.sent, Some(Ok(Taken { images, .. })) if *images > 0) {
        return Ok(());
    }
    let patience = Duration::from_secs(bench.options.within);
    bench.progress.say("Waiting for the verdict of the test study ...", "等待测试检查的结论……");
    let sent = Instant::now();
    while sent.elapsed() < patience {
        look(bench, run).await?;
        if run.series.as_ref().is_some_and(|series| ["processed", "refused"].contains(&series.state.as_str())) {
            run.verdict_ms = Some(milliseconds(sent));
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if run.verdict_ms.is_none() || !run.delivered {
        return Ok(());
    }
    bench.progress.say("Waiting for the results at their destinations ...", "等待结果送达接收方……");
    // A destination that did not answer a moment ago is not waited for: that it has failed is known, and what waits is sent later.
    let gone: Vec<&str> = facts
        .destinations
        .iter()
        .filter(|one| one.probe.as_ref().is_some_and(|probe| probe.failed.is_some()))
        .map(|one| one.name.as_str())
        .collect();
    let (concluded, mut there) = (Instant::now(), BTreeMap::new());
    while concluded.elapsed() < patience {
        let study = [("study_uid", run.study_uid.as_str().into()), ("limit", 1000u32.into())];
        run.deliveries = bench.manager.list_deliveries(Options::from(study)).await?;
        for name in complete(&run.deliveries) {
            there.entry(name).or_insert_with(|| milliseconds(concluded));
        }
        if run.deliveries.iter().all(|one| settled(one, &gone)) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    run.delivered_ms = there.into_iter().collect();
    Ok(())
}

async fn look(bench: &Bench<'_>, run: &mut StudyRun) -> zbus::Result<()> {
    let of = |uid: &str| Options::from([("study_uid", uid.to_owned().into()), ("limit", 10u32.into())]);
    run.series = bench.manager.list_series(of(&run.study_uid)).await?.into_iter().next();
    run.job = bench.manager.list_jobs(of(&run.study_uid)).await?.into_iter().next();
    if let Some(job) = run.job.as_ref().filter(|job| job.state == "running") {
        let (stage, percent) = (&job.stage, job.fraction * 100.0);
        bench.progress.say(
            &format!("The test study is analysed: {stage} {percent:.0} %"),
            &format!("正在分析测试检查：{stage} {percent:.0}%"),
        );
    }
    Ok(())
}

/// Whether waiting longer may change something.
fn settled(delivery: &Delivery, gone: &[&str]) -> bool {
    delivery.state != "pending" || (delivery.attempts > 0 && gone.contains(&delivery.destination.as_str()))
}

/// The destinations that have everything that goes to them.
fn complete(deliveries: &[Delivery]) -> Vec<String> {
    let goes = |one: &&Delivery| !["dropped", "superseded"].contains(&one.state.as_str());
    let mut names: Vec<&str> = deliveries.iter().filter(goes).map(|one| one.destination.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let all_there = |name: &&str| {
        deliveries.iter().filter(goes).filter(|one| one.destination == **name).all(|one| one.state == "delivered")
    };
    names.into_iter().filter(all_there).map(str::to_owned).collect()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
