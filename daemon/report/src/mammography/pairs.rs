//! Which marks of the two views of a breast are one lesion: of one kind, equally far behind the nipple, and nothing else can be
//! meant. As far as the scorer compares (`models::task::mg_breast::seen`); a list over the years only proposes it (decision 0029).

use models::task::mg_breast::kind::Kind;
use models::task::mg_breast::marks::{Mark, MarkedView, Marks};
use models::task::mg_breast::seen::DEPTH_MM;

use crate::views::marks::all;

/// A mark with its view.
type Placed<'a> = (&'a MarkedView, &'a Mark);

#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a>([Placed<'a>; 2]);

impl<'a> Pair<'a> {
    pub(super) fn marks(&self) -> [Placed<'a>; 2] {
        self.0
    }

    pub(super) fn kind(&self) -> Kind {
        self.0[0].1.kind
    }

    pub(super) fn holds(&self, number: usize) -> bool {
        self.0.iter().any(|(_, mark)| mark.number == number)
    }
}

/// In the order of the first of each.
pub(super) fn of(marks: &Marks) -> Vec<Pair<'_>> {
    let placed: Vec<Placed<'_>> = all(marks).collect();
    let mates = |one: Placed<'_>| placed.iter().copied().filter(move |other| agree(one, *other)).collect::<Vec<_>>();
    let mut pairs = Vec::new();
    for one in placed.iter().copied().filter(|(view, _)| !view.view.is_oblique()) {
        if let [other] = mates(one).as_slice()
            && mates(*other).len() == 1
        {
            pairs.push(Pair([one, *other]));
        }
    }
    pairs
}

fn agree((here, one): Placed<'_>, (there, other): Placed<'_>) -> bool {
    // The template has no asymmetry in two views of one breast.
    there.view == here.view.same_breast()
        && one.kind == other.kind
        && one.kind != Kind::Asymmetry
        && (one.behind_nipple_mm - other.behind_nipple_mm).abs() <= DEPTH_MM
}

#[cfg(test)]
mod tests {
    use models::task::mammography_views::StandardView;
    use models::task::mg_breast::kind::Stage;

    use super::*;
    use crate::views::marks::tests::{mark, marks, view};

    fn study(cc: Vec<Mark>, mlo: Vec<Mark>) -> Marks {
        let of = |which, marks| view(which, Stage::TwoViews, marks);
        Marks { views: vec![of(StandardView::RightCc, cc), of(StandardView::RightMlo, mlo)], ..marks() }
    }

    fn at(number: usize, kind: Kind, behind_nipple_mm: f32) -> Mark {
        Mark { behind_nipple_mm, ..mark(number, kind, 0.6) }
    }

    #[test]
    fn two_marks_are_one_lesion_only_when_nothing_else_can_be_meant() {
        let paired = |cc: Vec<Mark>, mlo: Vec<Mark>| of(&study(cc, mlo)).len();
        let mass = |number, mm| at(number, Kind::Mass, mm);
        assert_eq!(paired(vec![mass(1, 30.0)], vec![mass(2, 38.9)]), 1);
        assert_eq!(paired(vec![mass(1, 30.0)], vec![mass(2, 39.1)]), 0, "too far");
        assert_eq!(paired(vec![mass(1, 30.0)], vec![at(2, Kind::Calcifications, 30.0)]), 0, "another kind");
        assert_eq!(paired(vec![mass(1, 30.0)], vec![mass(2, 28.0), mass(3, 33.0)]), 0, "either may be meant");
        assert_eq!(paired(vec![mass(1, 30.0), mass(2, 33.0)], vec![mass(3, 31.0)]), 0, "of either");
        assert_eq!(paired(vec![mass(1, 30.0), mass(2, 60.0)], vec![mass(3, 31.0), mass(4, 61.0)]), 2);
        assert_eq!(paired(vec![at(1, Kind::Asymmetry, 30.0)], vec![at(2, Kind::Asymmetry, 30.0)]), 0);
        assert_eq!(paired(vec![mass(1, f32::NAN)], vec![mass(2, f32::NAN)]), 0);
    }

    #[test]
    fn marks_of_different_breasts_are_never_one_lesion() {
        let mut both = study(vec![at(1, Kind::Mass, 30.0)], Vec::new());
        both.views.push(view(StandardView::LeftMlo, Stage::TwoViews, vec![at(2, Kind::Mass, 30.0)]));
        assert!(of(&both).is_empty());
    }
}
