//! The figures of many videos as the table of the card.

use std::fmt::Write;
use std::ops::Range;

use super::judge::{Case, Score};
use crate::evaluation::statistics::{Share, area, count_interval, median};

pub fn table(cases: &[Case], seeds: &Range<u64>, fps: f32, model: &str) -> String {
    let sum = |of: &dyn Fn(&Case) -> usize| cases.iter().map(of).sum::<usize>();
    let seconds: f64 = cases.iter().map(|case| case.seconds).sum();
    let share = |hit: &dyn Fn(&Case) -> usize, of: &dyn Fn(&Case) -> usize| Share { hit: sum(hit), of: sum(of) };
    let dice: Vec<f64> = cases.iter().flat_map(|case| case.dice.iter().copied()).collect();
    let mean = dice.iter().sum::<f64>() / dice.len().max(1) as f64;
    let false_alarms = sum(&|case| case.false_alarms);
    let [low, high] = count_interval(false_alarms).map(|count| count / seconds.max(1.0));
    let (switched, numbered) = (sum(&|case| case.switched), sum(&|case| case.numbered));
    let mut text = String::new();
    let count = cases.len();
    let _ = writeln!(
        text,
        "{count} videos of {:.0} s at {fps} pictures a second (seeds {} to {}), {model}, fast network, {} of {} pictures looked \
         at (the others stood still). 95 % confidence intervals in brackets: Wilson for shares, Byar for counts, Hanley and \
         McNeil for areas.\n",
        seconds / count.max(1) as f64,
        seeds.start,
        seeds.end - 1,
        sum(&|case| case.looked_at),
        sum(&|case| case.pictures),
    );
    text += "| as the overlay has it | |\n|---|---|\n";
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "| {name} | {value} |");
    };
    row("lesions found", share(&|case| case.found, &|case| case.wanted).to_string());
    let rate = false_alarms as f64 / seconds.max(1.0);
    row("false alarms", format!("{false_alarms} in {seconds:.0} s: {rate:.3} per second ({low:.3} to {high:.3})"));
    let middle = median(dice.iter().copied());
    row("Dice of pictures that show a lesion", format!("mean {mean:.3}, median {middle:.3}, {} pictures", dice.len()));
    let each = switched as f64 / numbered.max(1) as f64;
    row("another number while in view", format!("{switched} over {numbered} lesions: {each:.3} per lesion"));
    row("the same number after coming back", share(&|case| case.returned_the_same, &|case| case.returned).to_string());
    row("numbers given to two lesions", sum(&|case| case.merged).to_string());
    let scores: Vec<&Score> = cases.iter().flat_map(|case| &case.scores).collect();
    row("malignant or not, area under the curve of the last score", auc(&scores, |score| score.last));
    row("the same of the first score", auc(&scores, |score| score.first));
    row("last score on the right side of 0.5", right(&scores, |score| score.last));
    let pictures = Share {
        hit: scores.iter().map(|score| score.right).sum(),
        of: scores.iter().map(|score| score.pictures).sum(),
    };
    // Pictures of one lesion are not independent samples, so there is no interval.
    row(
        "pictures that showed the score on the right side",
        format!("{:.3}, {} pictures", pictures.value(), pictures.of),
    );
    text
}

fn right(scores: &[&Score], of: impl Fn(&Score) -> f64) -> String {
    let hit = scores.iter().filter(|score| (of(score) >= 0.5) == score.malignant).count();
    Share { hit, of: scores.len() }.to_string()
}

fn auc(scores: &[&Score], of: impl Fn(&Score) -> f64) -> String {
    let values =
        |malignant| -> Vec<f64> { scores.iter().filter(|s| s.malignant == malignant).map(|s| of(s)).collect() };
    let (positive, negative) = (values(true), values(false));
    match area(&positive, &negative) {
        Some([area, low, high]) => {
            format!("{area:.3} ({low:.3} to {high:.3}), {} malignant, {} benign", positive.len(), negative.len())
        }
        None => "not both kinds were found".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_all_videos_are_put_together() {
        let score = |malignant, last| Score { id: 1, malignant, first: 0.5, last, pictures: 10, right: 9 };
        let case = Case {
            seconds: 10.0,
            wanted: 2,
            found: 2,
            false_alarms: 1,
            numbered: 2,
            switched: 1,
            returned: 4,
            returned_the_same: 3,
            dice: vec![0.8, 1.0],
            scores: vec![score(true, 0.9), score(false, 0.1)],
            ..Case::default()
        };
        let text = table(&[case.clone(), case], &(5..7), 30.0, "us-breast 9");
        for part in [
            "2 videos of 10 s",
            "seeds 5 to 6",
            "1.000 (0.510 to 1.000), 4 of 4",
            "2 in 20 s: 0.100 per second",
            "mean 0.900",
            "2 over 4 lesions: 0.500 per lesion",
            "6 of 8",
            "curve of the last score | 1.000",
            "first score | 0.500",
            "0.900, 40 pictures",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
