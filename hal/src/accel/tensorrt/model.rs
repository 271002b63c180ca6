//! A network on TensorRT: one engine for each set of extents, because an engine with open ones is slower and may be built again at any run.

use std::sync::Arc;

use super::store::Store;
use super::supply::{self, Engine, Maker, Source, Wanted, no_patches};
use crate::accel::{Error, LoadedModel, OnCard, Patchwork, Port, Signature, Tensor, Watch, shape};

/// Engines of one network in memory; the one that was not used for longest goes.
const MOST: usize = 4;

#[derive(Debug)]
pub(super) struct Model {
    maker: Arc<dyn Maker>,
    store: Option<Store>,
    source: Source,
    signature: Signature,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// The one that was used last is the last.
    engines: Vec<Ready>,
}

#[derive(Debug)]
struct Ready {
    shapes: Vec<Vec<i64>>,
    engine: Box<dyn Engine>,
}

impl Model {
    /// Examines the network, and has engines ready for all `shapes` of its only input that are known beforehand; a network without
    /// open extents needs none of them.
    ///
    /// # Errors
    /// As [`supply::obtain`].
    pub fn load(
        maker: Arc<dyn Maker>,
        store: Option<Store>,
        onnx: &[u8],
        shapes: &[Vec<usize>],
        watch: Watch<'_>,
    ) -> Result<Self, Error> {
        let signature = maker.examine(onnx)?;
        let names = |ports: &[Port]| ports.iter().map(|port| port.name.clone()).collect();
        let (inputs, outputs) = (names(&signature.inputs), names(&signature.outputs));
        let mut model =
            Self { maker, store, source: Source::new(onnx), signature, inputs, outputs, engines: Vec::new() };
        let sets = model.known(shapes);
        let count = sets.len().max(1);
        for (number, set) in sets.into_iter().enumerate() {
            // One after the other: the fraction of all.
            let part = |within: f64| watch((number as f64 + within.clamp(0.0, 1.0)) / count as f64);
            model.ready(&set, &part)?;
        }
        Ok(model)
    }

    fn known(&self, shapes: &[Vec<usize>]) -> Vec<Vec<Vec<i64>>> {
        let declared: Vec<Vec<i64>> = self.signature.inputs.iter().map(|port| port.shape.clone()).collect();
        if declared.iter().flatten().all(|extent| *extent >= 0) {
            return vec![declared];
        }
        let [input] = declared.as_slice() else { return Vec::new() };
        let mut sets: Vec<Vec<Vec<i64>>> = Vec::new();
        for given in shapes.iter().map(|given| shape::signed(given)).filter(|given| shape::fits(given, input)) {
            if sets.len() < MOST && !sets.contains(&vec![given.clone()]) {
                sets.push(vec![given]);
            }
        }
        sets
    }

    /// The engine for these extents is the last of all afterwards.
    fn ready(&mut self, shapes: &[Vec<i64>], watch: Watch<'_>) -> Result<(), Error> {
        if let Some(at) = self.engines.iter().position(|ready| ready.shapes == shapes) {
            let ready = self.engines.remove(at);
            self.engines.push(ready);
            return Ok(());
        }
        // Before the new one takes memory on the card.
        if self.engines.len() == MOST {
            self.engines.remove(0);
        }
        let want = Wanted { signature: &self.signature, shapes };
        let (engine, came) = supply::obtain(self.maker.as_ref(), self.store.as_ref(), &self.source, &want, watch)?;
        tracing::debug!(?shapes, ?came, "engine ready");
        self.engines.push(Ready { shapes: shapes.to_vec(), engine });
        Ok(())
    }

    fn keep_kernels(&self, shapes: &[Vec<i64>], kernels: &[u8]) {
        let Some(store) = &self.store else { return };
        let binding = self.source.binding(self.maker.as_ref(), &Wanted { signature: &self.signature, shapes });
        if let Err(error) = store.keep_kernels(&binding, kernels) {
            tracing::warn!(%error, "compiled kernels are not kept: the next start compiles them again");
        }
    }

    #[cfg(test)]
    pub(super) fn engines(&self) -> usize {
        self.engines.len()
    }
}

impl LoadedModel for Model {
    fn inputs(&self) -> &[String] {
        &self.inputs
    }

    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn signature(&self) -> Option<Signature> {
        Some(self.signature.clone())
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        shape::check(inputs, &self.signature.inputs)?;
        let shapes: Vec<Vec<i64>> = inputs.iter().map(|input| shape::signed(&input.shape)).collect();
        self.ready(&shapes, &|_| true)?;
        let Some(ready) = self.engines.last_mut() else { return Ok(Vec::new()) };
        let answer = ready.engine.run(inputs)?;
        if let Some(kernels) = ready.engine.kernels() {
            self.keep_kernels(&shapes, &kernels);
        }
        Ok(answer)
    }

    fn on_card(&mut self, work: &Arc<Patchwork>) -> Result<Option<Box<dyn OnCard + '_>>, Error> {
        work.check()?;
        let input = shape::signed(&work.input());
        let ([port], 1) = (self.signature.inputs.as_slice(), self.signature.outputs.len()) else { return Ok(None) };
        if !shape::fits(&input, &port.shape) {
            return Ok(None);
        }
        let shapes = vec![input];
        self.ready(&shapes, &|_| true)?;
        let begun = match self.engines.last_mut() {
            Some(ready) => ready.engine.begin_patches(work)?,
            None => false,
        };
        if !begun {
            return Ok(None);
        }
        Ok(Some(Box::new(Patching { model: self, shapes })))
    }
}

/// A volume whose patches are on the card: the last of the engines has it.
struct Patching<'a> {
    model: &'a mut Model,
    shapes: Vec<Vec<i64>>,
}

impl Patching<'_> {
    fn engine(&mut self) -> Result<&mut Box<dyn Engine>, Error> {
        self.model.engines.last_mut().map(|ready| &mut ready.engine).ok_or_else(no_patches)
    }
}

impl OnCard for Patching<'_> {
    fn patch(&mut self, origin: [usize; 3]) -> Result<Option<f32>, Error> {
        self.engine()?.patch(origin)
    }

    fn blended(&mut self) -> Result<Vec<Vec<u16>>, Error> {
        let engine = self.engine()?;
        let made = engine.blended()?;
        if let Some(kernels) = engine.kernels() {
            self.model.keep_kernels(&self.shapes, &kernels);
        }
        Ok(made)
    }
}

impl Drop for Patching<'_> {
    fn drop(&mut self) {
        if let Ok(engine) = self.engine() {
            engine.end_patches();
        }
    }
}
