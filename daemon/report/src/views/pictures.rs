//! What was read in one picture of a mammography, in one part of a sentence. Nothing of it is a finding.

use models::number::Number;
use models::task::mg_breast::{NotRead, PictureRead, Reading, Remark, Side, Unreadable};

/// For example `left MLO: chest wall at the left of the picture, muscle seen, dense part 12 % (category B estimated from it, not validated)`.
pub(super) fn said(picture: &PictureRead) -> String {
    let name = name(picture);
    match &picture.read {
        Err(why) => format!("{name} not read: {}", not_read(why)),
        Ok(reading) => {
            let mut parts = vec![measured(reading)];
            parts.extend(picture.remarks.iter().map(|one| remark(*one).to_owned()));
            format!("{name}: {}", parts.join(", "))
        }
    }
}

/// View Position of mammograms (PS3.3, C.8.11.7) and the short names of their codes.
const VIEWS: [&str; 12] = ["CC", "MLO", "ML", "LM", "LMO", "FB", "SIO", "ISO", "XCC", "XCCL", "XCCM", "AT"];

fn name(picture: &PictureRead) -> String {
    let side = match picture.laterality.as_str() {
        "R" => "right",
        "L" => "left",
        _ => "unknown side",
    };
    let view = picture.view.as_str();
    // What a header writes there goes into no sentence unless it is a view of the standard.
    let is_known = VIEWS.contains(&view);
    format!("{side} {}", if is_known { view } else { "unknown view" })
}

fn measured(reading: &Reading) -> String {
    let side = match reading.chest_wall {
        Side::Left => "left",
        Side::Right => "right",
        Side::Top => "top",
        Side::Bottom => "bottom",
    };
    let mut parts = vec![format!("chest wall at the {side} of the picture")];
    if reading.muscle.is_some() {
        parts.push("muscle seen".to_owned());
    }
    if let Some(mm) = reading.nipple.to_chest_wall_mm {
        parts.push(format!("nipple (estimated) {:.0} mm from the chest wall", Number(f64::from(mm))));
    }
    if let Some(density) = reading.density {
        let (percent, letter) = (Number(f64::from(density.percent)), density.category.letter());
        parts.push(format!("dense part {percent:.0} % (category {letter} estimated from it, not validated)"));
    }
    parts.join(", ")
}

fn remark(remark: Remark) -> &'static str {
    match remark {
        Remark::ForProcessing => "only for processing, read after its own scaling",
        Remark::Film => "digitised film or plate",
        Remark::Implant => "the header says that there is an implant",
        Remark::Partial => "the header says that only a part of the breast is shown",
        Remark::NoSpacing => "no size of a pixel in the header, so no lengths",
        Remark::Unnamed => "the header does not say which breast or view",
        Remark::OtherSide => "the breast lies at another side than the header says: mirrored or mislabelled",
        Remark::NoMuscle => "no muscle seen",
    }
}

fn not_read(why: &NotRead) -> &'static str {
    match why {
        NotRead::Additional => "an additional view, such as magnification or spot compression",
        NotRead::Processed => "only for processing; the picture for presentation is read",
        NotRead::TooLarge => "it needs more memory than is allowed (analyze.memory_mib)",
        NotRead::NotGrey => "it has no shades of grey",
        // Why may quote the header.
        NotRead::Pixels(_) => "its pixels cannot be decoded",
        NotRead::Picture(Unreadable::TooSmall) => "the picture is too small",
        NotRead::Picture(Unreadable::Blank) => "the picture is blank",
        NotRead::Picture(Unreadable::NoBreast) => "no breast was found in the picture",
        NotRead::Picture(Unreadable::Inverted) => "the picture looks like a negative",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_is_not_read_is_named_with_its_reason() {
        let picture = PictureRead {
            sop_class_uid: String::new(),
            sop_instance_uid: String::new(),
            laterality: "R".into(),
            view: "CC".into(),
            remarks: Vec::new(),
            read: Err(NotRead::Picture(Unreadable::Inverted)),
        };
        assert_eq!(said(&picture), "right CC not read: the picture looks like a negative");
        let odd =
            PictureRead { laterality: String::new(), view: "SMITH".into(), read: Err(NotRead::Additional), ..picture };
        assert!(said(&odd).starts_with("unknown side unknown view not read: an additional view"));
    }
}
