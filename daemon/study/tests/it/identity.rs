//! Whose images they are: two patients in one series or study.

use custody::series::SeriesState;
use custody::store::{deliveries, lists};

use super::mammography_support::{CT, EVA, Mammogram, NEVER, STUDY, Unit, Who, four, mammogram};

pub const ADA: Who = ["P8", "PHANTOM^ADA", "19800101"];

/// Slices of one CT series, one for each patient that is named.
pub fn slices(series: u32, patients: &[Who]) -> Vec<Mammogram> {
    let slice = |(number, patient): (u32, &Who)| {
        let image = mammogram(100 * series + number, series, "", "");
        Mammogram { class: CT, patient: *patient, ..image }
    };
    (1..).zip(patients).map(slice).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_patients_in_one_series_are_refused_and_nothing_is_sent_under_either_name() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&slices(1, &[EVA, EVA, ADA])).await;
    let jobs = unit.until_done(1).await;
    let series = unit.series().remove(0);
    assert_eq!(series.state, SeriesState::Refused);
    let verdict = series.verdict.unwrap();
    assert!(verdict.starts_with("2 patients in one series: nothing was analysed"), "{verdict}");
    for named in ["P7", "P8", "EVA", "ADA"] {
        assert!(!verdict.contains(named), "marks, not names: {verdict}");
    }
    assert!(unit.results(jobs[0].id).is_empty() && deliveries::list(&unit.rows(), None, 10).unwrap().is_empty());
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn padding_case_and_missing_values_are_not_another_patient() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    let same = [EVA, ["P7 ", "Phantom^Eva^^^", "19700101"], ["", "PHANTOM^EVA", ""], ["p7", "", "19700101"]];
    unit.send(&slices(1, &same)).await;
    let jobs = unit.until_done(1).await;
    assert!(!unit.results(jobs[0].id).is_empty(), "its refusal is about the pixels, and is reported");
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_patient_in_a_study_is_told_and_each_series_keeps_its_own() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    unit.send(&slices(1, &[EVA, EVA])).await;
    unit.send(&slices(2, &[ADA, ADA])).await;
    let mut jobs = unit.until_done(2).await;
    // Both are quiet at nearly the same time: either may be analysed first.
    jobs.sort_by_key(|job| job.series_id);
    let row = lists::studies(&unit.rows(), &lists::Wanted { limit: 10, ..Default::default() }).unwrap().remove(0);
    assert_eq!(row.patients, 2);
    assert!(row.verdicts[0].starts_with("2 patients under one Study Instance UID"), "{:?}", row.verdicts);
    for (job, own, other) in [(&jobs[0], "PHANTOM^EVA", "PHANTOM^ADA"), (&jobs[1], "PHANTOM^ADA", "PHANTOM^EVA")] {
        let report = unit.object(&unit.results(job.id)[0]);
        let says = |text: &str| report.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(says(own) && !says(other), "{own}");
    }
    unit.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_the_whole_study_is_refused_when_it_holds_two_patients() {
    let mut unit = Unit::new(NEVER);
    unit.start().await;
    let mut images = four(false);
    images[3].patient = ADA;
    unit.send(&images).await;
    let jobs = unit.until_done(1).await;
    assert!(unit.verdict().starts_with("2 patients under one Study Instance UID"), "{}", unit.verdict());
    assert!(unit.results(jobs[0].id).is_empty());
    assert!(unit.series().iter().all(|row| row.key.study_uid == STUDY && row.state == SeriesState::Refused));
    unit.kill().await;
}
