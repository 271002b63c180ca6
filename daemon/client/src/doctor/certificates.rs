//! Which certificates of DICOM over TLS have ended, or end soon: only by a clock that is trusted, since a wrong one must not
//! declare a certificate expired.

use super::clock::Trust;
use super::facts::Certificate;
use super::text::{Text, both, shell};
use super::{Checked, DAY, Facts, Finding, Gravity, age, looked, many, not_looked};

const SOON_DAYS: f64 = 30.0;

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>, trust: Trust) -> Vec<Finding> {
    let area = || both!("certificates", "证书");
    if let Some(why) = facts.unread_certificates.first() {
        let files = many(facts.unread_certificates.len(), "file");
        let number = facts.unread_certificates.len();
        let why = both!(
            "{files} could not be read (run it with sudo): {why}",
            "{number} 个文件无法读取（请用 sudo 运行）：{why}"
        );
        not_looked(checked, area(), why);
    }
    let first = facts.certificates.iter().map(|one| one.expires_utc.as_str()).min();
    // Without TLS there is nothing to say.
    let Some(first) = first else { return Vec::new() };
    if trust == Trust::Trusted {
        let (number, day) = (facts.certificates.len(), day(first));
        let files = many(number, "file");
        looked(checked, area(), both!("{files}, the first ends on {day}", "{number} 个文件，最早于 {day} 到期"));
    } else {
        not_looked(checked, area(), both!("the clock is not to be trusted", "本机时钟不可信"));
    }
    facts.certificates.iter().filter_map(|one| expiry(facts, one, trust)).collect()
}

fn expiry(facts: &Facts, certificate: &Certificate, trust: Trust) -> Option<Finding> {
    let left = -age(facts, &certificate.expires_utc)?;
    if left > SOON_DAYS * DAY {
        return None;
    }
    let what = what(certificate);
    let until = &certificate.expires_utc;
    let file = certificate.file.display();
    let seen = both!("{file} is valid until {until}", "{file} 有效期至 {until}");
    let Text { en, zh } = what;
    let finding = if trust != Trust::Trusted {
        let cause = both!(
            "{en} seems to end, but the clock is not to be trusted",
            "{zh}似乎即将到期或已过期，但本机时钟不可信"
        );
        // Where no time server is, the clock can be right all the same.
        let first = if trust == Trust::Wrong {
            both!("Set the clock first.", "请先校正时钟。")
        } else {
            let (now, Text { en, zh }) = (&facts.now_utc, remedy(certificate));
            both!(
                "Compare the clock with a watch (it says {now}). If it is right: {en}",
                "请与手表核对时钟（当前显示 {now}）。若时钟正确：{zh}"
            )
        };
        Finding::new("certificate-unclear", Gravity::Warning, cause, first)
    } else if left < 0.0 {
        let cause = both!("{en} has expired", "{zh}已过期");
        Finding::new("certificate-expired", gravity(facts, certificate), cause, remedy(certificate))
    } else {
        let days = super::span(left);
        let (days_en, days_zh) = (days.en, days.zh);
        let cause = both!("{en} expires in {days_en}", "{zh}将在 {days_zh}后过期");
        Finding::new("certificate-expires", Gravity::Warning, cause, remedy(certificate))
    };
    Some(finding.seen(seen))
}

/// Of several CAs in one file the others may be those that count.
fn gravity(facts: &Facts, certificate: &Certificate) -> Gravity {
    let all = age(facts, &certificate.all_expire_utc).is_none_or(|age| age > 0.0);
    if certificate.is_ca && !all { Gravity::Warning } else { Gravity::Broken }
}

fn what(certificate: &Certificate) -> Text {
    let joined = |each: fn(&Text) -> &str, by: &str| -> String {
        certificate.users.iter().map(each).collect::<Vec<_>>().join(by)
    };
    let (en, zh) = (joined(|user| &user.en, " and "), joined(|user| &user.zh, "、"));
    if certificate.is_ca {
        both!("A CA certificate for {en}", "{zh}所信任的 CA 证书")
    } else {
        both!("The certificate for {en}", "{zh}的证书")
    }
}

fn remedy(certificate: &Certificate) -> Text {
    let file = certificate.file.display();
    let word = shell(&file.to_string());
    if certificate.is_ca {
        return both!(
            "Put the CA's new certificate into {file}, beside the old one until all peers have new ones. A CA of `scansidectl cert`: `scansidectl cert renew {word}` where its key is, and copy it to the peers.",
            "请将 CA 的新证书加入 {file}；在所有对端更换之前保留旧证书。若 CA 由 `scansidectl cert` 建立：在存放其私钥处执行 `scansidectl cert renew {word}`，并分发给各对端。"
        );
    }
    both!(
        "`scansidectl cert renew {word}`, or have your CA issue a new one and put it there; it is used without a restart.",
        "执行 `scansidectl cert renew {word}`，或由 CA 重新签发后替换该文件；无需重启即可生效。"
    )
}

fn day(utc: &str) -> &str {
    utc.get(..10).unwrap_or(utc)
}
