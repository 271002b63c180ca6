//! A row of the audit trail as a DICOM audit message (PS3.15 section A.5.1). Pure.

use crate::Audited;

/// Code and meaning of DCM.
type Code = (&'static str, &'static str);

/// What a message says of an event: ID and type (PS3.15 A.5.3), and what was done (C, R, U, D or E).
fn event(what: &str) -> (Code, Code, &'static str) {
    let security = ("110113", "Security Alert");
    let activity = ("110100", "Application Activity");
    match what {
        "export" | "retrieve" => (("110106", "Export"), ("110106", "Export"), "R"),
        "login" => (("110114", "User Authentication"), ("110122", "Login"), "E"),
        "started" => (activity, ("110120", "Application Start"), "E"),
        "configuration changed" => (security, ("110131", "Software Configuration"), "E"),
        "install-model" | "activate-model" | "remove-model" | "cancel-build" | "installed" => {
            (security, ("110131", "Software Configuration"), "E")
        }
        "begun" | "mended" | "damaged" | "lost" | "retired" | "database built again" => {
            (("110101", "Audit Log Used"), ("110101", "Audit Log Used"), "U")
        }
        "review-series" | "resolve-study" => {
            (("110103", "DICOM Instances Accessed"), ("110103", "DICOM Instances Accessed"), "U")
        }
        _ => (activity, activity, "E"),
    }
}

/// One XML document without line breaks. `host`: the name of this box.
pub fn of(row: &Audited, host: &str) -> String {
    let (id, kind, action) = event(&row.what);
    // Success, minor failure (not done), serious failure (refused).
    let outcome = match row.result.split(':').next() {
        Some("failed") => 4,
        Some("refused") => 8,
        _ => 0,
    };
    let code = |element: &str, (value, meaning): Code| {
        format!(r#"<{element} csd-code="{value}" codeSystemName="DCM" originalText="{meaning}"/>"#)
    };
    let (user, address) = match row.who.strip_prefix("page ") {
        Some(address) => {
            ("page", format!(r#" NetworkAccessPointID="{}" NetworkAccessPointTypeCode="2""#, escaped(address)))
        }
        None => (row.who.as_str(), String::new()),
    };
    let description = format!("{}: {}; row {}, hash {}", row.what, row.result, row.number, row.hash);
    let mut text = String::from(r#"<?xml version="1.0" encoding="UTF-8"?><AuditMessage>"#);
    text += &format!(
        r#"<EventIdentification EventActionCode="{action}" EventDateTime="{}" EventOutcomeIndicator="{outcome}">"#,
        escaped(&row.utc)
    );
    text += &code("EventID", id);
    text += &code("EventTypeCode", kind);
    text +=
        &format!("<EventOutcomeDescription>{}</EventOutcomeDescription></EventIdentification>", escaped(&description));
    text += &format!(r#"<ActiveParticipant UserID="{}" UserIsRequestor="true"{address}/>"#, escaped(user));
    text += &format!(r#"<AuditSourceIdentification AuditSourceID="{}"/>"#, escaped(host));
    text += &object(&row.object);
    text + "</AuditMessage>"
}

/// A study by its UID as the standard has it; anything else as a system object under its own name.
fn object(object: &str) -> String {
    let uid = object.strip_prefix("study ").map(|rest| rest.split([',', ':']).next().unwrap_or_default());
    let (id, kind, role, code, meaning) = match uid {
        Some(uid) => (uid, 2, 3, "110180", "Study Instance UID"),
        None => (object, 2, 20, "110182", "Node ID"),
    };
    format!(
        r#"<ParticipantObjectIdentification ParticipantObjectID="{}" ParticipantObjectTypeCode="{kind}" ParticipantObjectTypeCodeRole="{role}"><ParticipantObjectIDTypeCode csd-code="{code}" codeSystemName="DCM" originalText="{meaning}"/><ParticipantObjectName>{}</ParticipantObjectName></ParticipantObjectIdentification>"#,
        escaped(id),
        escaped(object)
    )
}

/// Text as XML 1.0 lets it stand in an element or a value.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            control if control.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(what: &str, object: &str, result: &str) -> Audited {
        Audited {
            number: 7,
            utc: "2026-01-31T10:00:00.000Z".into(),
            who: "page 192.0.2.7".into(),
            what: what.into(),
            object: object.into(),
            result: result.into(),
            previous: String::new(),
            hash: "ab".into(),
        }
    }

    #[test]
    fn a_row_becomes_a_message_on_one_line_and_its_text_stays_text() {
        let text = of(&row("export", "study 1.2.3, 16 objects", "allowed"), "box <1>");
        assert!(text.contains(r#"csd-code="110106""#) && text.contains(r#"ParticipantObjectID="1.2.3" "#), "{text}");
        assert!(text.contains(r#"AuditSourceID="box &lt;1&gt;""#) && !text.contains('\n'), "{text}");
        assert!(text.contains(r#"NetworkAccessPointID="192.0.2.7""#) && text.contains(r#"EventOutcomeIndicator="0""#));
        let text = of(&row("login", "page\n\"", "refused: wrong token"), "box");
        assert!(text.contains(r#"EventOutcomeIndicator="8""#) && text.contains("page &quot;"), "{text}");
    }
}
