//! All masks of the findings, to move them to another grid.

use crate::findings::{Evaluated, Lobe, Lung, Mask, Region};

/// One mask, with the slice that shows it best where its finding has one.
#[derive(Debug)]
pub struct Placed<'a> {
    pub mask: &'a mut Mask,
    pub key_slice: Option<&'a mut usize>,
}

/// What has masks. Each finding says which are its own.
pub trait Masks {
    /// Every mask. Positions in millimetres are not changed with them.
    fn placed_mut(&mut self) -> Vec<Placed<'_>>;
}

impl<T: Masks> Masks for Vec<T> {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        self.iter_mut().flat_map(T::placed_mut).collect()
    }
}

impl<T: Masks> Masks for Evaluated<T> {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        match self {
            Self::Done(value) => value.placed_mut(),
            Self::NotEvaluated(_) => Vec::new(),
        }
    }
}

impl Masks for Region {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        vec![Placed { mask: &mut self.mask, key_slice: Some(&mut self.key_slice) }]
    }
}

impl Masks for Lung {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        vec![Placed { mask: &mut self.mask, key_slice: None }]
    }
}

impl Masks for Lobe {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        vec![Placed { mask: &mut self.mask, key_slice: None }]
    }
}
