//! The objects of a teaching file conform: the manifest to TID 2010, the information to the template of the IHE profile.

use std::fs;
use std::path::Path;

use report::teaching::{self, Belongs, Category, Lesson, Level, Member};

use crate::support;

fn lesson<'a>(chinese: bool, keywords: &'a [String]) -> Lesson<'a> {
    let say = |english: &'a str, foreign: &'a str| if chinese { foreign } else { english };
    Lesson {
        author: say("Li Ming", "\u{674e}\u{660e}"),
        affiliation: say("Radiology", "\u{653e}\u{5c04}\u{79d1}"),
        title: say("A spiculated mass", "\u{6bdb}\u{523a}\u{72b6}\u{80bf}\u{5757}"),
        keywords,
        history: "felt a lump",
        discussion: "First line.\nSecond line \\ with a backslash.",
        diagnosis: say("Invasive carcinoma", "\u{6d78}\u{6da6}\u{6027}\u{764c}"),
        category: Category::Breast,
        level: Some(Level::Primary),
        chinese,
    }
}

#[test]
fn manifest_and_information_conform_in_both_languages_whole_and_at_their_shortest() {
    let belongs = Belongs { patient_name: "TF-0A^TEACHING", patient_id: "TF-0A", study_uid: "2.25.1" };
    let member = |sop_class_uid, sop_uid| Member { series_uid: "2.25.2", sop_class_uid, sop_uid };
    let members = [
        member("1.2.840.10008.5.1.4.1.1.6.1", "2.25.3"),
        member("1.2.840.10008.5.1.4.1.1.6.1", "2.25.4"),
        member("1.2.840.10008.5.1.4.1.1.66.4", "2.25.5"),
    ];
    let words = ["mass".to_owned(), "\u{80bf}\u{5757}".to_owned()];
    let whole = lesson(false, &words);
    let shortest = Lesson {
        affiliation: "",
        history: "",
        discussion: "",
        diagnosis: "",
        level: None,
        keywords: &[],
        category: Category::Pulmonary,
        ..lesson(false, &[])
    };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report/teaching");
    fs::create_dir_all(&directory).unwrap();
    let mut reports = Vec::new();
    for (name, lesson) in [("whole", whole), ("shortest", shortest), ("chinese", lesson(true, &words))] {
        let uid = |what: &str| dicom::uid::from_name(&format!("{name} {what}"));
        let [manifest, information] = teaching::write(&belongs, &members, &lesson, uid).unwrap();
        for (object, template) in [(&manifest, "TID_2010"), (&information, "TID_IHE_TCE_AddTFInfo")] {
            let file = directory.join(format!("{name}-{}.dcm", object.kind));
            fs::write(&file, &object.part10).unwrap();
            let mut complaints = support::dciodvfy(&file);
            complaints.extend(support::dsrdump(&file));
            assert_eq!(complaints, Vec::<String>::new(), "{name} {template}");
            reports.push((file, template));
        }
        let holds = |part10: &[u8], text: &str| part10.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(members.iter().all(|one| holds(&manifest.part10, one.sop_uid)));
        assert!(holds(&manifest.part10, &information.sop_uid), "the manifest names the information");
        assert!(holds(&information.part10, lesson.author) && holds(&information.part10, lesson.title));
    }
    assert_eq!(support::templates(&reports), Vec::<String>::new());
}
