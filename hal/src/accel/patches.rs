//! A volume that is read patch by patch where the network runs: what a device needs to cut, run and blend without the host, and the
//! capability that a loaded network may have for it. One that lacks it is run patch by patch through the host's memory.

use std::sync::Arc;

use super::{AccelFault, Error};

/// What there is to do with one volume. Axes are x, y, z; x is the fastest.
#[derive(Debug, Clone)]
pub struct Patchwork {
    /// The volume on the network's grid, HU.
    pub grid: Arc<Vec<i16>>,
    pub dims: [usize; 3],
    pub patch: [usize; 3],
    /// Of each channel of the input, the values that become 0 and 1.
    pub windows: Vec<[f32; 2]>,
    /// Channels of the answer.
    pub channels: usize,
    /// Along each axis: the weight of each voxel of a patch, and the sum of all patches' weights at each point of the grid.
    pub weights: [(Vec<f32>, Vec<f32>); 3],
    /// Least and greatest value that an answer may hold.
    pub allowed: [f32; 2],
}

impl Patchwork {
    /// Extents of the network's input for one patch.
    pub fn input(&self) -> Vec<usize> {
        self.tensor(self.windows.len())
    }

    /// Extents of its answer.
    pub fn output(&self) -> Vec<usize> {
        self.tensor(self.channels)
    }

    fn tensor(&self, channels: usize) -> Vec<usize> {
        let [width, height, depth] = self.patch;
        vec![1, channels, depth, height, width]
    }

    /// Memory that it takes beside the network's own tensors: the grid, a sum for each point and channel, the weights. `None`: more than
    /// can be counted.
    pub fn bytes(&self) -> Option<usize> {
        let points = self.points()?;
        let sums = points.checked_mul(self.channels)?.checked_mul(size_of::<u16>())?;
        let weights: usize =
            self.weights.iter().map(|(patch, total)| (patch.len() + total.len()) * size_of::<f32>()).sum();
        points.checked_mul(size_of::<i16>())?.checked_add(sums)?.checked_add(weights)
    }

    fn points(&self) -> Option<usize> {
        self.dims.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent))
    }

    /// # Errors
    /// `AccelFault::BadInput` when lengths do not belong together.
    pub fn check(&self) -> Result<(), Error> {
        let axis = |a: usize| {
            let (patch, total) = &self.weights[a];
            self.patch[a] > 0
                && patch.len() == self.patch[a]
                && total.len() == self.dims[a]
                && self.patch[a] <= self.dims[a]
        };
        let whole = self.points() == Some(self.grid.len()) && (0..3).all(axis);
        if whole && !self.windows.is_empty() && self.channels > 0 && self.bytes().is_some() {
            return Ok(());
        }
        Err(Error::new(AccelFault::BadInput, "patches, weights and volume do not belong together"))
    }
}

/// Patches of one volume whose numbers stay on a card. Dropping it gives the card's memory back.
pub trait OnCard {
    /// Cuts the patch at `origin`, runs the network on it and blends the answer; returns when that has ended. The first value of the
    /// answer that is not allowed, if there is one: the blended answer is then of no use.
    ///
    /// # Errors
    /// `AccelFault::Device`, `AccelFault::OutOfMemory`: what was blended so far is lost. `AccelFault::BadInput` for a patch that does
    /// not lie in the grid.
    fn patch(&mut self, origin: [usize; 3]) -> Result<Option<f32>, Error>;

    /// The blended answer, one array a channel, 65535 for 1. Nothing more can be asked after it.
    ///
    /// # Errors
    /// As for [`OnCard::patch`].
    fn blended(&mut self) -> Result<Vec<Vec<u16>>, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Patchwork {
        let axis = |patch: usize, grid: usize| (vec![1.0; patch], vec![1.0; grid]);
        Patchwork {
            grid: Arc::new(vec![0; 6 * 5 * 4]),
            dims: [6, 5, 4],
            patch: [3, 2, 4],
            windows: vec![[0.0, 1.0]; 2],
            channels: 3,
            weights: [axis(3, 6), axis(2, 5), axis(4, 4)],
            allowed: [0.0, 1.0],
        }
    }

    #[test]
    fn what_a_card_needs_is_known_before_it_begins() {
        let work = work();
        assert_eq!((work.input(), work.output()), (vec![1, 2, 4, 2, 3], vec![1, 3, 4, 2, 3]));
        assert_eq!(work.bytes(), Some(120 * 2 + 120 * 3 * 2 + (3 + 6 + 2 + 5 + 4 + 4) * 4));
        assert!(work.check().is_ok());
        let endless = Patchwork { dims: [usize::MAX, 2, 1], ..work };
        assert_eq!(endless.bytes(), None);
    }

    #[test]
    fn lengths_that_do_not_belong_together_are_refused() {
        let wrong: [fn(&mut Patchwork); 6] = [
            |work| work.grid = Arc::new(vec![0; 119]),
            |work| work.windows.clear(),
            |work| work.channels = 0,
            |work| work.weights[1].0.push(1.0),
            |work| work.weights[2].1.clear(),
            |work| work.patch[0] = 7,
        ];
        for (number, change) in wrong.into_iter().enumerate() {
            let mut work = work();
            change(&mut work);
            assert_eq!(work.check().unwrap_err().kind(), AccelFault::BadInput, "{number}");
        }
    }
}
