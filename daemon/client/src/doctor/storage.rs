//! Disk and database: is there room, can it be written, is it wearing out; what was set aside.

use super::asked::{List, given};
use super::facts::Storage;
use super::retained::FEW_STUDIES;
use super::sandbox::outside;
use super::text::{Text, both, bytes, shell};
use super::{Checked, DAY, Facts, Finding, Gravity, age, looked, many, not_looked};

/// A forecast below this is told.
const FEW_DAYS: f64 = 7.0;
const WORN_PERCENT: u8 = 80;
const FEW_INODES: u64 = 1000;
/// The rate of studies is that of this time.
const RATE_DAYS: f64 = 14.0;

pub(super) fn keeps_from_starting(storage: &Storage) -> bool {
    hardware(storage).is_some() || (storage.free_bytes < 1 << 20 && storage.total_bytes > 0)
}

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let storage = facts.storage.as_ref();
    let outside = storage.zip(facts.unit.as_ref()).and_then(|(storage, unit)| outside(unit, &storage.directory));
    let mut found: Vec<Finding> = outside.or_else(|| storage.and_then(hardware)).into_iter().collect();
    if found.is_empty() {
        found.extend(room(facts, checked));
    }
    found.extend(facts.storage.as_ref().and_then(errors));
    found.extend(facts.storage.as_ref().and_then(worn));
    found.extend(database(facts, !found.is_empty()));
    found.extend(set_aside(facts, checked));
    found
}

/// What makes the storage useless as it is.
fn hardware(storage: &Storage) -> Option<Finding> {
    let place = storage.directory.display();
    let effect = both!("Scanners are refused and keep their studies.", "设备发送会被拒收，检查保留在设备上。");
    if storage.exists && storage.read_only {
        return Some(
            Finding::new(
                "disk-read-only",
                Gravity::Broken,
                both!("The disk can only be read: the kernel has switched writing off", "磁盘变为只读：内核已禁止写入"),
                both!("`dmesg | tail -50` shows the disk's errors. Check the disk, then restart the box; replace the disk if it comes again.", "用 `dmesg | tail -50` 查看磁盘错误，检查磁盘后重启本机；若再次出现请更换磁盘。"),
            )
            .seen(both!("{place} is mounted read-only", "{place} 以只读方式挂载"))
            .blocks(effect),
        );
    }
    if !storage.exists {
        return Some(
            Finding::new(
                "storage-missing",
                Gravity::Broken,
                both!("The folder for studies is not there", "检查的存储目录不存在"),
                both!(
                    "Is its disk mounted (`findmnt`)? Then `systemctl restart scansided`, which makes the folder.",
                    "磁盘是否已挂载（`findmnt`）？确认后执行 `systemctl restart scansided`，目录会自动创建。"
                ),
            )
            .seen(both!("spool.directory = {place}", "spool.directory = {place}")),
        );
    }
    if storage.owner.as_deref().is_some_and(|owner| owner != "scanside" && owner != "self") {
        let (owner, word) = (storage.owner.clone().unwrap_or_default(), shell(&place.to_string()));
        return Some(
            Finding::new(
                "storage-not-ours",
                Gravity::Broken,
                both!("scansided may not write to its folder", "scansided 无权写入存储目录"),
                both!(
                    "`chown -R scanside:scanside {word}`, then `systemctl restart scansided`.",
                    "执行 `chown -R scanside:scanside {word}`，然后 `systemctl restart scansided`。"
                ),
            )
            .seen(both!("{place} belongs to {owner}", "{place} 属于用户 {owner}")),
        );
    }
    if storage.free_inodes.is_some_and(|free| free < FEW_INODES) {
        let left = storage.free_inodes.unwrap_or(0);
        return Some(
            Finding::new(
                "disk-full",
                Gravity::Broken,
                both!("The disk takes no more files (its inodes are used up)", "磁盘 inode 已用尽，无法再建文件"),
                both!(
                    "Find what made the files: `df -i`; remove what is not Scanside's.",
                    "用 `df -i` 查找，并删除不属于 Scanside 的文件。"
                ),
            )
            .seen(both!("{left} inodes left at {place}", "{place} 剩余 {left} 个 inode")),
        );
    }
    None
}

/// Studies a day in the last two weeks; `None` when there were too few for a rate.
fn studies_per_day(facts: &Facts) -> Option<f64> {
    let ages: Vec<f64> = facts
        .studies_utc
        .iter()
        .filter_map(|utc| age(facts, utc))
        .filter(|age| (0.0..RATE_DAYS * DAY).contains(age))
        .collect();
    let longest = ages.iter().copied().fold(0.0, f64::max);
    #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
    (ages.len() >= 3).then(|| ages.len() as f64 / (longest / DAY).max(1.0))
}

fn room(facts: &Facts, checked: &mut Vec<Checked>) -> Option<Finding> {
    let free = facts
        .status
        .as_ref()
        .map(|status| status.free_bytes)
        .or_else(|| facts.storage.as_ref().map(|storage| storage.free_bytes));
    let Some(free) = free else {
        not_looked(checked, both!("disk", "磁盘"), both!("its folder cannot be seen", "无法查看存储目录"));
        return None;
    };
    let must = facts.config.min_free_bytes;
    let left = facts.status.as_ref().and_then(|status| status.studies_left);
    let days = left.zip(studies_per_day(facts)).map(|(left, rate)| {
        #[allow(clippy::cast_precision_loss, reason = "it is shown with no decimals")]
        let left = left as f64;
        left / rate
    });
    let (has, reserve) = (bytes(free), bytes(must));
    let short = days.is_some_and(|days| days < FEW_DAYS) || left.is_some_and(|left| left < FEW_STUDIES);
    let retained = facts.retention.filter(|_| short);
    let lasts = retained.is_some_and(|retained| retained.lasts(free, left.unwrap_or(0)));
    let evictable = bytes(retained.map_or(0, |retained| retained.evictable_bytes));
    let forecast = match (left, days) {
        _ if lasts => both!(
            "{has} free; the oldest studies go as new ones come: {evictable} may",
            "剩余 {has}；新检查到来时会清理最早的检查，可清理 {evictable}"
        ),
        (Some(left), Some(days)) => both!(
            "{has} free: room for about {left} studies, {days:.0} days at the present rate",
            "剩余 {has}：约可再存 {left} 个检查，按目前速度约 {days:.0} 天"
        ),
        (Some(left), None) => both!("{has} free: room for about {left} studies", "剩余 {has}：约可再存 {left} 个检查"),
        _ => both!("{has} free", "剩余 {has}"),
    };
    let remedy = both!(
        "`scansidectl retention` says what keeps studies from being evicted: most often results that do not reach their destination. Otherwise fit a larger disk.",
        "用 `scansidectl retention` 查看检查为何不能被清理：多数是结果没有送达接收方。否则请更换更大的磁盘。"
    );
    if free < must || free < 1 << 20 {
        return Some(
            Finding::new(
                "disk-full",
                Gravity::Broken,
                both!("The disk is full: new studies are refused", "磁盘已满：拒收新检查"),
                remedy,
            )
            .seen(both!(
                "{has} free, {reserve} must stay free (spool.min_free_mib)",
                "剩余 {has}，须保留 {reserve}（spool.min_free_mib）"
            ))
            .blocks(both!("Scanners get 0xA700 and keep their studies.", "设备会收到 0xA700，检查保留在设备上。")),
        );
    }
    looked(checked, both!("disk", "磁盘"), forecast.clone());
    (short && !lasts).then(|| {
        Finding::new("disk-nearly-full", Gravity::Warning, both!("The disk will soon be full", "磁盘即将写满"), remedy)
            .seen(forecast)
            .seen(retained.map(|_| both!("{evictable} can be evicted", "可清理 {evictable}")).unwrap_or_default())
    })
}

fn errors(storage: &Storage) -> Option<Finding> {
    let n = storage.errors;
    (n > 0).then(|| {
        Finding::new(
            "disk-errors",
            Gravity::Warning,
            both!("The disk makes errors", "磁盘出现读写错误"),
            both!(
                "Replace the disk soon; `dmesg` and `smartctl -a` say more.",
                "请尽快更换磁盘；用 `dmesg` 和 `smartctl -a` 查看详情。"
            ),
        )
        .seen(both!("the kernel counted {n} errors of the file system", "内核记录了 {n} 次文件系统错误"))
    })
}

fn worn(storage: &Storage) -> Option<Finding> {
    let used = storage.worn_percent.filter(|used| *used >= WORN_PERCENT)?;
    Some(
        Finding::new(
            "disk-worn",
            Gravity::Warning,
            both!("The flash memory is nearly worn out", "闪存寿命即将耗尽"),
            both!("Plan its replacement.", "请安排更换。"),
        )
        .seen(both!("{used} % of its life is used", "寿命已用 {used} %")),
    )
}

/// The restriction that the daemon itself tells, unless the disk explains it already.
fn database(facts: &Facts, explained: bool) -> Option<Finding> {
    let status = facts.status.as_ref()?;
    let reason = &status.level_reason;
    let of_database = ["database", "malformed"].iter().any(|word| reason.contains(word));
    if status.level == "full" {
        return (of_database || reason.contains("built again")).then(|| {
            Finding::new(
                "database-rebuilt",
                Gravity::Warning,
                both!(
                    "The database was damaged and was built again from the custody log",
                    "数据库曾损坏，已根据保管日志重建"
                ),
                both!(
                    "Check the last studies (`scansidectl studies list`); if it comes again, replace the disk.",
                    "请核对最近的检查（`scansidectl studies list`）；若再次出现请更换磁盘。"
                ),
            )
            .seen(Text::same(reason))
        });
    }
    // `service` tells of a reduced level.
    if explained || status.level == "reduced" {
        return None;
    }
    let (code, cause) = if of_database {
        (
            "database-damaged",
            both!("The database cannot be used: new studies are refused", "数据库无法使用：拒收新检查"),
        )
    } else if reason.contains("MiB free") {
        return None;
    } else {
        ("no-new-studies", both!("New studies are refused", "拒收新检查"))
    };
    Some(
        Finding::new(
            code,
            Gravity::Broken,
            cause,
            both!("The box goes on by itself: a damaged database is built again from its copy and the custody log, and nothing that was acknowledged is lost. If this stays, look at the reason and check the disk.", "设备会自行恢复：损坏的数据库会根据副本和保管日志重建，已确认接收的图像不会丢失。若持续出现，请查看原因并检查磁盘。"),
        )
        .seen(Text::same(reason))
        .blocks(both!("Scanners get 0xA700 and keep their studies.", "设备会收到 0xA700，检查保留在设备上。")),
    )
}

fn set_aside(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    if facts.status.is_none() || !given(facts, &[List::SetAside], both!("quarantine", "隔离区"), checked) {
        return Vec::new();
    }
    let of = |state: &str| facts.set_aside.iter().filter(|one| one.state == state).collect::<Vec<_>>();
    let mut found = Vec::new();
    let damaged = of("damaged").len();
    let images = many(damaged, "image");
    if damaged > 0 {
        found.push(Finding::new(
            "images-damaged",
            Gravity::Broken,
            both!("Damaged on this box's disk: {images}", "本机磁盘上有 {damaged} 幅图像损坏"),
            both!(
                "Have the studies sent again (`scansidectl quarantine list`), and replace the disk.",
                "请重新发送相关检查（`scansidectl quarantine list`），并更换磁盘。"
            ),
        ));
    }
    let quarantined = of("quarantined");
    if let Some(last) = quarantined.first() {
        let (n, ae, address) = (quarantined.len(), &last.calling_ae, &last.peer_address);
        let objects = many(n, "object");
        found.push(
            Finding::new(
                "quarantine-not-empty",
                Gravity::Warning,
                both!("Set aside, because it could not be read: {objects}", "有 {n} 个对象无法解析，已隔离"),
                both!("`scansidectl quarantine list` shows sender and reason; correct the sender and have them sent again.", "用 `scansidectl quarantine list` 查看发送方和原因，修正后重新发送。"),
            )
            .seen(both!("the last one came from {ae} at {address}", "最近一个来自 {ae}（{address}）"))
            .seen(Text::same(&last.reason)),
        );
    }
    let conflicts = of("conflict").len();
    let objects = many(conflicts, "object");
    if conflicts > 0 {
        found.push(Finding::new(
            "conflicts-open",
            Gravity::Warning,
            both!("Sent again with other content: {objects}", "有 {conflicts} 个对象以相同 UID、不同内容重复发送"),
            both!(
                "Decide with `scansidectl studies resolve STUDY --take-new` or `--keep-old`.",
                "用 `scansidectl studies resolve STUDY --take-new` 或 `--keep-old` 决定采用哪一份。"
            ),
        ));
    }
    if found.is_empty() {
        looked(checked, both!("quarantine", "隔离区"), both!("empty", "空"));
    }
    found
}
