//! Models, the accelerator that runs them, heat, memory, and jobs that came to nothing.

use hal::accel::Provider;
use hal::sensors::{Cause, Readings, Throttle, Zone};

use super::asked::{List, given};
use super::facts::{Accelerator, Memory, Opened};
use super::text::{Text, both, bytes, shell};
use super::{Checked, Facts, Finding, Gravity, looked, many, not_looked};

const MEMORY_SHARE: f64 = 0.9;

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let mut found = Vec::new();
    let trouble = facts.accelerator.as_ref().and_then(accelerator);
    let trouble = trouble.or_else(|| lost(facts)).or_else(|| engine_elsewhere(facts));
    match (&facts.accelerator, &trouble) {
        (_, Some(_)) => looked(checked, both!("accelerator", "推理设备"), both!("trouble", "有问题")),
        (None, None) => not_looked(checked, both!("accelerator", "推理设备"), both!("not asked", "未检查")),
        (Some(one), None) => {
            let provider = &one.wanted;
            looked(checked, both!("accelerator", "推理设备"), both!("{provider}", "{provider}"));
        }
    }
    found.extend(trouble);
    found.extend(heat(facts, checked));
    found.extend(models(facts, checked));
    found.extend(facts.memory.as_ref().and_then(memory));
    found.extend(parked(facts));
    found
}

fn slower() -> Text {
    both!(
        "Studies are analysed on the CPU, many times slower; live pictures may have no overlay.",
        "改用 CPU 分析，速度慢很多；实时图像可能没有标注。"
    )
}

fn is_gpu(provider: &str) -> bool {
    Provider::parse(provider).is_ok_and(Provider::builds_engines)
}

fn accelerator(facts: &Accelerator) -> Option<Finding> {
    let wanted = &facts.wanted;
    let wants_gpu = is_gpu(wanted);
    let said = match &facts.opened {
        Some(Opened::Not(why)) => why.clone(),
        Some(Opened::As { fallback: Some(why), .. }) => why.clone(),
        _ => String::new(),
    };
    if wants_gpu && !facts.nvidia_hardware {
        return Some(
            Finding::new(
                "gpu-missing",
                Gravity::Broken,
                both!("The configuration wants a GPU ({wanted}), and the box has none", "配置要求使用 GPU（{wanted}），但本机没有检测到 GPU"),
                both!("Is the card seated and powered (`lspci | grep -i nvidia`)? Without one set accelerator.provider = \"cpu\".", "检查显卡是否插好、供电是否正常（`lspci | grep -i nvidia`）；没有显卡请设置 accelerator.provider = \"cpu\"。"),
            )
            .seen(Text::same(said))
            .blocks(slower()),
        );
    }
    if wants_gpu && !facts.nvidia_driver {
        return Some(
            Finding::new(
                "gpu-driver-missing",
                Gravity::Broken,
                both!("The GPU is there, its driver is not", "检测到 GPU，但驱动未加载"),
                both!("After a kernel update the driver must match it: `dmesg | grep -i nvidia`, then install the driver of this image.", "内核更新后驱动需要匹配：用 `dmesg | grep -i nvidia` 查看，然后安装与本系统匹配的驱动。"),
            )
            .seen(Text::same(said))
            .blocks(slower()),
        );
    }
    match facts.opened.as_ref()? {
        Opened::Not(why) => Some(
            Finding::new(
                "inference-library-missing",
                Gravity::Broken,
                both!(
                    "The library that runs the models cannot be used: no study is analysed",
                    "运行模型的推理库无法使用：所有检查都不能分析"
                ),
                both!(
                    "Install it, or name it in accelerator.library (libonnxruntime.so).",
                    "请安装推理库，或在 accelerator.library 中指定 libonnxruntime.so 的路径。"
                ),
            )
            .seen(Text::same(why)),
        ),
        Opened::As { provider, fallback: Some(why) } => Some(
            Finding::new(
                "accelerator-fallback",
                Gravity::Warning,
                both!("{wanted} is configured, {provider} is used", "配置的是 {wanted}，实际使用 {provider}"),
                both!(
                    "The reason is below; libraries and driver must be of the versions in the documentation.",
                    "原因见下；推理库与驱动版本须符合文档要求。"
                ),
            )
            .seen(Text::same(why))
            .blocks(slower()),
        ),
        Opened::As { .. } => None,
    }
}

/// The daemon does not use the GPU, which is there now.
fn lost(facts: &Facts) -> Option<Finding> {
    let (wanted, why) = facts.status.as_ref()?.accelerator.split_once(": ")?;
    Some(
        Finding::new(
            "accelerator-lost",
            Gravity::Warning,
            both!("{wanted} failed, the CPU does its work", "{wanted} 出现故障，目前由 CPU 代替"),
            both!(
                "It is tried again by itself, with the next study or picture after 10 s to 10 minutes. No memory: see what else uses the card (`nvidia-smi`). A line with Xid in `dmesg`: power, heat, or the card itself.",
                "系统会在 10 秒到 10 分钟后，随下一个检查或图像自动重试。显存不足：用 `nvidia-smi` 查看还有哪些程序占用显卡。`dmesg` 中出现 Xid：检查供电、散热或显卡本身。"
            ),
        )
        .seen(Text::same(why))
        .blocks(slower()),
    )
}

/// What the daemon itself used when it last checked the active package.
fn engine_elsewhere(facts: &Facts) -> Option<Finding> {
    let wanted = facts.config.provider.as_str();
    let gpu = is_gpu(wanted);
    let active = facts.models.iter().find(|model| model.state == "active" && model.accelerator.is_some())?;
    let used = active.accelerator.as_deref()?;
    (gpu && !used.starts_with(wanted)).then(|| {
        Finding::new(
            "accelerator-fallback",
            Gravity::Warning,
            both!("{wanted} is configured, but the models ran on another device", "配置的是 {wanted}，但模型在其他设备上运行"),
            both!("`journalctl -u scansided | grep 'model loaded'` shows the reason; restart scansided after it is corrected.", "用 `journalctl -u scansided | grep 'model loaded'` 查看原因，修正后重启 scansided。"),
        )
        .seen(Text::same(used))
    })
}

fn models(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    if facts.status.is_none() || !given(facts, &[List::Models], both!("models", "模型"), checked) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let active: Vec<String> = facts
        .models
        .iter()
        .filter(|model| model.state == "active")
        .map(|model| format!("{} {}", model.id, model.version))
        .collect();
    for model in facts.models.iter().filter(|model| model.state == "refused") {
        let (id, version, task, word) = (&model.id, &model.version, &model.task, shell(&model.id));
        let reason = model.reason.clone().unwrap_or_default();
        let golden = reason.contains("golden") || reason.contains("accuracy set");
        let replaced = facts.models.iter().find(|other| other.task == *task && other.state == "active");
        let gravity = if replaced.is_some() { Gravity::Warning } else { Gravity::Broken };
        let (code, cause) = if golden {
            (
                "golden-failing",
                both!(
                    "Model package {id} {version} gives wrong answers on this box and is not used",
                    "模型包 {id} {version} 在本机自检结果不正确，已停用"
                ),
            )
        } else {
            (
                "model-refused",
                both!(
                    "Model package {id} {version} is damaged or not trusted and is not used",
                    "模型包 {id} {version} 已损坏或签名不可信，已停用"
                ),
            )
        };
        let remedy = if golden {
            both!(
                "After a new driver or library: `scansidectl models build {word}`. If it fails again, send `scansidectl bundle` to the maker.",
                "若刚更换驱动或推理库，请执行 `scansidectl models build {word}`；仍失败请把 `scansidectl bundle` 的结果发给厂家。"
            )
        } else {
            both!(
                "Copy it again from the maker's medium: `scansidectl models install FILE --activate`.",
                "请从厂家介质重新安装：`scansidectl models install FILE --activate`。"
            )
        };
        let instead = replaced.map(|other| {
            let (id, version) = (&other.id, &other.version);
            both!("{id} {version} is used instead", "目前改用 {id} {version}")
        });
        found.push(
            Finding::new(code, gravity, cause, remedy).seen(Text::same(reason)).seen(instead.unwrap_or_default()),
        );
    }
    if active.is_empty() && found.iter().all(|finding| finding.gravity != Gravity::Broken) {
        found.push(
            Finding::new(
                "model-missing",
                Gravity::Broken,
                both!("No model package is active: nothing is analysed", "没有启用的模型包：不会进行任何分析"),
                both!("`scansidectl models list`; then `scansidectl models install FILE --activate`, or `models activate PACKAGE`.", "先看 `scansidectl models list`；再执行 `scansidectl models install FILE --activate` 或 `models activate PACKAGE`。"),
            )
            .blocks(both!("Studies are received; their jobs are parked.", "检查照常接收，但分析任务会被搁置。")),
        );
    }
    if !active.is_empty() {
        let list = active.join(", ");
        looked(checked, both!("models", "模型"), both!("{list}", "{list}"));
    }
    found
}

/// What the daemon says of it, too: it sees changes, who looks once does not.
fn heat(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let area = both!("heat", "温度");
    let Some(readings) = facts.heat.as_ref().filter(|readings| readings.is_known()) else {
        not_looked(checked, area, both!("this box has no sensors that can be read", "本机没有可读取的温度传感器"));
        return Vec::new();
    };
    match readings.hottest() {
        Some(hottest) => {
            let degrees = hottest.celsius;
            looked(checked, area, both!("{degrees:.0} °C at most", "最高 {degrees:.0} °C"));
        }
        None => looked(checked, area, both!("throttling only", "仅降频状态")),
    }
    let daemon = facts.status.as_ref().map_or("", |status| status.heat.as_str());
    too_hot(readings, daemon).into_iter().chain(power_short(readings, daemon)).collect()
}

fn too_hot(readings: &Readings, daemon: &str) -> Option<Finding> {
    let hot = readings.zones.iter().find(|zone| zone.celsius >= zone.hot_from());
    let (times, active) = (readings.times(Cause::Heat), readings.active(Cause::Heat));
    let now = hot.is_some() || active.is_some() || daemon == "hot" || (daemon == "throttled" && times > 0);
    if !now && times == 0 {
        return None;
    }
    let zone = hot
        .or_else(|| readings.nearest())
        .map(|Zone { name, celsius, .. }| both!("{name}: {celsius:.0} °C", "{name}：{celsius:.0} °C"));
    let limit = hot.or_else(|| readings.nearest()).and_then(|zone| zone.limit_celsius.or(zone.critical_celsius));
    let limit = limit.map(|limit| both!("its limit is {limit:.0} °C", "上限为 {limit:.0} °C"));
    Some(
        Finding::new(
            "too-hot",
            if now { Gravity::Warning } else { Gravity::Note },
            both!("The box is too hot and slows itself down", "本机温度过高，正在降频"),
            both!(
                "Clean filter and fan, and leave a hand's breadth of air around the box.",
                "清洁滤网和风扇，机箱四周保留约 10 厘米的通风空间。"
            ),
        )
        .seen(zone.unwrap_or_default())
        .seen(limit.unwrap_or_default())
        .seen(slowed(times))
        .seen(active.map(acts).unwrap_or_default())
        .blocks(both!(
            "Live pictures may lose their overlay; studies take longer.",
            "实时图像可能丢失标注，检查分析变慢。"
        )),
    )
}

fn power_short(readings: &Readings, daemon: &str) -> Option<Finding> {
    let (times, active) = (readings.times(Cause::Power), readings.active(Cause::Power));
    if times == 0 && active.is_none() {
        return None;
    }
    let now = active.is_some() || (daemon == "throttled" && readings.active(Cause::Heat).is_none());
    let counted = readings.throttles.iter().filter(|one| one.cause == Cause::Power && one.times.unwrap_or(0) > 0);
    let names = counted.map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    Some(
        Finding::new(
            "power-short",
            if now { Gravity::Warning } else { Gravity::Note },
            both!("The power supply gives too little, and the box slows itself down", "供电不足，本机正在降频"),
            both!(
                "Use the power supply that belongs to the box, and check its plug. If it is that, choose a power mode that draws less (on a Jetson `nvpmodel`).",
                "请使用本机原配电源，并检查插头。若仍如此，请选择较低的功耗模式（Jetson 上用 `nvpmodel`）。"
            ),
        )
        .seen(both!("{names}", "{names}"))
        .seen(slowed(times))
        .seen(active.map(acts).unwrap_or_default())
        .blocks(both!(
            "Live pictures may lose their overlay; studies take longer.",
            "实时图像可能丢失标注，检查分析变慢。"
        )),
    )
}

fn slowed(times: u64) -> Text {
    if times == 0 {
        return Text::default();
    }
    both!("times that the box slowed itself down since its start: {times}", "自启动以来本机已降频 {times} 次")
}

fn acts(throttle: &Throttle) -> Text {
    let name = &throttle.name;
    both!("{name} slows it down now", "{name} 正在使其降频")
}

#[allow(clippy::cast_precision_loss, reason = "a share of memory")]
fn memory(memory: &Memory) -> Option<Finding> {
    let (used, limit, killed) = (bytes(memory.used_bytes), bytes(memory.limit_bytes), memory.killed);
    let near = memory.limit_bytes > 0 && memory.used_bytes as f64 > MEMORY_SHARE * memory.limit_bytes as f64;
    (near || killed > 0).then(|| {
        Finding::new(
            "memory-short",
            Gravity::Warning,
            if killed > 0 {
                both!("Memory ran out: the kernel ended scansided", "内存曾耗尽：scansided 被内核终止")
            } else {
                both!("Memory is nearly used up", "内存即将用尽")
            },
            both!(
                "Lower analyze.memory_mib and series.decode_ahead_mib, or give the box more memory.",
                "请调低 analyze.memory_mib 和 series.decode_ahead_mib，或增加内存。"
            ),
        )
        .seen(both!("{used} of {limit}", "已用 {used}，上限 {limit}"))
        .seen(if killed > 0 {
            both!("times that it was ended: {killed}", "被终止 {killed} 次")
        } else {
            Text::default()
        })
    })
}

fn parked(facts: &Facts) -> Option<Finding> {
    let status = facts.status.as_ref()?;
    let n = status.jobs_parked;
    if n == 0 {
        return None;
    }
    let jobs = many(n, "job");
    let last = facts.parked_jobs.first();
    let reason = last.and_then(|job| job.reason.clone()).map(Text::same).unwrap_or_default();
    Some(
        Finding::new(
            "jobs-parked",
            Gravity::Warning,
            both!("Analysis came to nothing and waits for a person: {jobs}", "有 {n} 个分析任务未能完成，等待人工处理"),
            both!(
                "Remove the cause that the reason names, then `scansidectl studies rerun STUDY`.",
                "按原因处理后执行 `scansidectl studies rerun STUDY`。"
            ),
        )
        .seen(reason),
    )
}
