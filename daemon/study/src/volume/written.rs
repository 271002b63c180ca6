//! Is something written over the anatomy of a slice? Pure.
//!
//! Text, arrows and callipers that a scanner or a workstation burns in have one value, brighter than nearly all tissue, and
//! what lies beside each stroke is as it is in the next slice. Metal is as bright, but shines on what is around it. What is
//! written beside the body, or at the same place in the next slice too, hides nothing that is looked for.

/// Bone and contrast agent are rarely brighter; strokes always are, HU.
const BRIGHT_HU: i16 = 600;
/// A stroke is brighter than the same place in the next slice by this much, HU.
const RISE_HU: i32 = 500;
/// Below this there is the air of the room, HU.
const BODY_HU: i16 = -950;
/// A short word, pixels. (In the real scans that were looked at bone has at most a few of one value that stand out like this.)
const LEAST_PIXELS: usize = 40;
/// Beside a stroke a pixel that differs by this much from those of the next slices is not as it was, HU.
const CHANGED_HU: i32 = 250;
/// Of the pixels beside strokes at most this share is changed: streaks and the blur of metal change nearly all.
const MOST_CHANGED: f64 = 0.4;

/// `beside`: the slices next to it, one or two. All have `columns` columns.
pub(super) fn is_written(slice: &[i16], beside: &[&[i16]], columns: usize) -> bool {
    let Some(value) = most_frequent(slice) else { return false };
    let rises = |at: usize| beside.iter().all(|next| i32::from(value) - i32::from(next[at]) >= RISE_HU);
    let strokes: Vec<usize> = (0..slice.len()).filter(|at| slice[*at] == value && rises(*at)).collect();
    let over_body = strokes.iter().filter(|at| beside.iter().any(|next| next[**at] > BODY_HU)).count();
    if over_body < LEAST_PIXELS {
        return false;
    }
    let unlike = |at: usize| beside.iter().map(|next| (i32::from(slice[at]) - i32::from(next[at])).abs()).min();
    let (mut changed, mut count) = (0usize, 0usize);
    for at in strokes.iter().flat_map(|at| around(*at, columns, slice.len())).filter(|at| slice[*at] != value) {
        count += 1;
        changed += usize::from(unlike(at).is_some_and(|by| by > CHANGED_HU));
    }
    count > 0 && changed as f64 <= MOST_CHANGED * count as f64
}

/// The bright value that most pixels have, if it is that of `LEAST_PIXELS`.
fn most_frequent(slice: &[i16]) -> Option<i16> {
    let mut bright: Vec<i16> = slice.iter().copied().filter(|hu| *hu >= BRIGHT_HU).collect();
    bright.sort_unstable();
    let most = bright.chunk_by(|a, b| a == b).max_by_key(|equal| equal.len())?;
    most.first().copied().filter(|_| most.len() >= LEAST_PIXELS)
}

/// The pixels left, right, above and below, where there are any.
fn around(at: usize, columns: usize, len: usize) -> impl Iterator<Item = usize> {
    let column = at % columns.max(1);
    let left = (column > 0).then(|| at - 1);
    let right = (column + 1 < columns).then_some(at + 1);
    let above = at.checked_sub(columns);
    [left, right, above, Some(at + columns)].into_iter().flatten().filter(move |at| *at < len)
}

#[cfg(test)]
#[path = "written_tests.rs"]
mod tests;
