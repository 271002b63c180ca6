//! Traces outlines of a region in one plane along the edges of its pixels.

use models::postprocess::contour::signed_area;

use crate::canvas::pixels;

/// The corners of a closed outline in pixel-edge coordinates; (0, 0) is the top left corner of the top left pixel. The
/// first corner is not repeated at the end.
pub type Outline = Vec<[f32; 2]>;

/// The directions in which an edge can leave a grid corner, by bit number: right, down, left, up. The region is on the
/// right-hand side.
const STEPS: [(isize, isize); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];

/// All outlines of the region, outer ones and those of holes, offset by `origin` (column, row). `inside` is row-major.
pub fn trace(inside: &[bool], width: usize, height: usize, origin: [usize; 2]) -> Vec<Outline> {
    let corners = width + 1;
    let at = |x: usize, y: usize| inside[y * width + x];
    let mut leaving = vec![0u8; corners * (height + 1)];
    for y in 0..height {
        for x in (0..width).filter(|x| at(*x, y)) {
            if y == 0 || !at(x, y - 1) {
                leaving[y * corners + x] |= 1;
            }
            if x + 1 == width || !at(x + 1, y) {
                leaving[y * corners + x + 1] |= 2;
            }
            if y + 1 == height || !at(x, y + 1) {
                leaving[(y + 1) * corners + x + 1] |= 4;
            }
            if x == 0 || !at(x - 1, y) {
                leaving[(y + 1) * corners + x] |= 8;
            }
        }
    }
    let mut taken = vec![0u8; leaving.len()];
    let mut outlines = Vec::new();
    for start in 0..leaving.len() {
        while leaving[start] & !taken[start] != 0 {
            outlines.push(walk(&leaving, &mut taken, corners, start, origin));
        }
    }
    outlines
}

/// Follows edges from `start` until the first edge is reached again. Where two pixels touch only at a corner it turns
/// right, so that they stay separate.
fn walk(leaving: &[u8], taken: &mut [u8], corners: usize, start: usize, origin: [usize; 2]) -> Outline {
    let first = (leaving[start] & !taken[start]).trailing_zeros() as usize;
    let (mut corner, mut direction) = (start, first);
    let mut outline = Vec::new();
    let mut turned = true;
    loop {
        if turned {
            let (x, y) = (corner % corners + origin[0], corner / corners + origin[1]);
            outline.push([pixels(x), pixels(y)]);
        }
        taken[corner] |= 1 << direction;
        let (dx, dy) = STEPS[direction];
        let rows_away = if dy < 0 {
            corner.saturating_sub(corners)
        } else if dy > 0 {
            corner + corners
        } else {
            corner
        };
        corner = rows_away.saturating_add_signed(dx);
        let turns = [(direction + 1) % 4, direction, (direction + 3) % 4];
        let next = turns.into_iter().find(|t| leaving[corner] & (1 << t) != 0).unwrap_or(direction);
        turned = next != direction;
        direction = next;
        if taken[corner] & (1 << direction) != 0 {
            return outline; // tracing proceeds row by row, so `start` is a corner of the outline
        }
    }
}

/// The outline of the largest part of the region, without holes.
pub fn largest(outlines: Vec<Outline>) -> Option<Outline> {
    outlines.into_iter().max_by(|a, b| signed_area(a).total_cmp(&signed_area(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(rows: &[&str]) -> (Vec<bool>, usize, usize) {
        let inside = rows.iter().flat_map(|r| r.chars().map(|c| c == '#')).collect();
        (inside, rows[0].len(), rows.len())
    }

    #[test]
    fn the_outline_of_one_pixel_is_its_four_corners() {
        let (inside, w, h) = grid(&["#"]);
        assert_eq!(trace(&inside, w, h, [10, 20]), vec![vec![[10.0, 20.0], [11.0, 20.0], [11.0, 21.0], [10.0, 21.0]]]);
    }

    #[test]
    fn areas_add_up_with_holes_and_touching_corners() {
        let (inside, w, h) = grid(&["####..", "#..#..", "####..", "....##", "....#."]);
        let outlines = trace(&inside, w, h, [0, 0]);
        assert_eq!(outlines.len(), 3, "{outlines:?}");
        assert_eq!(outlines.iter().map(|o| signed_area(o)).sum::<f32>(), inside.iter().filter(|i| **i).count() as f32);
        assert_eq!(signed_area(&largest(outlines).unwrap()), 12.0);
    }

    #[test]
    fn corners_are_only_where_the_outline_turns() {
        let (inside, w, h) = grid(&[".####", "#####", "#####"]);
        assert_eq!(trace(&inside, w, h, [0, 0])[0].len(), 6);
    }
}
