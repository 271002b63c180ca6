//! How a mammogram is turned so that the chest walls lie back to back, by what its header says. Pure.

use serde::Serialize;

/// How a stored picture is laid out to be hung. First rows and columns change places, then it is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Turn {
    pub transposed: bool,
    /// Left becomes right.
    pub mirrored: bool,
    /// Up becomes down.
    pub upended: bool,
}

/// How a picture is turned so that its chest wall lies at the inner side of its place (at the right of a right breast) and, of an
/// oblique view, the head is above, of others the outer side. `orientation`: Patient Orientation (0020,0020), to the right and down.
/// `None` where the header does not say how the picture lies.
pub fn of(laterality: &str, orientation: &[String; 2]) -> Option<Turn> {
    let right = match laterality {
        "R" => true,
        "L" => false,
        _ => return None,
    };
    let along = |text: &String| text.chars().next();
    let is_depth = |letter: Option<char>| matches!(letter, Some('A' | 'P'));
    let [mut across, mut down] = [along(&orientation[0]), along(&orientation[1])];
    let transposed = !is_depth(across) && is_depth(down);
    if transposed {
        std::mem::swap(&mut across, &mut down);
    }
    // To the right lies the chest wall of a right breast, and what is in front of a left one.
    let due = if right { 'P' } else { 'A' };
    let mirrored = match across {
        Some('A' | 'P') => across != Some(due),
        _ => return None,
    };
    let upended = match down {
        Some('H') => true,
        // Down lies the inner side: the left of a right breast, and the right of a left one.
        Some('R') => right,
        Some('L') => !right,
        _ => false,
    };
    Some(Turn { transposed, mirrored, upended })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(laterality: &str, across: &str, down: &str) -> Option<(bool, bool, bool)> {
        let turn = of(laterality, &[across.to_owned(), down.to_owned()])?;
        Some((turn.transposed, turn.mirrored, turn.upended))
    }

    /// PS3.3 section C.7.6.1.1.1: the letters are of the rows, to the right, and of the columns, down.
    #[test]
    fn chest_walls_lie_back_to_back_and_heads_above_however_the_picture_was_stored() {
        let as_it_is = Some((false, false, false));
        for (laterality, across, down) in [("R", "P", "L"), ("R", "P", "FL"), ("L", "A", "R"), ("L", "A", "FR")] {
            assert_eq!(turned(laterality, across, down), as_it_is, "{laterality} {across} {down}");
        }
        assert_eq!(turned("R", "A", "L"), Some((false, true, false)), "the other way round");
        assert_eq!(turned("L", "P", "F"), Some((false, true, false)));
        assert_eq!(turned("R", "P", "HR"), Some((false, false, true)), "on its head");
        assert_eq!(turned("L", "A", "L"), Some((false, false, true)), "the inner side above");
        assert_eq!(turned("R", "A", "R"), Some((false, true, true)), "half a turn");
        assert_eq!(turned("L", "F", "A"), Some((true, false, false)), "a quarter");
        assert_eq!(turned("R", "H", "A"), Some((true, true, true)));
    }

    #[test]
    fn a_picture_that_does_not_say_how_it_lies_is_not_turned_by_guess() {
        for (laterality, across, down) in
            [("R", "", ""), ("", "P", "F"), ("B", "P", "F"), ("L", "R", "F"), ("R", "X", "Y")]
        {
            assert_eq!(turned(laterality, across, down), None, "{laterality} {across} {down}");
        }
    }
}
