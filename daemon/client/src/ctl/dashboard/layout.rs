//! Which panels are drawn, and where. Pure: a size and what each panel needs -> areas.
//!
//! Where there is no room for all, panels are left out in the order of [`LEFT_OUT`]; none is shown without its least rows.

use ratatui_core::layout::Rect;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Panel {
    /// What is being received and analysed.
    Work,
    Studies,
    Destinations,
    Live,
    /// Disk, accelerator, memory.
    Machine,
    Events,
}

/// The first is left out first. What is wrong is told above the panels in any case.
pub const LEFT_OUT: [Panel; 6] =
    [Panel::Events, Panel::Machine, Panel::Live, Panel::Destinations, Panel::Work, Panel::Studies];

/// From so many columns on there are two columns of panels.
pub const WIDE: u16 = 110;
const WIDE_ROWS: u16 = 20;

/// Rows below the title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub panel: Panel,
    pub least: u16,
    pub most: u16,
}

/// The area has the title in its first row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub panel: Panel,
    pub area: Rect,
}

/// In the order of `needs`, which is the order from top to bottom.
pub fn arrange(area: Rect, needs: &[Need]) -> Vec<Place> {
    if area.width < WIDE || area.height < WIDE_ROWS {
        return column(area, needs);
    }
    let of =
        |wanted: &[Panel]| -> Vec<Need> { needs.iter().filter(|need| wanted.contains(&need.panel)).copied().collect() };
    let events = of(&[Panel::Events]);
    let below = if events.is_empty() { 0 } else { area.height / 3 };
    let above = Rect { height: area.height - below, ..area };
    let left = Rect { width: area.width / 5 * 3, ..above };
    let right = Rect { x: area.x + left.width + 2, width: area.width - left.width - 2, ..above };
    let mut places = column(left, &of(&[Panel::Work, Panel::Studies]));
    places.extend(column(right, &of(&[Panel::Destinations, Panel::Live, Panel::Machine])));
    places.extend(column(Rect { y: area.y + above.height, height: below, ..area }, &events));
    places
}

/// Columns of a panel in an area that is high enough.
pub fn width_of(panel: Panel, width: u16) -> u16 {
    match panel {
        Panel::Destinations | Panel::Live | Panel::Machine if width >= WIDE => width - width / 5 * 3 - 2,
        Panel::Work | Panel::Studies if width >= WIDE => width / 5 * 3,
        _ => width,
    }
}

fn column(area: Rect, needs: &[Need]) -> Vec<Place> {
    let mut y = area.y;
    let mut places = Vec::new();
    for (panel, rows) in share(area.height, needs) {
        let height = rows + 1;
        places.push(Place { panel, area: Rect { y, height, ..area } });
        y += height;
    }
    places
}

/// Rows of each panel that is shown, without its title.
fn share(height: u16, needs: &[Need]) -> Vec<(Panel, u16)> {
    let mut shown: Vec<Need> = needs.to_vec();
    for panel in LEFT_OUT {
        let wanted: u32 = shown.iter().map(|need| u32::from(need.least) + 1).sum();
        if wanted <= u32::from(height) || (shown.len() == 1 && height > 1) {
            break;
        }
        shown.retain(|need| need.panel != panel);
    }
    let mut rows: Vec<u16> = shown.iter().map(|need| need.least.min(height.saturating_sub(1))).collect();
    let mut spare = height.saturating_sub(rows.iter().map(|rows| rows + 1).sum());
    while spare > 0 {
        let before = spare;
        for (need, rows) in shown.iter().zip(&mut rows) {
            if spare > 0 && *rows < need.most {
                *rows += 1;
                spare -= 1;
            }
        }
        if spare == before {
            break;
        }
    }
    shown.iter().map(|need| need.panel).zip(rows).collect()
}

/// What was left out, in the order of `needs`.
pub fn left_out(needs: &[Need], places: &[Place]) -> Vec<Panel> {
    let is_shown = |panel: Panel| places.iter().any(|place| place.panel == panel);
    needs.iter().map(|need| need.panel).filter(|panel| !is_shown(*panel)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Panel; 6] =
        [Panel::Work, Panel::Studies, Panel::Destinations, Panel::Live, Panel::Machine, Panel::Events];

    fn needs(least: [u16; 6]) -> Vec<Need> {
        ALL.into_iter().zip(least).map(|(panel, least)| Need { panel, least, most: least + 5 }).collect()
    }

    #[test]
    fn a_small_terminal_leaves_out_panels_in_the_stated_order() {
        let needs = needs([2, 3, 1, 2, 2, 2]);
        let mut before = 0;
        for height in 0..=30 {
            let shown: Vec<Panel> = share(height, &needs).into_iter().map(|(panel, _)| panel).collect();
            assert!(shown.len() >= before, "a higher terminal shows no less ({height})");
            before = shown.len();
            let kept = &LEFT_OUT[LEFT_OUT.len() - shown.len()..];
            assert!(shown.iter().all(|panel| kept.contains(panel)), "{height}: {shown:?}");
        }
        assert_eq!(before, 6);
    }

    proptest! {
        #[test]
        fn panels_lie_inside_and_beside_one_another(
            width in 1u16..250, height in 0u16..80, least in proptest::array::uniform6(1u16..6),
        ) {
            let area = Rect { x: 0, y: 3, width, height };
            let places = arrange(area, &needs(least));
            for (at, one) in places.iter().enumerate() {
                prop_assert_eq!(one.area.intersection(area), one.area);
                for other in &places[at + 1..] {
                    prop_assert!(one.area.intersection(other.area).is_empty(), "{one:?} {other:?}");
                }
            }
        }
    }
}
