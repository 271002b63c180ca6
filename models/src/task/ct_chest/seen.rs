//! May a finding be called absent? Only where its organ was seen whole: "no effusion" needs the bases of the lungs, "no
//! rib fracture" the chest wall. What was found is reported all the same, as found in the part that was seen. Each function
//! below is one such demand, and says what was not seen; `list` says which finding has which. Pure.

use super::places::RIB_MM;
use crate::acquisition::Acquisition;
use crate::findings::Side;
use crate::grid;
use crate::reason::Reason;
use crate::task::lungs::{Cuts, Examined, Ground};

/// Share of the slices with lung in which the chest wall may reach beyond the image. (An elbow of it does no harm.)
const WALL_SHARE: f64 = 0.05;

/// What was seen of the chest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    cuts: Cuts,
    /// The image ends within the chest wall.
    wall_cut: bool,
    one_lung: bool,
    /// Where so much air is no lung, ml.
    space: Option<(Side, f64)>,
}

impl Seen {
    pub fn of(examined: &Examined) -> Self {
        let wall_cut = wall_cut(&examined.ground);
        let space = examined.space.as_ref().map(|space| (space.side, space.volume_ml));
        Self { cuts: examined.cuts, wall_cut, one_lung: examined.lungs.len() < 2, space }
    }

    /// Half of the chest whose lung was not seen: it was taken out, holds no air, or is pressed together by air.
    fn half(&self) -> Option<Reason> {
        let air = self.space.map(|(side, ml)| Reason::AirSpace { side, ml });
        air.or_else(|| self.one_lung.then_some(Reason::OneLung))
    }
}

/// Lungs that end within the scan, one in each half of the chest. (Their recess alone may be cut: nearly all of them was seen.)
pub(super) fn lungs(seen: &Seen, _: &Acquisition) -> Option<Reason> {
    seen.cuts.reason().or_else(|| seen.half()).or_else(|| seen.cuts.apex.then_some(Reason::ApexCut))
}

/// Fluid gathers at the lowest place of either side. What lies above it need not be seen.
pub(super) fn bases(seen: &Seen, _: &Acquisition) -> Option<Reason> {
    let cuts = &seen.cuts;
    if cuts.edge || cuts.below {
        return cuts.reason();
    }
    seen.half().or_else(|| cuts.base.then_some(Reason::BaseCut))
}

/// Ribs are looked for around the lungs.
pub(super) fn chest_wall(seen: &Seen, acquisition: &Acquisition) -> Option<Reason> {
    lungs(seen, acquisition).or_else(|| seen.wall_cut.then_some(Reason::ChestWallCut))
}

/// A gated scan is planned on the heart, and ends where the heart ends. Otherwise the place of the heart is a share of the
/// lungs' height, which is not known of cut ones. Without a lung on either side it has no border.
pub(super) fn heart(seen: &Seen, acquisition: &Acquisition) -> Option<Reason> {
    let planned = !seen.cuts.edge && acquisition.cardiac_gated == Some(true);
    let cut = if planned { None } else { seen.cuts.reason() };
    cut.or_else(|| seen.half())
}

/// Does the image end less than the thickness of the chest wall beside the lungs, in more slices than a few?
fn wall_cut(ground: &Ground) -> bool {
    let grid = &ground.coarse.grid;
    let [nx, ny, _] = grid.dims;
    let room = [0, 1].map(|a| RIB_MM / grid.spacing_mm[a]);
    let (low, whole) = ground.coarse.within();
    let (mut with_lung, mut cut) = (0usize, 0usize);
    for slice in ground.lungs.chunks((nx * ny).max(1)) {
        let plane = grid::Grid { dims: [nx, ny, 1], spacing_mm: grid.spacing_mm };
        let Some((first, last)) = grid::bounds(&plane, slice, 0) else { continue };
        with_lung += 1;
        let beyond = |a: usize| {
            let (first, last) = ((low[a] + first[a]) as f64, (low[a] + last[a]) as f64);
            first < room[a] || last + room[a] > whole[a] as f64 - 1.0
        };
        cut += usize::from(beyond(0) || beyond(1));
    }
    cut as f64 > WALL_SHARE * with_lung as f64
}
