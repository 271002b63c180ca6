//! The objects about ultrasound images that a scanner sent. Report and segmentation are those of an exam, with the scanner's
//! own images in place of ours; key images are pages.

use rayon::prelude::*;

use super::{PictureRef, Seen, lesion, nothing, seg};
use crate::breast::{self, Examination, structured};
use crate::content::{Item, Part};
use crate::groups::{comment, illustration, said as typed};
use crate::object::Context;
use crate::stills::{StillImage, StillLesion, Stills, counted, id, looked};
use crate::words::Language;
use crate::words::edits::of_marks;
use crate::{Error, KeyImage, ResultObject, identity, pages, secondary, sr};

/// Segmentation, key images and report, in this order.
///
/// # Errors
/// When a value does not fit into an object.
pub(crate) fn write(context: &Context, stills: &Stills) -> Result<Vec<ResultObject>, Error> {
    let series_uid = identity::series_uid(context.source, context.uids);
    let refs: Vec<PictureRef> = stills.lesions.iter().filter_map(|one| reference(stills, one, &series_uid)).collect();
    let seen: Vec<Seen> = stills
        .lesions
        .iter()
        .zip(0..)
        .map(|(one, key)| {
            let followed = stills.followed(one.lesion.id).cloned();
            // Of the lesions as they were found: a review may have taken out some before it.
            let track = one.lesion.id.saturating_sub(1) as usize;
            Seen { id: id(one.lesion.id), key, track, lesion: one.lesion.clone(), place: stills.place(one), followed }
        })
        .collect();
    // Of another size than the software measured there is no outline.
    let outlined = |one: &&Seen| !one.lesion.outline.is_empty();
    let size = |one: &Seen| stills.lesions.get(one.key).and_then(|l| stills.images.get(l.image)).map(|i| i.size);
    let mut sizes: Vec<[u16; 2]> = seen.iter().filter(outlined).filter_map(size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut objects = Vec::new();
    for (index, own) in sizes.into_iter().enumerate() {
        let of: Vec<&Seen> = seen.iter().filter(outlined).filter(|one| size(one) == Some(own)).collect();
        objects.push(seg::write(context, &refs, &of, own, index)?);
    }
    let draw = |language: &Language| -> Vec<KeyImage> {
        stills.keys.iter().map(|key| pages::still_page(stills, key, context.provenance, *language)).collect()
    };
    let drawn: Vec<Vec<KeyImage>> = Language::ALL.par_iter().map(draw).collect();
    let own_language = Language::ALL.iter().position(|language| *language == context.provenance.language);
    let mut key_pages = Vec::new();
    for (index, (key, page)) in stills.keys.iter().zip(&drawn[own_language.unwrap_or(0)]).enumerate() {
        let source = stills.images.get(key.image);
        let shown = source.map(|image| (image.sop_class_uid.as_str(), image.sop_instance_uid.as_str(), key.frame));
        key_pages.push(secondary::of_picture(context, page, shown.as_slice(), index)?);
    }
    let edits = of_marks(&stills.marked, Language::English.words());
    let mut groups = Vec::new();
    for (one, seen) in stills.lesions.iter().zip(&seen) {
        let Some(picture) = refs.get(seen.key) else { continue };
        let page = stills.keys.iter().position(|key| key.shows(one));
        let own = id(one.lesion.id);
        let edited = edits.iter().find(|(id, _)| *id == own).map(|(_, words)| words.as_str());
        let comments = edited.or_else(|| stills.marked.review.as_ref().map(|review| review.comment(&own)));
        let comments = comments.unwrap_or_default();
        let group = lesion(context, seen, picture)
            .with_all((!comments.is_empty()).then(|| typed(context, comments.to_owned())))
            .with_all(page.and_then(|page| key_pages.get(page)).map(illustration))
            .with_all(one.no_size.map(|why| comment(format!("Lesion {}: {why}", one.lesion.id))))
            .with_all(one.frame.map(|[_, frames]| {
                comment(format!(
                    "Seen in {} that were looked at",
                    counted(usize::try_from(frames).unwrap_or(usize::MAX), "frame")
                ))
            }));
        groups.push(group);
    }
    if groups.is_empty() {
        groups.push(nothing(context, format!("No lesion in {} looked at.", looked(&stills.images))));
    }
    let own: Vec<&ResultObject> = objects.iter().chain(key_pages.iter().map(|page| &page.object)).collect();
    let images = stills.images.iter().map(|image| (image.sop_class_uid.as_str(), image.sop_instance_uid.as_str()));
    let report = sr::stills(context, groups, images, &own, remarks(context, stills))?;
    let exam = Examination::of_stills(stills, &refs);
    let draft = context.unsigned();
    let breast = structured::write(&draft, &exam, &[])?;
    objects.extend(key_pages.into_iter().map(|page| page.object));
    objects.extend(breast::documents(&draft, &exam, &drawn, &[])?);
    objects.extend([breast, report]);
    Ok(objects)
}

fn reference(stills: &Stills, one: &StillLesion, series_uid: &str) -> Option<PictureRef> {
    let image = stills.images.get(one.image)?;
    Some(PictureRef {
        sop_class_uid: image.sop_class_uid.clone(),
        sop_uid: image.sop_instance_uid.clone(),
        series_uid: series_uid.to_owned(),
        part: one.frame.map_or(Part::Whole, |[frame, _]| Part::Frame(frame)),
    })
}

/// What a reader of the report should know about what was looked at, as comments.
fn remarks(context: &Context, stills: &Stills) -> Vec<Item> {
    let mut said = Vec::new();
    for one in &stills.unread {
        let number = one.number.map_or_else(|| "An image without a number".into(), |n| format!("Image {n}"));
        let part = if one.in_part { "a part of it" } else { "it" };
        said.push(format!("{number}: {part} was not looked at: {}", one.why));
    }
    if stills.more_lesions > 0 {
        let more = counted(stills.more_lesions, "more lesion");
        said.push(format!("{more}, of which the network was less sure, are not in this report or the segmentation"));
    }
    let count = |is: fn(&StillImage) -> bool| stills.images.iter().filter(|image| is(image)).count();
    let found = count(|image| image.found);
    if found > 0 {
        said.push(format!(
            "The area of the ultrasound image was found in the picture, as the header does not name it: {}",
            counted(found, "image")
        ));
    }
    let painted = count(|image| image.painted_out);
    if painted > 0 {
        said.push(format!("Coloured callipers, marks or text were painted out: {}", counted(painted, "image")));
    }
    said.push("White callipers and text within the ultrasound image are not painted out".into());
    said.push(Language::English.words().breast().non_mass.to_owned());
    std::iter::once(typed(context, stills.verdict())).chain(said.into_iter().map(comment)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stills::tests::{image, stills};
    use crate::{Content, NOT_FOR_DIAGNOSIS, testing};

    fn holds(object: &ResultObject, text: &str) -> bool {
        object.part10.windows(text.len()).any(|window| window == text.as_bytes())
    }

    #[test]
    fn objects_refer_to_the_scanners_images_and_bear_the_mark() {
        let case = testing::case(2);
        let stills = stills();
        let make = || crate::write(&case.source(), Content::Stills { stills: &stills }, &case.provenance).unwrap();
        let objects = make();
        assert_eq!(objects, make(), "a retry makes the same bytes");
        assert_eq!(
            objects.iter().map(|object| object.kind).collect::<Vec<_>>(),
            ["seg", "sc", "pdf", "pdf", "breast-report", "sr"]
        );
        for object in &objects {
            assert!(holds(object, NOT_FOR_DIAGNOSIS), "{}", object.kind);
            assert!(holds(object, "1.2.3.2"), "{}", object.kind);
        }
        let report = &objects[5];
        for text in ["Lesion 2", "size not measured", "not looked at", "Seen in 5 frames", "White callipers"] {
            assert!(holds(report, text), "{text}");
        }
        let more = Stills { more_lesions: 3, ..stills.clone() };
        let more = crate::write(&case.source(), Content::Stills { stills: &more }, &case.provenance).unwrap();
        assert!(holds(&more[5], "3 more lesions, of which the network was less sure, are not in this report"));
        let nothing = Stills { images: vec![image(7, None)], ..Stills::default() };
        let nothing = crate::write(&case.source(), Content::Stills { stills: &nothing }, &case.provenance).unwrap();
        let [_, _, _, report] = nothing.as_slice() else { panic!("{} objects", nothing.len()) };
        assert!(holds(report, "No lesion in 1 image looked at.") && holds(report, "1.2.3.7"));
        assert_ne!(report.sop_uid, objects[5].sop_uid);
    }
}
