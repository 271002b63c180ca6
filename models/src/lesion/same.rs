//! Which sightings are one lesion. What is not sure is proposed to a person, never decided: a wrong pair hides a change or
//! makes one up, and both look as sure as a right one. The tolerances are in decision 0029.

use super::sighting::{Place, Shown, Sighting};

/// A place may differ by this much on the clock, hours: the hour depends on how the patient lies.
pub const MOST_HOURS: u8 = 1;
/// From the nipple, and within a view, mm. Two measurements differ by compression and by the position of the patient.
pub const MOST_MM: f64 = 15.0;
/// Nearer to the nipple the hour says nothing, mm.
pub const NEAR_MM: f64 = 20.0;
/// The longest diameters may differ by this factor; a pair with more is proposed.
pub const MOST_TIMES: f64 = 3.0;

/// How far a sighting and a known lesion agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// They contradict each other.
    No,
    /// Nothing contradicts, but not enough is known.
    Maybe,
    /// By side and by clock and distance, or side and place in the same view.
    Sure,
}

/// What is decided of a new sighting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No known lesion of the patient can be it.
    New,
    /// It is surely this one, and no other can be it.
    Same(u64),
    /// It may be one of these: a person decides.
    Open(Vec<u64>),
}

/// A lesion of the same patient with what was seen of it, the last first.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    pub id: u64,
    pub sightings: Vec<&'a Sighting>,
}

/// Decides about the sightings of one visit together. They are compared with the known lesions and, since a lesion may be in
/// several pictures, with those that the visit itself opened: these are numbered from `next` in order.
pub fn judge(seen: &[Sighting], known: &[Known<'_>], ids: &[u64]) -> Vec<Verdict> {
    let mut known = known.to_vec();
    let mut verdicts: Vec<Verdict> = Vec::with_capacity(seen.len());
    for (index, one) in seen.iter().enumerate() {
        let verdict = judge_one(one, &known);
        if let (Verdict::New, Some(id)) = (&verdict, ids.get(index)) {
            known.push(Known { id: *id, sightings: vec![one] });
        }
        verdicts.push(verdict);
    }
    // Two marks in one picture are two lesions: if both are surely the same, neither is.
    let twice: Vec<usize> = (0..seen.len())
        .filter(|i| {
            (0..seen.len()).any(|j| {
                j != *i
                    && same_picture(&seen[*i], &seen[j])
                    && matches!(verdicts[*i], Verdict::Same(_))
                    && verdicts[*i] == verdicts[j]
            })
        })
        .collect();
    for index in twice {
        if let Verdict::Same(id) = verdicts[index] {
            verdicts[index] = Verdict::Open(vec![id]);
        }
    }
    verdicts
}

fn judge_one(seen: &Sighting, known: &[Known<'_>]) -> Verdict {
    let mut like: Vec<(Likeness, u64)> = known.iter().map(|lesion| (likeness(seen, lesion), lesion.id)).collect();
    like.retain(|(likeness, _)| *likeness != Likeness::No);
    like.sort_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
    match like.as_slice() {
        [] => Verdict::New,
        [(Likeness::Sure, id)] => Verdict::Same(*id),
        several => Verdict::Open(several.iter().map(|(_, id)| *id).collect()),
    }
}

/// Any sighting of the lesion may agree surely, and any may contradict: then it is not this one, unless a person says so.
pub fn likeness(seen: &Sighting, lesion: &Known<'_>) -> Likeness {
    if lesion.sightings.iter().any(|known| same_picture(seen, known) || known.simulated != seen.simulated) {
        return Likeness::No;
    }
    let mut places: Vec<Likeness> = lesion.sightings.iter().map(|known| at(&seen.place, &known.place)).collect();
    places.sort_unstable();
    match (places.first(), places.last()) {
        (None | Some(Likeness::No), _) | (_, None) => Likeness::No,
        (_, Some(Likeness::Sure)) if sizes_agree(seen, lesion) => Likeness::Sure,
        _ => Likeness::Maybe,
    }
}

fn same_picture(a: &Sighting, b: &Sighting) -> bool {
    let (a, b) = (&a.shown, &b.shown);
    !a.object_uid.is_empty() && a.object_uid == b.object_uid && a.frame == b.frame
}

/// Whether two places are one.
pub fn at(a: &Place, b: &Place) -> Likeness {
    let mut sure = match (a.side, b.side) {
        (Some(a), Some(b)) if a != b => return Likeness::No,
        (Some(_), Some(_)) => true,
        _ => false,
    };
    let mut known = false;
    if let (Some(one), Some(other)) = (a.distance_mm, b.distance_mm) {
        if (one - other).abs() > MOST_MM {
            return Likeness::No;
        }
        let near = one.min(other) < NEAR_MM;
        match (a.clock, b.clock) {
            (Some(one), Some(other)) if hours(one, other) <= MOST_HOURS => known = true,
            (Some(_), Some(_)) if !near => return Likeness::No,
            _ => sure = false,
        }
    } else if let (Some(one), Some(other)) = (a.clock, b.clock) {
        // Without a distance it may lie beside the nipple.
        sure &= hours(one, other) <= MOST_HOURS;
    }
    if let (Some(one), Some(other)) = (a.in_view, b.in_view) {
        let behind = (one.behind_nipple_mm - other.behind_nipple_mm).abs();
        if behind > MOST_MM {
            return Likeness::No;
        }
        if one.projection == other.projection {
            if (one.below_nipple_mm - other.below_nipple_mm).abs() > MOST_MM {
                return Likeness::No;
            }
            known = true;
        }
    }
    if sure && known { Likeness::Sure } else { Likeness::Maybe }
}

/// Between two hours on the clock, 0 to 6.
pub fn hours(a: u8, b: u8) -> u8 {
    let apart = (a % 12).abs_diff(b % 12);
    apart.min(12 - apart)
}

fn sizes_agree(seen: &Sighting, lesion: &Known<'_>) -> bool {
    let last = lesion.sightings.iter().find(|known| known.longest_mm().is_some());
    match (seen.longest_mm(), last.and_then(|known| known.longest_mm())) {
        (Some(a), Some(b)) => a.max(b) <= MOST_TIMES * a.min(b),
        _ => true,
    }
}

/// Boxes of one mark overlap at least this much when a picture is analysed again (intersection over union).
const OVERLAP: f32 = 0.3;

/// For each new mark of a repeated analysis the old one that it is, by picture and box; each old one once.
pub fn again(old: &[&Sighting], new: &[Sighting]) -> Vec<Option<usize>> {
    let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
    for (i, new) in new.iter().enumerate() {
        for (j, old) in old.iter().enumerate() {
            let overlap = overlap(&old.shown, &new.shown);
            if same_picture(old, new) && overlap >= OVERLAP {
                pairs.push((overlap, i, j));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut found = vec![None; new.len()];
    for (_, i, j) in pairs {
        if found[i].is_none() && !found.contains(&Some(j)) {
            found[i] = Some(j);
        }
    }
    found
}

/// 0 to 1; without boxes the label decides.
fn overlap(a: &Shown, b: &Shown) -> f32 {
    let (Some(a), Some(b)) = (a.bounds, b.bounds) else { return if a.label == b.label { 1.0 } else { 0.0 } };
    let area = |[left, top, right, bottom]: [f32; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let common = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let all = area(a) + area(b) - common;
    if all > 0.0 { common / all } else { 0.0 }
}
