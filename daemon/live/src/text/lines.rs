//! Cuts an area of a screen into lines of text, each as the network wants it. Pure.

use std::ops::Range;

use hal::accel::Tensor;

use super::{ROWS, tensor};

/// More lines than this in one area are no patient's name.
const MOST_LINES: usize = 8;
/// Text that is lower than this cannot be read, pixels.
const LEAST_ROWS: usize = 6;
/// Ink differs from the ground by this, grey levels, and by this share of what differs most.
const INK: f32 = 22.0;
const INK_SHARE: f32 = 0.25;
/// Room above and below a line: its height divided by this.
const ROOM: usize = 8;
/// What is farther apart than this many halves of a line's height is read by itself: the reader drops blanks.
const APART: usize = 2;
/// The network has learnt lines of this many columns; a longer line is cut at a gap between words.
const LEAST_COLUMNS: usize = 320;
const MOST_COLUMNS: usize = 1280;

/// The lines of text in an area, from top to bottom, a long one in several parts. `grey`: grey levels, `width` to a row.
pub fn strips(grey: &[u8], width: usize) -> Vec<Tensor> {
    if width == 0 || grey.len() < width {
        return Vec::new();
    }
    let area = Area { grey, width, height: grey.len() / width };
    let ink = area.ink();
    let rows = runs(area.height, |y| ink[y * width..][..width].iter().filter(|ink| **ink).count() >= 2);
    joined(rows)
        .into_iter()
        .filter(|rows| rows.len() >= LEAST_ROWS)
        .take(MOST_LINES)
        .flat_map(|rows| area.line(&ink, rows))
        .collect()
}

struct Area<'a> {
    grey: &'a [u8],
    width: usize,
    height: usize,
}

impl Area<'_> {
    /// Which pixels are written on.
    fn ink(&self) -> Vec<bool> {
        let mut counts = [0usize; 256];
        self.grey.iter().for_each(|v| counts[usize::from(*v)] += 1);
        let mut seen = 0;
        let ground = counts.iter().position(|count| {
            seen += count;
            2 * seen >= self.grey.len()
        });
        let ground = ground.unwrap_or_default() as f32;
        let differs = |v: &u8| (f32::from(*v) - ground).abs();
        let most = self.grey.iter().map(differs).fold(0.0, f32::max);
        let least = INK.max(INK_SHARE * most);
        self.grey.iter().map(|v| differs(v) >= least).collect()
    }

    fn line(&self, ink: &[bool], rows: Range<usize>) -> Vec<Tensor> {
        let room = (rows.len() / ROOM).max(1);
        let written = runs(self.width, |x| rows.clone().any(|y| ink[y * self.width + x]));
        let apart = APART * rows.len() / 2;
        let rows = rows.start.saturating_sub(room)..(rows.end + room).min(self.height);
        let most = (MOST_COLUMNS * rows.len() / ROWS).max(1);
        let parts = parts(&written, most, apart);
        // A thin stroke that is blurred may not count as ink: half a letter more on both sides.
        let beside = rows.len() / 2;
        let around = |part: Range<usize>| part.start.saturating_sub(beside)..(part.end + beside).min(self.width);
        parts.into_iter().map(|part| self.strip(around(part), rows.clone())).collect()
    }

    /// This part of the area with [`ROWS`] rows, by linear interpolation; to the right of it nothing, if it is short.
    fn strip(&self, columns: Range<usize>, rows: Range<usize>) -> Tensor {
        let own = (columns.len() * ROWS / rows.len()).clamp(1, MOST_COLUMNS);
        let wide = own.max(LEAST_COLUMNS);
        let mut plane = vec![0.0; ROWS * wide];
        for (y, row) in plane.chunks_exact_mut(wide).enumerate() {
            let (top, bottom, down) = between(y, ROWS, &rows);
            for (x, value) in row[..own].iter_mut().enumerate() {
                let (left, right, along) = between(x, own, &columns);
                let at = |x: usize, y: usize| f32::from(self.grey[y * self.width + x]);
                let above = at(left, top) * (1.0 - along) + at(right, top) * along;
                let below = at(left, bottom) * (1.0 - along) + at(right, bottom) * along;
                *value = (above * (1.0 - down) + below * down) / 127.5 - 1.0;
            }
        }
        tensor(&plane, wide)
    }
}

/// The two pixels of `range` between which pixel `to` of `count` of the scaled picture lies, and how near it is to the second, 0
/// to 1.
fn between(to: usize, count: usize, range: &Range<usize>) -> (usize, usize, f32) {
    // The centre of the pixel, in halves of a scaled one.
    let place = ((2 * to + 1) * range.len()).saturating_sub(count);
    let last = range.end - 1;
    let first = (range.start + place / (2 * count)).min(last);
    (first, (first + 1).min(last), (place % (2 * count)) as f32 / (2 * count) as f32)
}

/// Where `is` holds without a break.
fn runs(count: usize, is: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for i in (0..count).filter(|i| is(*i)) {
        match runs.last_mut().filter(|run| run.end == i) {
            Some(run) => run.end = i + 1,
            None => runs.push(i..i + 1),
        }
    }
    runs
}

/// Dots and accents belong to the letters below them: what lies nearer than a fifth of the higher one's height is one line.
fn joined(rows: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut lines: Vec<Range<usize>> = Vec::new();
    for run in rows {
        match lines.last_mut().filter(|line| 5 * (run.start - line.end) <= line.len().max(run.len())) {
            Some(line) => line.end = run.end,
            None => lines.push(run),
        }
    }
    lines
}

/// From the first column that is written on to the last, cut at gaps of `apart` columns and more, and at the widest gaps into
/// parts of at most `most` columns.
fn parts(written: &[Range<usize>], most: usize, apart: usize) -> Vec<Range<usize>> {
    let (Some(first), Some(last)) = (written.first(), written.last()) else { return Vec::new() };
    let whole = first.start..last.end;
    let gap = |i: usize| written[i].start - written[i - 1].end;
    match (1..written.len()).max_by_key(|i| gap(*i)).filter(|i| gap(*i) >= apart || whole.len() > most) {
        Some(i) => [parts(&written[..i], most, apart), parts(&written[i..], most, apart)].concat(),
        None => vec![whole],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bars as of letters: `count` of them, 2 wide, 4 apart, from row `top` on.
    fn write(grey: &mut [u8], width: usize, top: usize, height: usize, columns: impl Iterator<Item = usize>, ink: u8) {
        for x in columns {
            for y in top..top + height {
                grey[y * width + x] = ink;
                grey[y * width + x + 1] = ink;
            }
        }
    }

    #[test]
    fn each_line_is_a_strip_of_its_own_whatever_is_brighter() {
        for (ground, ink) in [(10, 220), (230, 30)] {
            let mut grey = vec![ground; 200 * 50];
            write(&mut grey, 200, 5, 12, (20..100).step_by(6), ink);
            write(&mut grey, 200, 30, 12, (20..160).step_by(6), ink);
            let strips = strips(&grey, 200);
            assert_eq!(strips.len(), 2);
            for strip in &strips {
                assert_eq!(strip.shape[..3], [1, 3, ROWS]);
                assert_eq!(strip.data.len(), 3 * ROWS * strip.shape[3]);
                assert!(strip.data.iter().all(|v| (-1.0..=1.0).contains(v)));
            }
            assert!(strips[1].shape[3] > strips[0].shape[3], "the longer line");
        }
    }

    #[test]
    fn nothing_written_is_no_line_and_small_areas_are_no_fault() {
        assert!(strips(&[40; 300 * 20], 300).is_empty());
        assert!(strips(&[], 0).is_empty() && strips(&[1, 2], 5).is_empty());
        assert_eq!(strips(&[0, 255, 0, 255, 0, 255], 1).len(), 0);
        let noise: Vec<u8> = (0..300 * 20u32).map(|i| 40 + (i.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
        assert!(strips(&noise, 300).is_empty());
    }

    #[test]
    fn scaling_meets_the_first_and_the_last_pixel_and_the_middle() {
        assert_eq!(between(0, 4, &(10..14)), (10, 11, 0.0));
        assert_eq!(between(3, 4, &(10..14)), (13, 13, 0.0));
        assert_eq!(between(0, 8, &(10..14)), (10, 11, 0.0), "outside the centre of the first");
        assert_eq!(between(1, 8, &(10..14)), (10, 11, 0.25));
        assert_eq!(between(0, 2, &(10..14)), (10, 11, 0.5));
    }

    #[test]
    fn dots_belong_to_their_line_and_a_long_line_is_cut_between_words() {
        assert_eq!(joined(vec![2..4, 6..18, 30..42]), [2..18, 30..42]);
        let words = [0..10, 12..20, 40..50, 52..60];
        assert_eq!(parts(&words, 100, 30), vec![std::ops::Range { start: 0, end: 60 }]);
        assert_eq!(parts(&words, 30, 30), [0..20, 40..60]);
        assert_eq!(parts(&words, 100, 20), [0..20, 40..60]);
    }
}
