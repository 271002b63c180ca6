//! A screen divided into square blocks, each of which has a property or not, and the regions that such blocks make.

use super::Sector;

/// Side of a block, pixels.
pub const BLOCK: usize = 8;

/// The screen in blocks.
#[derive(Debug)]
pub struct Blocks {
    size: [usize; 2],
    columns: usize,
    set: Vec<bool>,
}

/// Blocks that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Around all of them, pixels.
    pub area: Sector,
    pub blocks: usize,
}

impl Blocks {
    /// Of a screen of this width and height. `has` is called with the pixel indices of each block.
    pub fn new(size: [usize; 2], has: impl Fn(&mut dyn Iterator<Item = usize>) -> bool) -> Self {
        let [columns, rows] = size.map(|side| side.div_ceil(BLOCK));
        let pixels = |block: usize| {
            let (left, top) = (block % columns * BLOCK, block / columns * BLOCK);
            let across = left..(left + BLOCK).min(size[0]);
            (top..(top + BLOCK).min(size[1])).flat_map(move |y| across.clone().map(move |x| y * size[0] + x))
        };
        let set = (0..columns * rows).map(|block| has(&mut pixels(block))).collect();
        Self { size, columns, set }
    }

    /// Blocks that lie within `reach` columns of each other, in the same or a neighbouring row, are one region.
    pub fn regions(&self, reach: usize) -> Vec<Region> {
        let mut left = self.set.clone();
        let mut regions = Vec::new();
        for start in 0..left.len() {
            if !std::mem::take(&mut left[start]) {
                continue;
            }
            let (mut open, mut blocks) = (vec![start], 0);
            let (mut low, mut high) = ([usize::MAX; 2], [0; 2]);
            while let Some(block) = open.pop() {
                blocks += 1;
                let at = [block % self.columns, block / self.columns];
                for a in 0..2 {
                    low[a] = low[a].min(at[a] * BLOCK);
                    high[a] = high[a].max(((at[a] + 1) * BLOCK).min(self.size[a]));
                }
                for next in self.around(at, reach) {
                    if std::mem::take(&mut left[next]) {
                        open.push(next);
                    }
                }
            }
            let area = Sector { x: low[0], y: low[1], width: high[0] - low[0], height: high[1] - low[1] };
            regions.push(Region { area, blocks });
        }
        regions
    }

    fn around(&self, [x, y]: [usize; 2], reach: usize) -> impl Iterator<Item = usize> + use<> {
        let (columns, rows) = (self.columns, self.set.len() / self.columns.max(1));
        let near = |at: usize, reach: usize, count: usize| at.saturating_sub(reach)..(at + reach + 1).min(count);
        let across = near(x, reach, columns);
        near(y, 1, rows).flat_map(move |y| across.clone().map(move |x| y * columns + x))
    }
}
