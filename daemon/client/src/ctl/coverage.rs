//! `live coverage`: the clock of each breast as a table, and what was swept too fast or not at all.

use comfy_table::Cell;
use models::findings::Side;
use models::task::us_breast::scan::coverage::State;
use models::task::us_breast::scan::probe::{Ring, Spot};

use super::failure::Failure;
use super::output::Output;
use crate::{Guidance, LiveProxy, Looked};

pub async fn show(live: &LiveProxy<'_>, output: &Output) -> Result<(), Failure> {
    let guidance = Guidance::of(&live.guidance().await.unwrap_or_default());
    if output.is_json() {
        return output.json(&guidance);
    }
    if guidance.coverage.is_empty() {
        return output.line(
            "Nothing is known: no exam runs, or nobody has said where the probe is (keys on the page, or scansidectl live probe).",
        );
    }
    for side in [Side::Right, Side::Left] {
        let own: Vec<&Looked> = guidance.coverage.iter().filter(|one| one.side == side.as_str()).collect();
        if own.is_empty() {
            continue;
        }
        output.line(&summary(side, &own))?;
        output.print(table(&own, output))?;
    }
    output.line(&guidance.estimate)
}

fn state(own: &[&Looked], spot: Spot) -> State {
    let spot = spot.to_string();
    let one = own.iter().find(|one| one.spot == spot);
    one.and_then(|one| State::named(&one.state)).unwrap_or(State::NotSwept)
}

/// For example `Left breast: 3 of 38 places looked at, 1 swept too fast, 34 not swept`.
fn summary(side: Side, own: &[&Looked]) -> String {
    let count = |wanted: State| Spot::all().filter(|spot| state(own, *spot) == wanted).count();
    let all = Spot::all().count();
    let name = if side == Side::Right { "Right" } else { "Left" };
    let rest = State::ALL.into_iter().skip(1).map(|one| (count(one), words(one))).filter(|(count, _)| *count > 0);
    let rest: String = rest.map(|(count, words)| format!(", {count} {words}")).collect();
    format!("{name} breast: {} of {all} places looked at{rest}", count(State::LookedAt))
}

fn words(state: State) -> &'static str {
    match state {
        State::LookedAt => "looked at",
        State::TooShort => "too short",
        State::TooFast => "swept too fast",
        State::PoorContact => "poor contact",
        State::NotJudged => "not judged",
        State::NotSwept => "not swept",
    }
}

/// Hours down, rings across; what was not swept is a dash.
fn table(own: &[&Looked], output: &Output) -> comfy_table::Table {
    let mut table = output.table(&["Hour", "Inner", "Middle", "Outer"]);
    let cell = |spot| {
        let state = state(own, spot);
        let name = spot.to_string();
        let secs = own.iter().find(|one| one.spot == name).map(|one| one.good_secs);
        match secs {
            Some(secs) if state != State::NotSwept => Cell::new(format!("{} ({secs:.0} s)", words(state))),
            _ => Cell::new("-"),
        }
    };
    for hour in [12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] {
        let mut row = vec![Cell::new(hour)];
        row.extend(Ring::ALL.map(|ring| cell(Spot::Hour(hour, ring))));
        table.add_row(row);
    }
    for (name, spot) in [("nipple", Spot::Nipple), ("axilla", Spot::Axilla)] {
        table.add_row(vec![Cell::new(name), cell(spot)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_was_swept_too_fast_and_counts_what_was_not_swept() {
        let one = |spot: &str, state: State| Looked {
            side: "left".into(),
            spot: spot.into(),
            state: state.as_str().into(),
            good_secs: 2.0,
            good_mm: 9.0,
            fast_secs: 0.0,
            poor_secs: 0.0,
            unjudged_secs: 0.0,
            radial: true,
            antiradial: false,
        };
        let looked = [one("3-inner", State::LookedAt), one("4-inner", State::TooFast), one("nipple", State::LookedAt)];
        let said = summary(Side::Left, &looked.iter().collect::<Vec<_>>());
        assert_eq!(said, "Left breast: 2 of 38 places looked at, 1 swept too fast, 35 not swept");
    }
}
