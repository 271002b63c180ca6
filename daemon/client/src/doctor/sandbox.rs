//! Whether the unit of the daemon lets it write where the configuration says. The file system is read-only for it, but for its
//! state directory and what a drop-in names.

use std::path::Path;

use super::facts::Unit;
use super::text::{both, shell};
use super::{Finding, Gravity};

/// `StateDirectory=` of the unit.
pub const STATE: &str = "/var/lib/scanside";

/// The folder of studies, where the unit keeps it from being written.
pub fn outside(unit: &Unit, directory: &Path) -> Option<Finding> {
    let may = unit.writable.iter().any(|path| directory.starts_with(path));
    if !unit.protects_system || directory.starts_with(STATE) || may {
        return None;
    }
    let (place, word) = (directory.display(), shell(&directory.display().to_string()));
    Some(
        Finding::new(
            "storage-outside-unit",
            Gravity::Broken,
            both!("The unit does not let scansided write to its folder {place}", "服务单元不允许 scansided 写入 {place}"),
            both!(
                "Mount that disk at /var/lib/scanside and leave spool.directory out. Or `systemctl edit scansided`: below [Unit] RequiresMountsFor={word}, below [Service] ReadWritePaths={word}; then `chown scanside:scanside {word}` and `systemctl restart scansided`.",
                "请将该磁盘挂载到 /var/lib/scanside，并删除 spool.directory 设置。或执行 `systemctl edit scansided`：在 [Unit] 下写 RequiresMountsFor={word}，在 [Service] 下写 ReadWritePaths={word}；然后执行 `chown scanside:scanside {word}` 和 `systemctl restart scansided`。"
            ),
        )
        .seen(both!("spool.directory = {place}; ProtectSystem=strict", "spool.directory = {place}；ProtectSystem=strict"))
        .blocks(both!("Scanners are refused and keep their studies.", "设备发送会被拒收，检查保留在设备上。")),
    )
}

#[cfg(test)]
mod tests {
    use crate::doctor::judge;
    use crate::doctor::tests::healthy;

    #[test]
    fn another_disk_under_the_sandbox_is_told_until_the_unit_lets_it_be_written() {
        let mut facts = healthy();
        facts.unit.as_mut().unwrap().protects_system = true;
        assert_eq!(judge(&facts).findings, []);
        facts.storage.as_mut().unwrap().directory = "/srv/disk/studies".into();
        let told = judge(&facts).findings;
        assert_eq!((told.len(), told[0].code), (1, "storage-outside-unit"), "{told:?}");
        assert!(told[0].remedy.en.contains("ReadWritePaths=/srv/disk/studies"), "{told:?}");
        facts.unit.as_mut().unwrap().writable = vec!["/srv/disk".into()];
        assert_eq!(judge(&facts).findings, []);
        facts.unit = None;
        assert_eq!(judge(&facts).findings, [], "a daemon without a unit has no sandbox");
    }
}
