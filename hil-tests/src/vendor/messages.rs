//! Data sets of a scanner's messages: the question for the worklist, performed procedure step, storage commitment.

use super::habits::{Ends, Key, Performed, Query, tag};
use super::images::{Made, Order};
use crate::elements::{Elements, Tag, Writer};

const CHARACTER_SET: Tag = (0x0008, 0x0005);
const ACCESSION: Tag = (0x0008, 0x0050);
const MODALITY: Tag = (0x0008, 0x0060);
const NAME: Tag = (0x0010, 0x0010);
const ID: Tag = (0x0010, 0x0020);
const BIRTH_DATE: Tag = (0x0010, 0x0030);
const SEX: Tag = (0x0010, 0x0040);
const STUDY: Tag = (0x0020, 0x000d);
const SERIES: Tag = (0x0020, 0x000e);
const PROCEDURE_ID: Tag = (0x0040, 0x1001);
const STEPS: Tag = (0x0040, 0x0100);
const STEP_ID: Tag = (0x0040, 0x0009);
const CLASS: Tag = (0x0008, 0x1150);
const UID: Tag = (0x0008, 0x1155);
const TRANSACTION: Tag = (0x0008, 0x1195);
const FAILED: Tag = (0x0008, 0x1198);
const REFERENCED: Tag = (0x0008, 0x1199);

/// What the question is about.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub modality: &'a str,
    pub station: &'a str,
    /// YYYYMMDD: yesterday, today, tomorrow.
    pub days: [&'a str; 3],
    pub patient_id: &'a str,
    pub accession: &'a str,
    pub name: &'a str,
}

/// The identifier of the C-FIND. Elements that a query asks for beyond the usual ones come where their tags put them.
pub fn question(query: &Query, asked: &Asked<'_>, explicit: bool) -> Vec<u8> {
    let value = |key: Key, value: String| if query.matches.contains(&key) { value } else { String::new() };
    let date = if query.matches.contains(&Key::DateRange) {
        format!("{}-{}", asked.days[0], asked.days[2])
    } else {
        value(Key::Date, asked.days[1].to_owned())
    };
    let beginning: String = asked.name.chars().take(3).collect();
    let mut root: Vec<(Tag, &[u8; 2], String)> = vec![
        (ACCESSION, b"SH", value(Key::Accession, asked.accession.to_owned())),
        (NAME, b"PN", value(Key::NameBeginning, format!("{beginning}*"))),
        (ID, b"LO", value(Key::PatientId, asked.patient_id.to_owned())),
        (BIRTH_DATE, b"DA", String::new()),
        (SEX, b"CS", String::new()),
        (STUDY, b"UI", String::new()),
        (PROCEDURE_ID, b"SH", String::new()),
    ];
    let mut step: Vec<(Tag, &[u8; 2], String)> = vec![
        (MODALITY, b"CS", value(Key::Modality, asked.modality.to_owned())),
        ((0x0040, 0x0001), b"AE", value(Key::Station, asked.station.to_owned())),
        ((0x0040, 0x0002), b"DA", date),
        ((0x0040, 0x0003), b"TM", String::new()),
        (STEP_ID, b"SH", String::new()),
    ];
    if !query.character_set.is_empty() {
        root.push((CHARACTER_SET, b"CS", query.character_set.clone()));
    }
    for more in &query.returns {
        let (of_step, text) = match more.split_once('/') {
            Some((_, text)) => (true, text),
            None => (false, more.as_str()),
        };
        // The habits were checked when they were read; what is no tag asks for nothing.
        let Ok(tag) = tag(text) else { continue };
        let list = if of_step { &mut step } else { &mut root };
        if list.iter().all(|(known, ..)| *known != tag) {
            list.push((tag, b"LO", String::new()));
        }
    }
    root.sort_by_key(|one| one.0);
    step.sort_by_key(|one| one.0);
    let fill = |writer: Writer, list: &[(Tag, &[u8; 2], String)]| {
        list.iter().fold(writer, |writer, (tag, vr, text)| writer.text(*tag, vr, text))
    };
    let split = root.partition_point(|one| one.0 < STEPS);
    let writer = fill(Writer::new(explicit), &root[..split]);
    let item = fill(writer.item(), &step);
    fill(writer.sequence(STEPS, [item]), &root[split..]).finish()
}

/// An order from an answer of the worklist, its texts as they came.
pub fn order(data: &[u8], explicit: bool) -> Order {
    let answer = Elements::new(explicit, data);
    let step = answer.items(STEPS);
    Order {
        character_set: answer.text(CHARACTER_SET),
        name: answer.raw(NAME).to_vec(),
        patient_id: answer.raw(ID).to_vec(),
        birth_date: answer.text(BIRTH_DATE),
        sex: answer.text(SEX),
        accession: answer.raw(ACCESSION).to_vec(),
        study: answer.text(STUDY),
        procedure_id: answer.text(PROCEDURE_ID),
        step_id: step.first().map(|step| step.text(STEP_ID)).unwrap_or_default(),
    }
}

/// The N-CREATE (PS3.4 table F.7.2-1).
pub fn begun(habits: &Performed, order: &Order, modality: &str, station: &str, today: &str, explicit: bool) -> Vec<u8> {
    let empty = Writer::new(explicit);
    let scheduled = (0..habits.scheduled_steps).map(|number| {
        let step = if number == 0 { order.step_id.clone() } else { format!("{}.{number}", order.step_id) };
        empty
            .item()
            .put(ACCESSION, b"SH", &order.accession)
            .sequence((0x0008, 0x1110), [])
            .text(STUDY, b"UI", &order.study)
            .text((0x0032, 0x1060), b"LO", "")
            .text((0x0040, 0x0007), b"LO", "")
            .sequence((0x0040, 0x0008), [])
            .text(STEP_ID, b"SH", &step)
            .text(PROCEDURE_ID, b"SH", &order.procedure_id)
    });
    let scheduled: Vec<_> = scheduled.collect();
    Writer::new(explicit)
        .text(CHARACTER_SET, b"CS", &order.character_set)
        .text(MODALITY, b"CS", modality)
        .sequence((0x0008, 0x1032), [])
        .sequence((0x0008, 0x1120), [])
        .put(NAME, b"PN", &order.name)
        .put(ID, b"LO", &order.patient_id)
        .text(BIRTH_DATE, b"DA", &order.birth_date)
        .text(SEX, b"CS", &order.sex)
        .text((0x0020, 0x0010), b"SH", "")
        .text((0x0040, 0x0241), b"AE", station)
        .text((0x0040, 0x0242), b"SH", "")
        .text((0x0040, 0x0243), b"SH", "")
        .text((0x0040, 0x0244), b"DA", today)
        .text((0x0040, 0x0245), b"TM", "080000")
        .text((0x0040, 0x0250), b"DA", "")
        .text((0x0040, 0x0251), b"TM", "")
        .text((0x0040, 0x0252), b"CS", "IN PROGRESS")
        .text((0x0040, 0x0253), b"SH", "PPS1")
        .text((0x0040, 0x0254), b"LO", "")
        .text((0x0040, 0x0255), b"LO", "")
        .sequence((0x0040, 0x0260), [])
        .sequence((0x0040, 0x0270), scheduled)
        .sequence((0x0040, 0x0340), [])
        .finish()
}

/// An N-SET with these series; `ends`: the last one.
pub fn changed(series: &[(&str, Vec<&Made>)], ends: Option<Ends>, today: &str, explicit: bool) -> Vec<u8> {
    let empty = Writer::new(explicit);
    let items = series.iter().map(|(uid, made)| {
        let images = made.iter().map(|one| {
            empty.item().text(CLASS, b"UI", &one.instance.sop_class_uid).text(
                UID,
                b"UI",
                &one.instance.sop_instance_uid,
            )
        });
        let images: Vec<_> = images.collect();
        empty
            .item()
            .text((0x0008, 0x0054), b"AE", "")
            .text((0x0008, 0x103e), b"LO", "")
            .text((0x0008, 0x1050), b"PN", "")
            .text((0x0008, 0x1070), b"PN", "")
            .sequence((0x0008, 0x1140), images)
            .text((0x0018, 0x1030), b"LO", "as ordered")
            .text(SERIES, b"UI", uid)
            .sequence((0x0040, 0x0220), [])
    });
    let items: Vec<_> = items.collect();
    let writer = Writer::new(explicit);
    let writer = match ends {
        Some(ends) => writer.text((0x0040, 0x0250), b"DA", today).text((0x0040, 0x0251), b"TM", "081500").text(
            (0x0040, 0x0252),
            b"CS",
            match ends {
                Ends::Completed => "COMPLETED",
                Ends::Discontinued => "DISCONTINUED",
            },
        ),
        None => writer.text((0x0040, 0x0252), b"CS", "IN PROGRESS"),
    };
    writer.sequence((0x0040, 0x0340), items).finish()
}

/// The N-ACTION, or the report of an archive: SOP class and instance of each object; of a failed one the reason, too.
pub fn commitment(
    transaction: &str,
    kept: &[(String, String)],
    failed: &[(String, String, u16)],
    explicit: bool,
) -> Vec<u8> {
    let empty = Writer::new(explicit);
    let item = |class: &str, uid: &str| empty.item().text(CLASS, b"UI", class).text(UID, b"UI", uid);
    let mut writer = Writer::new(explicit).text(TRANSACTION, b"UI", transaction);
    if !failed.is_empty() {
        let failed = failed.iter().map(|(class, uid, why)| item(class, uid).number((0x0008, 0x1197), *why));
        writer = writer.sequence(FAILED, failed.collect::<Vec<_>>());
    }
    if !kept.is_empty() {
        writer = writer.sequence(REFERENCED, kept.iter().map(|(class, uid)| item(class, uid)).collect::<Vec<_>>());
    }
    writer.finish()
}

/// What a message of storage commitment says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    pub transaction: String,
    /// SOP class and instance.
    pub kept: Vec<(String, String)>,
    /// SOP instance and reason.
    pub failed: Vec<(String, u16)>,
}

pub fn read_commitment(data: &[u8], explicit: bool) -> Committed {
    let read = Elements::new(explicit, data);
    Committed {
        transaction: read.text(TRANSACTION),
        kept: read.items(REFERENCED).iter().map(|item| (item.text(CLASS), item.text(UID))).collect(),
        failed: read
            .items(FAILED)
            .iter()
            .map(|item| (item.text(UID), item.number((0x0008, 0x1197)).unwrap_or_default()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let kept = vec![("1.2".to_owned(), "1.2.3".to_owned())];
        let failed = vec![("1.2".to_owned(), "1.2.4".to_owned(), 0x0112)];
        for explicit in [false, true] {
            let read = read_commitment(&commitment("2.25.1", &kept, &failed, explicit), explicit);
            let expected =
                Committed { transaction: "2.25.1".into(), kept: kept.clone(), failed: vec![("1.2.4".into(), 0x0112)] };
            assert_eq!(read, expected);
        }
    }
}
