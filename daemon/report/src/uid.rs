//! Derives UIDs from the inputs, so that a retry makes the same objects and not a second set.

use dicom::uid::from_hash;
use models::ChestFindings;
use models::lesion::followed::Followed;
use models::review::marks::Marked;
use models::review::{Item, Review};
use sha2::{Digest, Sha256};

use crate::words::Language;
use crate::{Content, Provenance, Source};

/// All UIDs of one result.
#[derive(Debug)]
pub struct Uids {
    seed: [u8; 32],
    /// Without what a review makes another version of.
    lasting: [u8; 32],
}

impl Uids {
    /// Two results have the same UIDs only if inputs, patient, device, software, model and content (findings, or the reason of a
    /// refusal) are the same. The accelerator is left out on purpose: a job that is repeated on the CPU after the GPU
    /// failed makes the same objects.
    pub fn new(source: &Source, content: &Content, provenance: &Provenance) -> Self {
        let mut inputs: Vec<&str> = source.instances.iter().map(|i| i.sop_instance_uid.as_str()).collect();
        inputs.sort_unstable();
        inputs.dedup();
        let mut hash = Sha256::new();
        for uid in inputs {
            field(&mut hash, uid);
        }
        // A corrected re-send has the same UIDs. What is here of the old images may be evicted; archives have what was made of them.
        let header = source.header;
        for text in [&header.patient_id, &header.issuer_of_patient_id, &header.patient_name, &header.birth_date] {
            field(&mut hash, text);
        }
        if !source.revision.is_empty() {
            field(&mut hash, "corrected");
            field(&mut hash, source.revision);
        }
        field(&mut hash, &provenance.device_uid);
        field(&mut hash, &provenance.software_version);
        if let Some(model) = &provenance.model {
            for text in [&model.id, &model.version, &model.sha256, &model.thresholds] {
                field(&mut hash, text);
            }
        }
        match content {
            Content::Findings { quality, .. } => {
                field(&mut hash, "findings");
                if provenance.language != Language::English {
                    field(&mut hash, provenance.language.words().tag());
                }
                // The documents say it, too.
                if quality.is_some() {
                    field(&mut hash, "with ct quality");
                }
            }
            Content::Quality { .. } => field(&mut hash, "ct quality"),
            Content::Views { views } => {
                field(&mut hash, "mammography views");
                // Marks and the key image; without them the report is that of the headers.
                if views.views.marks.is_some() || !views.hung.is_empty() {
                    field(&mut hash, &views.as_found());
                    if provenance.language != Language::English {
                        field(&mut hash, provenance.language.words().tag());
                    }
                }
            }
            Content::Stills { stills } => {
                field(&mut hash, "ultrasound stills");
                field(&mut hash, &stills.as_found());
                // What could not be read this time may be read the next; the verdict names only some of it.
                for unread in &stills.unread {
                    field(&mut hash, &unread.why.to_string());
                }
                if provenance.language != Language::English {
                    field(&mut hash, provenance.language.words().tag());
                }
            }
            Content::Refused { reason } => {
                field(&mut hash, "refused");
                field(&mut hash, &reason.to_string());
            }
        }
        let lasting = hash.clone().finalize().into();
        if !source.withdrawn.is_empty() {
            field(&mut hash, "withdrawn");
            field(&mut hash, source.withdrawn);
        }
        match content {
            Content::Findings { findings, .. } => {
                said_beside(&mut hash, findings);
                reviewed(&mut hash, findings);
            }
            // What is known from earlier exams is in the reports, and a person may change it between two versions.
            Content::Views { views } => {
                known(&mut hash, &views.followed);
                // The documents say it.
                if !views.views.pictures.is_empty() {
                    field(&mut hash, &format!("{:?}", views.before));
                }
                judged(&mut hash, &views.marked);
            }
            Content::Stills { stills } => {
                known(&mut hash, &stills.followed);
                judged(&mut hash, &stills.marked);
            }
            Content::Quality { .. } | Content::Refused { .. } => {}
        }
        Self { seed: hash.finalize().into(), lasting }
    }

    /// All UIDs of one exam. A retry gives the same UIDs, another device or model gives others.
    pub fn of_exam(recording_uid: &str, provenance: &Provenance) -> Self {
        let mut hash = Sha256::new();
        field(&mut hash, "exam");
        field(&mut hash, recording_uid);
        field(&mut hash, &provenance.device_uid);
        field(&mut hash, &provenance.software_version);
        if let Some(model) = &provenance.model {
            for text in [&model.id, &model.version, &model.sha256, &model.thresholds] {
                field(&mut hash, text);
            }
        }
        let seed = hash.finalize().into();
        Self { seed, lasting: seed }
    }

    /// Of objects that say what is known of lesions, which a person may change before the same exam is reported again. Without any
    /// they are those of the exam.
    pub fn knowing<'a>(&self, followed: impl Iterator<Item = Option<&'a Followed>>) -> Self {
        let known: Vec<(usize, Followed)> =
            followed.enumerate().filter_map(|(index, followed)| Some((index, followed?.clone()))).collect();
        if known.is_empty() {
            return Self { seed: self.seed, lasting: self.lasting };
        }
        let mut hash = Sha256::new();
        hash.update(self.seed);
        self::known(&mut hash, &known);
        Self { seed: hash.finalize().into(), lasting: self.lasting }
    }

    /// The same for objects of a version that a person has judged, or whose review does not hold. Without either they are those of the exam.
    pub fn judged(&self, marked: &Marked) -> Self {
        if marked.review.is_none() && marked.refused.is_none() {
            return Self { seed: self.seed, lasting: self.lasting };
        }
        let mut hash = Sha256::new();
        hash.update(self.seed);
        self::judged(&mut hash, marked);
        Self { seed: hash.finalize().into(), lasting: self.lasting }
    }

    /// The UIDs of a note that rejects these objects for a reason.
    pub fn of_rejection<'a>(sop_uids: impl Iterator<Item = &'a str>, reason: &str, device_uid: &str) -> Self {
        let mut sop_uids: Vec<&str> = sop_uids.collect();
        sop_uids.sort_unstable();
        let mut hash = Sha256::new();
        for text in ["rejection", reason, device_uid].into_iter().chain(sop_uids) {
            field(&mut hash, text);
        }
        let seed = hash.finalize().into();
        Self { seed, lasting: seed }
    }

    /// The UID of item `index` of this kind.
    pub fn of(&self, kind: &str, index: usize) -> String {
        derived(&self.seed, kind, index)
    }

    /// The same for what a review does not change: what is tracked from version to version, and what the source lacks.
    pub fn lasting(&self, kind: &str, index: usize) -> String {
        derived(&self.lasting, kind, index)
    }
}

fn derived(seed: &[u8; 32], kind: &str, index: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(seed);
    field(&mut hash, kind);
    hash.update((index as u64).to_le_bytes());
    from_hash(&hash.finalize().into())
}

/// What the same images may come to other words by: the study that they were compared with and what came of it, or that none is known, and
/// every remark: one slice may be bad this time, the scanner's step may have come since. What is tracked stays what it was.
fn said_beside(hash: &mut Sha256, findings: &ChestFindings) {
    if let Some(comparison) = &findings.comparison {
        field(hash, "compared");
        // To one decimal, as it is printed: another device or network must not make other objects of the same words.
        field(hash, &format!("{comparison:.1?}"));
    }
    for remark in &findings.remarks {
        field(hash, &remark.to_string());
    }
}

/// A review that was applied; one that was not is a remark: neither may look like the result without.
fn reviewed(hash: &mut Sha256, findings: &ChestFindings) {
    if let Some(review) = &findings.review {
        signed(hash, review);
    }
}

fn known<N: std::fmt::Display>(hash: &mut Sha256, followed: &[(N, Followed)]) {
    for (number, followed) in followed {
        field(hash, &format!("{number} {followed:?}"));
    }
}

/// The same of marks in pictures of a breast.
fn judged(hash: &mut Sha256, marked: &Marked) {
    if let Some(review) = &marked.review {
        signed(hash, review);
    }
    if marked.refused.is_some() {
        field(hash, &marked.said());
    }
}

fn signed<L: Item>(hash: &mut Sha256, review: &Review<L>) {
    field(hash, "reviewed");
    for text in [&review.by, &review.utc, &review.predecessor.sop_uid] {
        field(hash, text);
    }
    for one in &review.decisions {
        for text in [one.listed.id(), one.decision.as_str(), &one.comment] {
            field(hash, text);
        }
        for (name, value) in one.edit.iter().flat_map(|edit| &edit.values) {
            field(hash, name.as_str());
            field(hash, value);
        }
    }
}

/// Hashes the length first, so that two different lists of fields never give the same bytes.
fn field(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use models::growth::Missing;
    use models::{Refusal, Remark};

    use super::*;
    use crate::{Refused, testing};

    fn refused(count: usize) -> Refused {
        Refused::Volume(Refusal::TooFew { count, needed: 3 })
    }

    #[test]
    fn same_inputs_in_another_order_give_the_same_uids() {
        let case = testing::case(3);
        let mut turned = case.instances.clone();
        turned.reverse();
        let content = Content::Refused { reason: &refused(1) };
        let one = Uids::new(&case.source(), &content, &case.provenance);
        let two = Uids::new(&Source { instances: &turned, ..case.source() }, &content, &case.provenance);
        assert_eq!(one.of("sr", 0), two.of("sr", 0));
    }

    #[test]
    fn another_comparison_or_remark_makes_other_objects_and_leaves_what_is_tracked() {
        let case = testing::case(9);
        let of = |findings: &ChestFindings| {
            let content = Content::Findings { findings, volume: &case.volume, quality: None };
            let uids = Uids::new(&case.source(), &content, &case.provenance);
            (uids.of("sr", 0), uids.lasting("track", 0))
        };
        let (base, tracked) = of(&case.findings);
        let changed = |change: &dyn Fn(&mut ChestFindings)| {
            let mut findings = case.findings.clone();
            change(&mut findings);
            of(&findings)
        };
        let all = [
            // Of the same earlier study another series, or the same one read again.
            changed(&|f| f.comparison.as_mut().unwrap().changes[0].ground_glass_percent = [9.5, 2.3]),
            changed(&|f| f.comparison.as_mut().unwrap().nodules = None),
            changed(&|f| f.comparison.as_mut().unwrap().missing = Some(Missing::Then)),
            changed(&|f| f.comparison = None),
            changed(&|f| f.remarks.push(Remark::NotReceived { missing: 3, declared: 90 })),
            changed(&|f| f.remarks.push(Remark::Discontinued)),
        ];
        let mut seen = std::collections::HashSet::from([base]);
        for (index, (uid, track)) in all.into_iter().enumerate() {
            assert!(seen.insert(uid), "change {index} has the UIDs of other words: it would not be delivered");
            assert_eq!(track, tracked, "change {index}");
        }
    }

    #[test]
    fn what_is_known_of_lesions_is_in_the_objects_and_not_in_what_is_tracked() {
        let case = testing::case(3);
        let uids = Uids::of_exam("1.2.3", &case.provenance);
        let lesion = |lesion| Followed { lesion, earlier: None };
        let [one, two] = [lesion(4), lesion(5)];
        let nothing = uids.knowing([None, None].into_iter());
        assert_eq!(nothing.of("sr", 0), uids.of("sr", 0));
        let [first, other] = [&one, &two].map(|known| uids.knowing([None, Some(known)].into_iter()));
        assert_ne!(first.of("sr", 0), uids.of("sr", 0));
        assert_ne!(first.of("sr", 0), other.of("sr", 0));
        assert_eq!(first.lasting("track", 0), uids.lasting("track", 0));
    }

    #[test]
    fn another_model_threshold_device_reason_kind_or_index_gives_another_uid() {
        let case = testing::case(3);
        let (x, y) = (&refused(1), &refused(2));
        let refused = |reason| Content::Refused { reason };
        let base = Uids::new(&case.source(), &refused(x), &case.provenance).of("sr", 0);
        let mut seen = vec![base];
        let mut add = |uid: String| {
            assert!(!seen.contains(&uid));
            assert!(uid.len() <= 64 && uid.starts_with("2.25."));
            seen.push(uid);
        };
        add(Uids::new(&case.source(), &refused(y), &case.provenance).of("sr", 0));
        add(Uids::new(&case.source(), &refused(x), &case.provenance).of("sr", 1));
        add(Uids::new(&case.source(), &refused(x), &case.provenance).of("sc", 0));
        let corrected = Source { revision: "ab12", ..case.source() };
        add(Uids::new(&corrected, &refused(x), &case.provenance).of("sr", 0));
        let withdrawn = Source { withdrawn: "cd34", ..case.source() };
        let after = Uids::new(&withdrawn, &refused(x), &case.provenance);
        add(after.of("sr", 0));
        let before = Uids::new(&case.source(), &refused(x), &case.provenance);
        assert_eq!(after.lasting("lesion", 0), before.lasting("lesion", 0), "what is tracked is the same");
        let mut header = case.header.clone();
        header.patient_name = "EVA^SAME UIDS".into();
        add(Uids::new(&Source { header: &header, ..case.source() }, &refused(x), &case.provenance).of("sr", 0));
        let mut other = case.provenance.clone();
        other.device_uid = "2.25.9".into();
        add(Uids::new(&case.source(), &refused(x), &other).of("sr", 0));
        let mut other = case.provenance.clone();
        other.model.as_mut().unwrap().thresholds = "confidence 0.9".into();
        add(Uids::new(&case.source(), &refused(x), &other).of("sr", 0));
        let mut other = case.provenance.clone();
        other.model = None;
        add(Uids::new(&case.source(), &refused(x), &other).of("sr", 0));
        add(Uids::new(&Source { instances: &case.instances[..2], ..case.source() }, &refused(x), &case.provenance)
            .of("sr", 0));
    }
}
