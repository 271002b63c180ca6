//! References to the instances on which a result is based, each instance once.

use std::collections::HashSet;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::dataset::{self, DataSet};
use crate::object::Context;
use crate::{ResultObject, Source, identity};

/// The instances of the source in order; a multi-frame instance only once.
pub fn instances(source: &Source) -> Vec<DataSet> {
    let mut seen = HashSet::new();
    let unique = source.instances.iter().filter(|i| seen.insert(i.sop_instance_uid.as_str()));
    unique.map(|i| dataset::reference(&i.sop_class_uid, &i.sop_instance_uid)).collect()
}

/// The instances of a study below their series, in order.
fn by_series(source: &Source) -> Vec<(String, Vec<DataSet>)> {
    let mut series = Vec::new();
    for (uid, image) in source.series_uids.iter().zip(source.instances) {
        add(&mut series, uid, dataset::reference(&image.sop_class_uid, &image.sop_instance_uid));
    }
    series
}

fn add(series: &mut Vec<(String, Vec<DataSet>)>, uid: &str, reference: DataSet) {
    match series.iter_mut().find(|(known, _)| known == uid) {
        Some((_, items)) => items.push(reference),
        None => series.push((uid.to_owned(), vec![reference])),
    }
}

/// Evidence of a structured report: the source series (several, of a study), and our own objects that it refers to.
pub fn sequence(context: &Context, own: &[&ResultObject], set: &mut DataSet) {
    let mut series = if context.source.series_uids.is_empty() {
        vec![(identity::series_uid(context.source, context.uids), instances(context.source))]
    } else {
        by_series(context.source)
    };
    for object in own {
        add(&mut series, &object.series_uid, dataset::reference(&object.sop_class_uid, &object.sop_uid));
    }
    write(&identity::study_uid(context.source, context.uids), series, set);
}

/// Evidence of a note about objects of one study: series, SOP class and SOP instance of each.
pub fn of_objects<'a>(study_uid: &str, objects: impl Iterator<Item = (&'a str, &'a str, &'a str)>, set: &mut DataSet) {
    let mut series = Vec::new();
    for (series_uid, sop_class_uid, sop_uid) in objects {
        add(&mut series, series_uid, dataset::reference(sop_class_uid, sop_uid));
    }
    write(study_uid, series, set);
}

fn write(study_uid: &str, series: Vec<(String, Vec<DataSet>)>, set: &mut DataSet) {
    let series = series.into_iter().filter(|(_, items)| !items.is_empty()).map(|(uid, items)| {
        let mut item = DataSet::new();
        item.text(tags::SERIES_INSTANCE_UID, VR::UI, &uid);
        item.sequence(tags::REFERENCED_SOP_SEQUENCE, items);
        item
    });
    let mut study = DataSet::new();
    study.sequence(tags::REFERENCED_SERIES_SEQUENCE, series.collect());
    study.text(tags::STUDY_INSTANCE_UID, VR::UI, study_uid);
    set.sequence(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, vec![study]);
}
