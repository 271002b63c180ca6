//! A network over all patches of a grid, their answers blended: where the network's numbers can stay on the card they do, otherwise each
//! patch goes through the host's memory. Both ways blend in the same whole numbers.

use std::sync::Arc;

use hal::accel::{OnCard, Patchwork};
use hal::{LoadedModel, Tensor};

use crate::grid::Grid;
use crate::postprocess::patches::{self, Blend};
use crate::task::{Control, Error, TaskFault, go_on};

/// What an answer may hold: a sigmoid may round to a hair above 1.
const PROBABILITY: [f32; 2] = [-1e-3, 1.001];

/// One pass of a network over a volume on its grid.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    pub grid: &'a Grid,
    pub hu: &'a Arc<Vec<i16>>,
    /// Of a patch, x, y, z, voxels.
    pub size: [usize; 3],
    /// What neighbours share, voxels.
    pub overlap: usize,
    /// Of each channel of the input, the HU that become 0 and 1.
    pub windows: &'a [[f32; 2]],
    /// Of the answer.
    pub channels: usize,
}

impl Pass<'_> {
    fn blend(&self) -> Blend {
        Blend::new(self.grid, self.size, self.overlap, self.channels)
    }

    fn work(&self) -> Patchwork {
        let weights = patches::weights(self.grid, self.size, self.overlap);
        Patchwork {
            grid: self.hu.clone(),
            dims: self.grid.dims,
            patch: self.size,
            windows: self.windows.to_vec(),
            channels: self.channels,
            weights,
            allowed: PROBABILITY,
        }
    }
}

/// The blended answers for the patches at `origins`, one array a channel, 0 to [`patches::ONE`]. `control` is asked before each patch. A
/// card that fails loses what it has blended: the first patch is begun again, through the host's memory, on what stands behind the card.
///
/// # Errors
/// `TaskFault::Cancelled`; `TaskFault::BadModel` when the shape of an answer is not the one that is due; `TaskFault::BadOutput` when a
/// value is no probability; `TaskFault::Accelerator`.
pub fn blended(
    pass: &Pass<'_>,
    origins: &[[usize; 3]],
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<Vec<Vec<u16>>, Error> {
    let made = match on_card(pass, origins, model, control) {
        Ok(made) => made,
        Err(Trouble::Task(error)) => return Err(error),
        Err(Trouble::Card(error)) => {
            tracing::warn!(%error, "the patches of this volume do not stay on the card: they are begun again through the host's memory");
            None
        }
    };
    match made {
        Some(made) => Ok(made),
        None => through_host(pass, origins, model, control),
    }
}

enum Trouble {
    Task(Error),
    Card(hal::accel::Error),
}

impl From<hal::accel::Error> for Trouble {
    fn from(error: hal::accel::Error) -> Self {
        Self::Card(error)
    }
}

/// `None` where the network's numbers cannot stay on a card.
fn on_card(
    pass: &Pass<'_>,
    origins: &[[usize; 3]],
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<Option<Vec<Vec<u16>>>, Trouble> {
    let work = Arc::new(pass.work());
    let Some(mut card) = model.on_card(&work)? else { return Ok(None) };
    let card: &mut dyn OnCard = card.as_mut();
    for (done, origin) in origins.iter().enumerate() {
        before_patch(control, done, origins.len()).map_err(Trouble::Task)?;
        if let Some(value) = card.patch(*origin)? {
            return Err(Trouble::Task(no_probability(value)));
        }
    }
    Ok(Some(card.blended()?))
}

fn through_host(
    pass: &Pass<'_>,
    origins: &[[usize; 3]],
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<Vec<Vec<u16>>, Error> {
    let Pass { grid, hu, size, windows, channels, .. } = *pass;
    let [width, height, depth] = size;
    let mut blend = pass.blend();
    let mut image = Tensor { shape: vec![1, windows.len(), depth, height, width], data: Vec::new() };
    for (done, origin) in origins.iter().enumerate() {
        before_patch(control, done, origins.len())?;
        image.data.clear();
        for window in windows {
            patches::cut(grid, hu, *window, *origin, size, &mut image.data);
        }
        let answer = model.run(std::slice::from_ref(&image))?;
        blend.add(grid, *origin, checked(&answer, &[1, channels, depth, height, width])?);
    }
    Ok(blend.finish())
}

/// The inference gives way to live pictures here.
fn before_patch(control: &dyn Control, done: usize, all: usize) -> Result<(), Error> {
    go_on(control)?;
    control.progress("inference", done as f64 / all as f64);
    Ok(())
}

fn no_probability(value: f32) -> Error {
    Error::new(TaskFault::BadOutput, format!("the network answered {value}, which is no probability"))
}

/// The values of the one answer, if they are probabilities.
///
/// # Errors
/// `TaskFault::BadModel`, `TaskFault::BadOutput`.
pub(crate) fn checked<'a>(answer: &'a [Tensor], shape: &[usize]) -> Result<&'a [f32], Error> {
    let bad = |why: String| Err(Error::new(TaskFault::BadModel, why));
    let [tensor] = answer else { return bad(format!("the network gave {} answers instead of one", answer.len())) };
    if tensor.shape != shape {
        return bad(format!("the network answered {:?} where {shape:?} was due", tensor.shape));
    }
    let [low, high] = PROBABILITY;
    match tensor.data.iter().find(|value| !(low..=high).contains(*value)) {
        Some(value) => Err(no_probability(*value)),
        None => Ok(&tensor.data),
    }
}
