//! An accelerator that answers from a script: no hardware, no library, failures and delays on demand.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::{AccelFault, Accelerator, Description, Error, LoadedModel, Provider, Tensor};

type Answer = dyn Fn(&[Tensor]) -> Result<Vec<Tensor>, Error> + Send + Sync;

/// Answers every run by calling a closure.
#[derive(Clone)]
pub struct Scripted {
    answer: Arc<Answer>,
    control: Arc<Control>,
}

#[derive(Debug, Default)]
struct Control {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    runs: usize,
    /// Runs left before every further one fails.
    fail_after: Option<(usize, AccelFault)>,
    blocked: bool,
    waiting: usize,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripted").field("control", &self.control).finish_non_exhaustive()
    }
}

impl Scripted {
    /// One input `image`, one output `probability`, answered by `answer`.
    pub fn new(answer: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, Error> + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), control: Arc::default() }
    }

    /// Answers with zeros of the input's shape: "nothing found".
    pub fn zeros() -> Self {
        Self::each_voxel(|_| 0.0)
    }

    /// Answers each value of the input with `value`, in the input's shape.
    pub fn each_voxel(value: impl Fn(f32) -> f32 + Send + Sync + 'static) -> Self {
        Self::new(move |inputs| {
            let image = &inputs[0];
            Ok(vec![Tensor { shape: image.shape.clone(), data: image.data.iter().map(|v| value(*v)).collect() }])
        })
    }

    /// After `runs` more runs each one fails with `kind`.
    #[must_use]
    pub fn failing_after(self, runs: usize, kind: AccelFault) -> Self {
        self.lock().fail_after = Some((runs, kind));
        self
    }

    /// Later runs are answered again.
    pub fn heal(&self) {
        self.lock().fail_after = None;
    }

    /// Makes runs wait until [`Scripted::release`].
    pub fn block(&self) {
        self.lock().blocked = true;
    }

    /// Lets waiting and later runs go on.
    pub fn release(&self) {
        self.lock().blocked = false;
        self.control.changed.notify_all();
    }

    /// Runs that wait now.
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Runs that were begun.
    pub fn runs(&self) -> usize {
        self.lock().runs
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.control.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self) -> Result<(), Error> {
        let mut state = self.lock();
        state.runs += 1;
        state.waiting += 1;
        while state.blocked {
            state = self.control.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
        match &mut state.fail_after {
            Some((0, kind)) => Err(Error::new(*kind, "failure asked for by the script")),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Accelerator for Scripted {
    fn describe(&self) -> Description {
        Description {
            provider: Provider::Scripted.name().into(),
            library: Provider::Scripted.name().into(),
            fallback: None,
            simulated: Provider::Scripted.is_simulated(),
        }
    }

    /// Any bytes that are not empty and do not begin with `garbage` are a network.
    fn load(&self, onnx: &[u8]) -> Result<Box<dyn LoadedModel>, Error> {
        if onnx.is_empty() || onnx.starts_with(b"garbage") {
            return Err(Error::new(AccelFault::BadModel, "the script takes these bytes for no network"));
        }
        Ok(Box::new(ScriptedModel {
            script: self.clone(),
            inputs: vec!["image".into()],
            outputs: vec!["probability".into()],
        }))
    }
}

#[derive(Debug)]
struct ScriptedModel {
    script: Scripted,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl LoadedModel for ScriptedModel {
    fn inputs(&self) -> &[String] {
        &self.inputs
    }

    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        let fits = inputs.len() == 1 && inputs[0].shape.iter().product::<usize>() == inputs[0].data.len();
        if !fits {
            return Err(Error::new(AccelFault::BadInput, "the script takes one tensor whose shape fits its values"));
        }
        self.script.admit()?;
        (self.script.answer)(inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Tensor {
        Tensor { shape: vec![1, 2], data: vec![0.0, 1.0] }
    }

    #[test]
    fn sim_fails_after_the_asked_number_of_runs() {
        let script = Scripted::zeros().failing_after(2, AccelFault::OutOfMemory);
        let mut model = script.load(b"x").unwrap();
        assert!(model.run(&[image()]).is_ok());
        assert!(model.run(&[image()]).is_ok());
        for _ in 0..2 {
            assert_eq!(model.run(&[image()]).unwrap_err().kind(), AccelFault::OutOfMemory);
        }
    }

    #[test]
    fn sim_waits_until_released() {
        let script = Scripted::zeros();
        script.block();
        let mut model = script.load(b"x").unwrap();
        let run = std::thread::spawn(move || model.run(&[image()]));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while script.waiting() == 0 {
            assert!(std::time::Instant::now() < deadline, "the run never began");
            std::thread::yield_now();
        }
        assert!(!run.is_finished());
        script.release();
        assert!(run.join().unwrap().is_ok());
    }
}
