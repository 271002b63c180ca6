//! The test study on its way: taken at the box's own port, analysed, results at each destination.

use super::measured::{Measured, StudyRun};
use super::{Group, Line, Outcome, Stage};
use crate::Delivery;
use crate::doctor::network::{self, Site};
use crate::doctor::text::{Text, both};

pub(super) fn lines(measured: &Measured) -> Vec<Line> {
    let Some(run) = &measured.study else {
        let why = both!("the daemon does not answer", "服务没有响应");
        let one = |(code, name): (&str, Text)| Line::new(code, Group::Study, name, Outcome::NotTested, why.clone());
        return names().into_iter().map(one).collect();
    };
    let [receive, analyse, deliver] = names();
    let received = received(run, measured, receive);
    let mut lines = vec![received];
    let taken = lines[0].outcome == Outcome::Pass;
    lines.push(analysed(run, taken, analyse));
    let analysed = lines[1].outcome == Outcome::Pass;
    lines.extend(delivered(run, measured, analysed, deliver));
    lines
}

fn names() -> [(&'static str, Text); 3] {
    [
        ("receive", both!("Test study received", "接收测试检查")),
        ("analyse", both!("Test study analysed", "分析测试检查")),
        ("deliver", both!("Results delivered", "结果发送")),
    ]
}

fn received(run: &StudyRun, measured: &Measured, (code, name): (&'static str, Text)) -> Line {
    let StudyRun { calling_ae, called_ae, address, images, .. } = run;
    let line = |outcome, seen| Line::new(code, Group::Study, name.clone(), outcome, seen);
    let again = both!(
        "`scansidectl doctor`; what the box says: `journalctl -u scansided -e`.",
        "请运行 `scansidectl doctor`；日志：`journalctl -u scansided -e`。"
    );
    match &run.sent {
        Some(Ok(taken)) if taken.images == *images => {
            let seconds = run.send_ms / 1000.0;
            line(
                Outcome::Pass,
                both!(
                    "{images} of {images} images taken at {address} as {called_ae}, from {calling_ae}, each safe on the disk, in {seconds:.2} s",
                    "{address}（{called_ae}）已接收 {calling_ae} 发送的 {images} 幅图像并逐幅落盘，共 {images} 幅，用时 {seconds:.2} 秒"
                ),
            )
        }
        Some(Ok(taken)) => {
            let (kept, why) = (taken.images, taken.refusal.clone().unwrap_or_default());
            line(
                Outcome::Fail,
                both!("{kept} of {images} images taken: {why}", "{images} 幅图像中接收了 {kept} 幅：{why}"),
            )
            .remedy(again)
        }
        Some(Err(why)) => {
            if let Some(caller) = &run.refused {
                let facts = &measured.facts;
                let site = Site { ae_titles: &facts.ae_titles, senders: &facts.senders, address };
                let (cause, remedy) = network::refused(caller, &site);
                let seen = both!(
                    "{calling_ae} calling {called_ae} at {address}: {why}",
                    "{calling_ae} 呼叫 {called_ae}（{address}）：{why}"
                );
                let seen = Text { en: format!("{}; {}", cause.en, seen.en), zh: format!("{}；{}", cause.zh, seen.zh) };
                // A test has no user's passcode, and what it is told of one must not shut out the scanners.
                if caller.outcome == "identity-refused" {
                    return line(Outcome::NotTested, seen).remedy(without_user(calling_ae, facts.senders.is_empty()));
                }
                let remedy = if ["calling-ae-unknown", "address-unknown"].contains(&caller.outcome.as_str()) {
                    admitted(calling_ae, &remedy)
                } else {
                    remedy
                };
                return line(Outcome::Fail, seen).remedy(remedy);
            }
            line(Outcome::Fail, both!("{address}: {why}", "{address}：{why}")).remedy(again)
        }
        None => line(Outcome::NotTested, both!("nothing was sent", "没有发送")),
    }
}

/// Besides what helps any sender: what helps this test.
fn admitted(calling_ae: &str, remedy: &Text) -> Text {
    let own = both!(
        "For a test as a scanner that is admitted: --from AE; to admit this test: a [[dicom.sender]] with ae_title = \"{calling_ae}\".",
        "如以已登记的设备名测试：--from AE；如需登记本测试：添加 ae_title = \"{calling_ae}\" 的 [[dicom.sender]]。"
    );
    Text { en: format!("{} {}", remedy.en, own.en), zh: format!("{} {}", remedy.zh, own.zh) }
}

/// How this test is admitted where senders must name a user.
fn without_user(calling_ae: &str, anyone_may_send: bool) -> Text {
    let entry = both!(
        "Senders must name a user (dicom.user_identity), and this test names none. To admit it: a [[dicom.sender]] with ae_title = \"{calling_ae}\", address = \"127.0.0.1\" and user_identity = \"ignore\".",
        "发送方必须提供用户身份（dicom.user_identity），而本测试不提供。如需登记本测试：添加 [[dicom.sender]]，其中 ae_title = \"{calling_ae}\"、address = \"127.0.0.1\"、user_identity = \"ignore\"。"
    );
    if !anyone_may_send {
        return entry;
    }
    let closes = both!(
        "No [[dicom.sender]] is there now, so that everybody with a known user may send: with the first entry nobody else may. Enter every scanner with it.",
        "目前没有任何 [[dicom.sender]]，任何已知用户均可发送；添加第一个条目后，其他设备将无法发送。请同时登记所有扫描设备。"
    );
    Text { en: format!("{} {}", entry.en, closes.en), zh: format!("{} {}", entry.zh, closes.zh) }
}

fn analysed(run: &StudyRun, taken: bool, (code, name): (&'static str, Text)) -> Line {
    let line = |outcome, seen| Line::new(code, Group::Study, name.clone(), outcome, seen);
    if !taken {
        return line(Outcome::NotTested, both!("the test study was not received", "测试检查没有被接收"));
    }
    let (state, verdict) = run
        .series
        .as_ref()
        .map_or(("", String::new()), |series| (series.state.as_str(), series.verdict.clone().unwrap_or_default()));
    let remedy = both!(
        "`scansidectl studies list`, then `scansidectl journal NUMBER` tells what happened to it.",
        "先看 `scansidectl studies list`，再用 `scansidectl journal 编号` 查看经过。"
    );
    match state {
        "processed" => {
            let seconds = run.verdict_ms.unwrap_or_default() / 1000.0;
            line(
                Outcome::Pass,
                both!("after {seconds:.1} s, the box says: {verdict}", "{seconds:.1} 秒后得出结论：{verdict}"),
            )
        }
        "refused" => line(Outcome::Fail, both!("refused: {verdict}", "被拒绝：{verdict}")).remedy(remedy),
        _ => {
            let (secs, job) = (run.waited_secs, run.job.as_ref());
            let stage = job.map(|job| format!("{} {}", job.state, job.stage)).unwrap_or_else(|| state.to_owned());
            let reason = job.and_then(|job| job.reason.clone()).unwrap_or_default();
            line(
                Outcome::Fail,
                both!("no verdict after {secs} s: {stage} {reason}", "{secs} 秒后仍无结论：{stage} {reason}"),
            )
            .remedy(remedy)
        }
    }
}

fn delivered(run: &StudyRun, measured: &Measured, analysed: bool, (code, name): (&'static str, Text)) -> Vec<Line> {
    let not = |why: Text| vec![Line::new(code, Group::Study, name.clone(), Outcome::NotTested, why)];
    if !run.delivered {
        return not(both!(
            "results of the test study stay on this box, as asked for (--no-delivery)",
            "按要求（--no-delivery），测试检查的结果只留在本机"
        ));
    }
    let mut destinations: Vec<&str> = measured.facts.destinations.iter().map(|one| one.name.as_str()).collect();
    destinations.extend(run.deliveries.iter().map(|delivery| delivery.destination.as_str()));
    destinations.sort_unstable();
    destinations.dedup();
    if destinations.is_empty() {
        return not(both!(
            "no destination is configured: results stay on the box",
            "未配置结果接收方：结果只保存在本机"
        ));
    }
    if !analysed {
        return not(both!("there are no results to deliver", "没有可发送的结果"));
    }
    destinations.into_iter().map(|destination| at(run, destination)).collect()
}

/// What came of the results at one destination.
fn at(run: &StudyRun, destination: &str) -> Line {
    let own: Vec<&Delivery> = run.deliveries.iter().filter(|one| one.destination == destination).collect();
    // What a destination does not take by its configuration is dropped at once.
    let wanted: Vec<&&Delivery> =
        own.iter().filter(|one| !["dropped", "superseded"].contains(&one.state.as_str())).collect();
    let (all, there) = (wanted.len(), wanted.iter().filter(|one| one.state == "delivered").count());
    let name = both!("Results at {destination}", "结果到达 {destination}");
    let line = |outcome, seen| Line::new(format!("deliver:{destination}"), Group::Study, name.clone(), outcome, seen);
    if all == 0 {
        let seen =
            both!("it takes none of the kinds of results that the test made", "该接收方不接受本测试产生的任何一类结果");
        return line(Outcome::NotTested, seen);
    }
    if there == all {
        let seconds = run.delivered_ms.iter().find(|(name, _)| name == destination).map_or(0.0, |(_, ms)| ms / 1000.0);
        return line(
            Outcome::Pass,
            both!(
                "{all} of {all} objects taken by it, {seconds:.1} s after the verdict",
                "结论得出 {seconds:.1} 秒后，{all} 个对象全部送达"
            ),
        );
    }
    let first = wanted.iter().find(|one| one.state != "delivered");
    let (state, reason) =
        first.map_or(("", String::new()), |one| (one.state.as_str(), one.reason.clone().unwrap_or_default()));
    if state == "held" {
        let seen = both!("held: {reason}", "已搁置：{reason}");
        let remedy = both!(
            "Real devices, or a destination with accepts_simulated = true (a test archive, never that of patients).",
            "请使用真实设备，或为测试用归档设置 accepts_simulated = true（切勿用于患者归档）。"
        );
        return line(Outcome::Fail, seen).remedy(remedy);
    }
    let seen = both!(
        "{there} of {all} objects there; {state}: {reason}",
        "{all} 个对象中已送达 {there} 个；{state}：{reason}"
    );
    let remedy = both!(
        "See the line of this peer below. What waits is sent as soon as it takes it; `scansidectl outbox list`.",
        "请看下文该对端一行。恢复后会自动发送；用 `scansidectl outbox list` 查看。"
    );
    line(Outcome::Fail, seen).remedy(remedy)
}

/// The way of the study, stage by stage.
pub(super) fn stages(run: &StudyRun) -> Vec<Stage> {
    let mut stages = Vec::new();
    let mut add = |code: &str, name: Text, milliseconds: f64| {
        stages.push(Stage { code: code.to_owned(), name, milliseconds });
    };
    if matches!(&run.sent, Some(Ok(taken)) if taken.images > 0) {
        let images = run.images;
        add("receive", both!("receive {images} images", "接收 {images} 幅图像"), run.send_ms);
    }
    if let Some(milliseconds) = run.verdict_ms {
        add(
            "verdict",
            both!("last image to verdict, with the wait for more images", "末幅图像到结论（含等待后续图像）"),
            milliseconds,
        );
    }
    for (stage, milliseconds) in timings(run) {
        let chinese = in_chinese(&stage);
        add(&format!("job:{stage}"), both!("  of these: {stage}", "  其中：{chinese}"), milliseconds);
    }
    for (destination, milliseconds) in &run.delivered_ms {
        let name = both!("verdict to results at {destination}", "结论到结果送达 {destination}");
        add(&format!("deliver:{destination}"), name, *milliseconds);
    }
    stages
}

fn timings(run: &StudyRun) -> Vec<(String, f64)> {
    let text = run.job.as_ref().and_then(|job| job.timings.as_deref()).unwrap_or("[]");
    let stages: Vec<(String, f64)> = serde_json::from_str(text).unwrap_or_default();
    stages.into_iter().filter(|(stage, _)| stage != "total").collect()
}

/// A stage of a job; those of tasks to come stay as they are.
fn in_chinese(stage: &str) -> &str {
    match stage {
        "volume" => "构建体数据",
        "lungs" => "肺部分割",
        "resample" => "重采样",
        "inference" => "模型推理",
        "postprocess" => "后处理",
        "report" => "生成结果",
        "store" => "保存",
        other => other,
    }
}
