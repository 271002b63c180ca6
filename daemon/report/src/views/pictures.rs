//! What was read in one picture of a mammography, in one part of a sentence. Nothing of it is a finding.

use models::task::mg_breast::PictureRead;

use crate::words::Words;
use crate::words::mammography::{name, read, remarks};

/// For example `left MLO: chest wall at the left of the picture, muscle seen, dense part 12 % (category B estimated from it, not validated)`.
pub(crate) fn said(picture: &PictureRead, w: &dyn Words) -> String {
    let name = name(picture, w);
    match &picture.read {
        Err(why) => w.unread(&name, w.mammogram_not_read(why)),
        Ok(reading) => {
            let density = reading.density.map(|one| w.dense(one.percent.into(), one.category.letter(), false));
            let parts: Vec<String> =
                read(reading, picture, w).into_iter().chain(density).chain(remarks(picture, w)).collect();
            w.titled(&name, &parts.join(w.comma()))
        }
    }
}

/// The same without its name and density.
pub(crate) fn without_density(picture: &PictureRead, w: &dyn Words) -> String {
    match &picture.read {
        Err(why) => w.mammogram_not_read(why).to_owned(),
        Ok(reading) => [read(reading, picture, w), remarks(picture, w)].concat().join(w.comma()),
    }
}

#[cfg(test)]
mod tests {
    use models::task::mg_breast::{NotRead, Unreadable};

    use super::*;
    use crate::words::Language;

    #[test]
    fn a_picture_that_is_not_read_is_named_with_its_reason() {
        let picture = PictureRead {
            sop_class_uid: String::new(),
            sop_instance_uid: String::new(),
            laterality: "R".into(),
            view: "CC".into(),
            part: None,
            remarks: Vec::new(),
            read: Err(NotRead::Picture(Unreadable::Inverted)),
        };
        let said = |picture: &PictureRead| said(picture, Language::English.words());
        assert_eq!(said(&picture), "right CC not read: the picture looks like a negative");
        let odd =
            PictureRead { laterality: String::new(), view: "SMITH".into(), read: Err(NotRead::Additional), ..picture };
        assert!(said(&odd).starts_with("unknown side unknown view not read: an additional view"));
    }
}
