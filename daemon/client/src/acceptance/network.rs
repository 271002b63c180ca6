//! Do all peers answer? Destinations take what the box sends, the worklist server has a list.

use node::send::Way;

use super::drift::Figure;
use super::judge::{failed, found, time};
use super::measured::Measured;
use super::{Group, Line, Outcome};
use crate::doctor;
use crate::doctor::facts::Destination;
use crate::doctor::text::{both, shell};

pub(super) fn lines(measured: &Measured) -> Vec<Line> {
    let facts = &measured.facts;
    let mut lines: Vec<Line> = facts.destinations.iter().map(|destination| line(measured, destination)).collect();
    if lines.is_empty() {
        let seen = both!("no destination is configured: results stay on the box", "未配置结果接收方：结果只保存在本机");
        lines.push(Line::new("echo", Group::Network, both!("Peers", "对端"), Outcome::NotTested, seen));
    }
    if let Some(server) = &facts.worklist_server
        && let (Way::Dimse(target), Some(probe)) = (&server.way, &server.probe)
    {
        let name = both!("Worklist server", "工作列表服务器");
        let finding = doctor::network::worklist_server(target, probe);
        let well = both!("answers and offers a worklist", "有响应并提供工作列表");
        lines.push(found("echo:worklist", Group::Network, name, &finding.iter().collect::<Vec<_>>(), true, well));
    }
    lines
}

/// The daemon's own C-ECHO counts; the steps of the probe say what is wrong.
fn line(measured: &Measured, destination: &Destination) -> Line {
    let (label, place) = (&destination.name, destination.way.place());
    let word = shell(label);
    let (code, name) = (format!("echo:{label}"), both!("Peer {label}", "对端 {label}"));
    let echo = measured.echoes.iter().find(|(name, _)| name == label).map(|(_, echo)| echo);
    let told = destination.probe.as_ref();
    let told = told.and_then(|probe| doctor::network::probed(label, &destination.way, probe).into_iter().next());
    match (echo, told) {
        (_, Some(finding)) => failed(code, Group::Network, name, &finding),
        (Some(Err(why)), None) => {
            let seen = both!("{place}: {why}", "{place}：{why}");
            let remedy = both!(
                "`scansidectl peers echo {word}` shows where it ends.",
                "请用 `scansidectl peers echo {word}` 查看中断的步骤。"
            );
            Line::new(code, Group::Network, name, Outcome::Fail, seen).remedy(remedy)
        }
        (Some(Ok(milliseconds)), None) => {
            let seen = both!(
                "{place} answers within {milliseconds:.0} ms and takes every kind of result",
                "{place} 在 {milliseconds:.0} 毫秒内响应，接受各类结果"
            );
            Line::new(code, Group::Network, name, Outcome::Pass, seen)
        }
        (None, None) => {
            let seen = both!(
                "the daemon does not know this destination: it started with another configuration",
                "服务不认识该接收方：它启动时使用的是另一份配置"
            );
            let remedy = both!("`systemctl restart scansided`.", "执行 `systemctl restart scansided`。");
            Line::new(code, Group::Network, name, Outcome::Fail, seen).remedy(remedy)
        }
    }
}

pub(super) fn figures(measured: &Measured) -> Vec<Figure> {
    let answered = measured.echoes.iter().filter_map(|(name, echo)| Some((name, echo.as_ref().ok()?)));
    let one = |(label, milliseconds): (&String, &f64)| {
        time(format!("echo:{label}"), both!("answer of {label}", "{label} 响应"), *milliseconds, 100.0)
    };
    answered.map(one).collect()
}
