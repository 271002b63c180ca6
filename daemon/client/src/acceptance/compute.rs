//! The active model packages: are they intact, and do they answer as their maker recorded?

use super::drift::Figure;
use super::judge::time;
use super::measured::{Measured, PackageRun};
use super::{Group, Line, Outcome};
use crate::doctor::text::{Text, both};

pub(super) fn lines(measured: &Measured) -> Vec<Line> {
    if measured.packages.is_empty() {
        let seen = both!("no model package is active: nothing is analysed", "没有启用任何模型包：不会进行分析");
        let remedy = both!(
            "`scansidectl models install FILE --activate`, or `models activate`.",
            "执行 `scansidectl models install FILE --activate` 或 `models activate`。"
        );
        let name = both!("Model packages", "模型包");
        return vec![Line::new("package", Group::Models, name, Outcome::Fail, seen).remedy(remedy)];
    }
    measured.packages.iter().map(line).collect()
}

fn line(package: &PackageRun) -> Line {
    let PackageRun { id, version, task, .. } = package;
    let name = both!("{id} {version}", "{id} {version}");
    let (outcome, seen, remedy) = match (&package.intact, &package.golden) {
        (Err(why), _) => (Outcome::Fail, both!("it is damaged: {why}", "已损坏：{why}"), again(id, task)),
        (Ok(()), Err(why)) => {
            let seen = both!("its golden run failed: {why}", "标准答案自检未通过：{why}");
            (Outcome::Fail, seen, again(id, task))
        }
        (Ok(()), Ok(difference)) => {
            let took = format!("{:.1}", package.milliseconds / 1000.0);
            let seen = match difference {
                Some(difference) => both!(
                    "signature and files correct; answers differ from the golden ones by {difference:.1e} at most; loaded and run in {took} s",
                    "签名与文件正确；与标准答案的最大差异为 {difference:.1e}；加载并运行用时 {took} 秒"
                ),
                None => both!(
                    "signature and files correct; golden run passed in {took} s",
                    "签名与文件正确；标准答案自检通过，用时 {took} 秒"
                ),
            };
            (Outcome::Pass, seen, Text::default())
        }
    };
    Line::new(format!("package:{id}"), Group::Models, name, outcome, seen).remedy(remedy)
}

fn again(id: &str, task: &str) -> Text {
    both!(
        "Install {id} again from its maker's file, or use the one before: `scansidectl models rollback {task}`.",
        "请用制作方的文件重新安装 {id}，或退回之前的模型包：`scansidectl models rollback {task}`。"
    )
}

pub(super) fn figures(measured: &Measured) -> Vec<Figure> {
    let passed = measured.packages.iter().filter(|package| package.intact.is_ok() && package.golden.is_ok());
    let one = |package: &PackageRun| {
        let id = &package.id;
        let name = both!("load and golden run of {id}", "{id} 加载与自检");
        time(format!("golden:{id}"), name, package.milliseconds, 2000.0)
    };
    passed.map(one).collect()
}
