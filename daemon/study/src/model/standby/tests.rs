//! What becomes of a run when the GPU fails. Both devices are scripted; the clock is moved by hand.

use std::sync::atomic::{AtomicUsize, Ordering};

use hal::accel::Accelerator;
use hal::accel::scripted::Scripted;
use hal::clock::Manual;

use super::*;

fn opened(script: &Scripted, provider: &str) -> Opened {
    let on = Description { provider: provider.into(), library: "scripted".into(), fallback: None, simulated: true };
    let variant = Variant {
        accelerator: models::manifest::Fits::Any,
        precision: models::manifest::Precision::Fp32,
        network: "a.onnx".into(),
        expected: None,
    };
    Opened { model: script.load(b"a network").unwrap(), on, variant }
}

/// A bench with a GPU that adds 10 and a CPU that adds 1, so that an answer says who made it.
struct Bench {
    gpu: Scripted,
    /// How often it was opened, and the CPU.
    openings: Arc<AtomicUsize>,
    cpu_openings: Arc<AtomicUsize>,
    clock: Manual,
    standing: Standing,
    left: Left,
    standby: Standby,
}

fn bench(gpu: Scripted, first: impl FnOnce(&Scripted, &Scripted) -> First) -> Bench {
    bench_of("cuda", gpu, first)
}

fn bench_of(provider: &'static str, gpu: Scripted, first: impl FnOnce(&Scripted, &Scripted) -> First) -> Bench {
    let cpu = Scripted::each_voxel(|v| v + 1.0);
    let (openings, clock) = (Arc::new(AtomicUsize::new(0)), Manual::default());
    let cpu_openings = Arc::new(AtomicUsize::new(0));
    let (standing, left) = (Standing::default(), Left::default());
    let (counted, again, behind) = (openings.clone(), gpu.clone(), cpu.clone());
    let cpu_counted = cpu_openings.clone();
    let ways = Ways {
        gpu: Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(opened(&again, provider))
        }),
        cpu: Arc::new(move || {
            cpu_counted.fetch_add(1, Ordering::SeqCst);
            Ok(opened(&behind, "cpu"))
        }),
    };
    let standby = Standby::new(
        first(&gpu, &cpu),
        ways,
        standing.of("ct_chest", "studies"),
        left.clone(),
        Arc::new(clock.clone()),
    )
    .unwrap();
    Bench { gpu, openings, cpu_openings, clock, standing, left, standby }
}

fn on_gpu(gpu: &Scripted, _: &Scripted) -> First {
    First::Gpu(opened(gpu, "cuda"))
}

impl Bench {
    fn run(&mut self) -> f32 {
        self.standby.run(&[Tensor { shape: vec![1, 1], data: vec![0.0] }]).unwrap()[0].data[0]
    }

    /// Runs until the GPU makes one again.
    fn until_gpu(&mut self) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while self.run() < 5.0 {
            assert!(std::time::Instant::now() < deadline, "the GPU never came back");
            std::thread::yield_now();
        }
    }

    fn level(&self) -> Option<String> {
        self.standing.reason(|_| true)
    }
}

fn gpu() -> Scripted {
    Scripted::each_voxel(|v| v + 10.0)
}

#[test]
fn sim_a_run_that_the_gpu_does_not_make_is_made_by_the_cpu_and_said() {
    for kind in [AccelFault::Device, AccelFault::OutOfMemory, AccelFault::NotPresent] {
        let mut bench = bench(gpu().failing_after(1, kind), on_gpu);
        assert_eq!((bench.run(), bench.level()), (10.0, None));
        assert_eq!(bench.standby.device().describe().provider, "cuda");
        assert_eq!(bench.run(), 1.0, "{kind:?}: the same inputs, on the CPU");
        let said = bench.standby.device().describe();
        assert_eq!(said.provider, "cuda and cpu");
        assert!(said.fallback.as_ref().is_some_and(|why| why.contains("asked for by the script")), "{said:?}");
        let level = bench.level().unwrap();
        assert!(level.starts_with("the GPU is not used for studies: "), "{level}");
        // The next job is the CPU's alone, and says why.
        bench.standby.device().begin();
        bench.run();
        let said = bench.standby.device().describe();
        assert!(said.provider == "cpu" && said.fallback.is_some(), "{said:?}");
    }
}

#[test]
fn sim_the_gpu_comes_back_by_itself_after_a_pause_and_not_before() {
    let mut bench = bench(gpu().failing_after(0, AccelFault::OutOfMemory), on_gpu);
    assert_eq!(bench.run(), 1.0);
    bench.gpu.heal();
    for _ in 0..3 {
        assert_eq!(bench.run(), 1.0);
    }
    assert_eq!(bench.openings.load(Ordering::SeqCst), 0, "the pause has not passed");
    bench.clock.advance(PAUSES.first);
    bench.until_gpu();
    assert_eq!((bench.openings.load(Ordering::SeqCst), bench.level()), (1, None));
    assert_eq!(bench.standby.device().now(), opened(&bench.gpu, "cuda").on);
}

#[test]
fn sim_pauses_grow_while_the_gpu_fails_again_at_once() {
    let mut bench = bench(gpu().failing_after(0, AccelFault::Device), on_gpu);
    assert_eq!(bench.run(), 1.0);
    let mut pause = PAUSES.first;
    for again in 1..4 {
        bench.clock.advance(pause);
        // It is opened, fails at its first run, and that run is the CPU's.
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while bench.standby.backoff.pause() == pause {
            assert_eq!(bench.run(), 1.0);
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        assert_eq!(bench.openings.load(Ordering::SeqCst), again);
        pause *= 2;
    }
}

#[test]
fn sim_a_gpu_that_fails_now_and_then_gets_longer_pauses_and_the_cpu_stays_loaded_until_it_has_worked_for_a_while() {
    let mut bench = bench(gpu(), on_gpu);
    let mut pause = PAUSES.first;
    for _ in 0..4 {
        drop(bench.gpu.clone().failing_after(0, AccelFault::Device));
        assert_eq!(bench.run(), 1.0);
        assert_eq!(bench.standby.backoff.pause(), pause);
        bench.gpu.heal();
        bench.clock.advance(pause);
        bench.until_gpu();
        assert_eq!((bench.level(), bench.standby.device().now().provider.as_str()), (None, "cuda"));
        // Good for less than it has to be.
        bench.clock.advance(pause / 2);
        assert_eq!(bench.run(), 10.0);
        pause *= 2;
    }
    assert_eq!(bench.cpu_openings.load(Ordering::SeqCst), 1);
    bench.clock.advance(TRUSTED_AFTER.max(pause));
    assert_eq!((bench.run(), bench.standby.cpu.is_none()), (10.0, true));
    drop(bench.gpu.clone().failing_after(0, AccelFault::Device));
    assert_eq!((bench.run(), bench.standby.backoff.pause()), (1.0, PAUSES.first));
}

#[test]
fn sim_a_gpu_that_hangs_is_left_alone_and_nobody_waits_for_it_nor_asks_it_again() {
    let script = gpu();
    script.block();
    let mut bench = bench(script, on_gpu);
    bench.standby = std::mem::replace(&mut bench.standby, idle()).with_patience(Duration::ZERO);
    assert_eq!(bench.run(), 1.0);
    assert!(bench.level().unwrap().contains("no answer within"), "{:?}", bench.level());
    assert!(!bench.left.is_none());
    // However long it lasts: another look would hang as well.
    bench.clock.advance(PAUSES.longest * 10);
    assert_eq!((bench.run(), bench.openings.load(Ordering::SeqCst)), (1.0, 0));
    // It answers at last: then it is opened again.
    bench.gpu.release();
    bench.standby = std::mem::replace(&mut bench.standby, idle()).with_patience(PATIENCE);
    bench.until_gpu();
    assert!(bench.left.is_none() && bench.level().is_none());
}

/// A place-holder while the real one is changed.
fn idle() -> Standby {
    bench(gpu(), on_gpu).standby
}

#[test]
fn sim_a_library_that_crashes_takes_its_thread_and_not_the_study() {
    let mut bench = bench(Scripted::new(|_| panic!("a crash of the library")), on_gpu);
    assert_eq!(bench.run(), 1.0);
    assert!(bench.level().unwrap().contains("crashed"));
}

#[test]
fn sim_a_bad_input_is_no_fault_of_the_gpu() {
    let mut bench = bench(gpu(), on_gpu);
    let error = bench.standby.run(&[]).unwrap_err();
    assert_eq!((error.kind(), bench.level()), (AccelFault::BadInput, None));
    assert_eq!(bench.run(), 10.0);
}

#[test]
fn sim_a_box_that_starts_without_its_gpu_says_so_and_takes_it_when_it_is_there() {
    let mut bench = bench(gpu(), |_, cpu| First::Cpu(opened(cpu, "cpu"), "no driver".into()));
    assert_eq!(bench.run(), 1.0);
    assert_eq!(bench.level().unwrap(), "the GPU is not used for studies: no driver");
    let said = bench.standby.device().describe();
    assert_eq!((said.provider.as_str(), said.fallback.as_deref()), ("cpu", Some("no driver")));
    bench.clock.advance(PAUSES.first);
    bench.until_gpu();
    assert_eq!(bench.level(), None);
}

#[test]
fn sim_the_first_run_of_each_shape_has_time_for_a_build_also_on_a_gpu_that_comes_late_or_again() {
    let mut bench = bench_of("tensorrt", gpu(), |_, cpu| First::Cpu(opened(cpu, "cpu"), "no driver".into()));
    assert_eq!((bench.run(), bench.standby.shapes.clone()), (1.0, None), "the CPU builds nothing");
    let it = Some(vec![vec![1, 1]]);
    for _ in 0..2 {
        bench.clock.advance(PAUSES.longest);
        bench.until_gpu();
        assert_eq!(bench.standby.shapes, it);
        let mut other = Standby::run(&mut bench.standby, &[Tensor { shape: vec![2, 1], data: vec![0.0; 2] }]).unwrap();
        assert_eq!((other.remove(0).shape, bench.standby.shapes.as_ref().map(Vec::len)), (vec![2, 1], Some(2)));
        drop(bench.gpu.clone().failing_after(0, AccelFault::Device));
        assert_eq!(bench.run(), 1.0);
        bench.gpu.heal();
    }
}

#[test]
fn sim_without_either_device_both_reasons_are_told() {
    let script = gpu().failing_after(0, AccelFault::Device);
    let ways = Ways {
        gpu: Arc::new(|| Err(super::super::Error::NoPackage("gone".into()))),
        cpu: Arc::new(|| Err(super::super::Error::NoPackage("no library".into()))),
    };
    let clock = Arc::new(Manual::default());
    let first = First::Gpu(opened(&script, "cuda"));
    let mut standby =
        Standby::new(first, ways, Standing::default().of("ct_chest", "studies"), Left::default(), clock).unwrap();
    let error = standby.run(&[Tensor { shape: vec![1, 1], data: vec![0.0] }]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("asked for by the script") && text.contains("no library"), "{text}");
    assert_eq!(error.kind(), AccelFault::NotPresent);
}

#[test]
fn a_level_counts_only_tasks_that_are_used_and_names_both_kinds_of_work() {
    let standing = Standing::default();
    let (live, study) = (standing.of("us_breast", "live pictures"), standing.of("ct_chest", "studies"));
    live.say("hot".into(), false);
    assert_eq!(standing.reason(|task| task == "ct_chest"), None);
    assert!(standing.reason(|_| true).unwrap().contains("for live pictures: hot"));
    study.say("hot".into(), false);
    assert!(standing.reason(|_| true).unwrap().contains("for studies and live pictures: hot"));
    study.back();
    assert!(standing.reason(|_| true).unwrap().contains("for live pictures: hot"));
    live.back();
    assert_eq!(standing.reason(|_| true), None);
}

#[test]
fn a_level_outlives_the_unloaded_network_until_any_network_runs_on_the_gpu() {
    let standing = Standing::default();
    // At the start every package is built once, and unloaded.
    for task in ["ct_chest", "us_breast", "mg_breast"] {
        standing.of(task, "studies").say("no driver".into(), false);
    }
    assert!(standing.reason(|_| true).unwrap().ends_with("no driver"));
    // Another package of the same task that is built meanwhile says nothing of the one at work.
    let (at_work, built) = (standing.of("ct_chest", "studies"), standing.of("ct_chest", "studies"));
    at_work.say("no memory".into(), false);
    built.back();
    assert!(standing.reason(|_| true).unwrap().ends_with("no memory"));
    at_work.back();
    assert_eq!(standing.reason(|_| true), None, "also what the others said at the start");
}

#[test]
fn sim_another_library_than_the_configured_one_is_still_said_when_the_gpu_is_back() {
    let instead = |script: &Scripted| {
        let Opened { model, on, variant } = opened(script, "cuda");
        let fallback = Some("tensorrt requested; no library: using cuda".into());
        Opened { model, on: Description { fallback, ..on }, variant }
    };
    let mut bench = bench(gpu(), |gpu, _| First::Gpu(instead(gpu)));
    let said = bench.level();
    assert!(said.as_ref().is_some_and(|said| said.starts_with("another library")), "{said:?}");
    let again = bench.gpu.clone();
    bench.standby.ways.gpu = Arc::new(move || Ok(instead(&again)));
    drop(bench.gpu.clone().failing_after(0, AccelFault::Device));
    assert_eq!(bench.run(), 1.0);
    assert!(bench.level().unwrap().starts_with("the GPU is not used"));
    bench.gpu.heal();
    bench.clock.advance(PAUSES.first);
    bench.until_gpu();
    assert_eq!(bench.level(), said);
}

#[test]
fn another_library_than_the_configured_one_is_said_and_is_not_the_cpu() {
    let standing = Standing::default();
    let place = standing.of("ct_chest", "studies");
    place.say("tensorrt requested; no library: using cuda".into(), true);
    let said = standing.reason(|_| true).unwrap();
    assert!(said.starts_with("another library than the configured one is used for studies: tensorrt"), "{said}");
}

/// A network on a GPU that keeps patches there: how many it has made of a volume, after how many it fails, and whether it holds memory.
#[derive(Debug, Clone, Default)]
struct Keeps {
    made: Arc<AtomicUsize>,
    fails_after: Option<(usize, AccelFault)>,
    held: Arc<AtomicUsize>,
    /// A patch waits for this lock.
    hangs: Arc<Mutex<()>>,
}

impl LoadedModel for Keeps {
    fn inputs(&self) -> &[String] {
        &[]
    }

    fn outputs(&self) -> &[String] {
        &[]
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, accel::Error> {
        Ok(vec![Tensor { data: vec![10.0], ..inputs[0].clone() }])
    }

    fn on_card(&mut self, _: &Arc<Patchwork>) -> Result<Option<Box<dyn OnCard + '_>>, accel::Error> {
        self.held.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Box::new(Kept(self.clone()))))
    }
}

struct Kept(Keeps);

impl OnCard for Kept {
    fn patch(&mut self, origin: [usize; 3]) -> Result<Option<f32>, accel::Error> {
        drop(self.0.hangs.lock());
        let made = self.0.made.fetch_add(1, Ordering::SeqCst);
        match self.0.fails_after {
            Some((after, kind)) if made >= after => Err(accel::Error::new(kind, "asked for by the test")),
            _ => Ok((origin == [9; 3]).then_some(7.0)),
        }
    }

    fn blended(&mut self) -> Result<Vec<Vec<u16>>, accel::Error> {
        Ok(vec![vec![10]])
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}

fn keeping(keeps: &Keeps) -> Bench {
    let mut bench = bench(gpu(), on_gpu);
    bench.standby.gpu = Gpu::Ready(Apart::start(Box::new(keeps.clone()), &bench.left).unwrap());
    bench
}

fn work() -> Arc<Patchwork> {
    let axis = || (vec![1.0], vec![1.0]);
    Arc::new(Patchwork {
        grid: Arc::new(vec![0]),
        dims: [1; 3],
        patch: [1; 3],
        windows: vec![[0.0, 1.0]],
        channels: 1,
        weights: [axis(), axis(), axis()],
        allowed: [0.0, 1.0],
    })
}

fn until(what: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(std::time::Instant::now() < deadline, "it never happened");
        std::thread::yield_now();
    }
}

#[test]
fn sim_patches_on_the_gpu_count_as_its_runs_once_the_blended_answer_is_there() {
    let keeps = Keeps::default();
    let mut bench = keeping(&keeps);
    for _ in 0..2 {
        let mut card = bench.standby.on_card(&work()).unwrap().unwrap();
        assert_eq!((card.patch([0; 3]).unwrap(), card.patch([9; 3]).unwrap()), (None, Some(7.0)));
        assert_eq!(card.blended().unwrap(), [[10]]);
        drop(card);
        assert_eq!(keeps.held.load(Ordering::SeqCst), 0);
        assert_eq!(bench.standby.device().describe().provider, "cuda");
    }
    assert_eq!(bench.standby.device.runs().gpu.as_ref().map(|(_, made)| *made), Some(4));
    assert_eq!((bench.run(), bench.level()), (10.0, None), "and runs go on");
}

#[test]
fn sim_a_gpu_that_fails_between_patches_is_replaced_and_what_it_had_made_is_not_its_work() {
    for kind in [AccelFault::Device, AccelFault::OutOfMemory] {
        let keeps = Keeps { fails_after: Some((2, kind)), ..Keeps::default() };
        let mut bench = keeping(&keeps);
        let mut card = bench.standby.on_card(&work()).unwrap().unwrap();
        assert!(card.patch([0; 3]).is_ok() && card.patch([0; 3]).is_ok());
        assert_eq!(card.patch([0; 3]).unwrap_err().kind(), kind);
        assert!(card.patch([0; 3]).is_err() && card.blended().is_err(), "it is not asked again");
        drop(card);
        assert_eq!(keeps.made.load(Ordering::SeqCst), 3);
        assert!(bench.standby.on_card(&work()).unwrap().is_none(), "patches are runs of the CPU now");
        assert_eq!(bench.run(), 1.0);
        let said = bench.standby.device().describe();
        assert_eq!(said.provider, "cpu", "the GPU's share was thrown away");
        assert!(said.fallback.is_some_and(|why| why.contains("asked for by the test")));
        assert!(bench.level().unwrap().starts_with("the GPU is not used for studies: "));
        until(|| keeps.held.load(Ordering::SeqCst) == 0);
    }
}

#[test]
fn sim_patches_that_nobody_wants_any_more_give_the_memory_back_and_runs_go_on() {
    let keeps = Keeps::default();
    let mut bench = keeping(&keeps);
    for _ in 0..3 {
        let mut card = bench.standby.on_card(&work()).unwrap().unwrap();
        assert!(card.patch([0; 3]).is_ok());
        drop(card);
        assert_eq!(bench.run(), 10.0);
        assert_eq!(keeps.held.load(Ordering::SeqCst), 0, "before the run that follows");
    }
    assert_eq!(bench.standby.device.runs().gpu.as_ref().map(|(_, made)| *made), Some(3), "runs only");
}

#[test]
fn sim_a_gpu_that_hangs_on_a_patch_is_left_alone() {
    let keeps = Keeps::default();
    let mut bench = keeping(&keeps);
    let hangs = keeps.hangs.clone();
    let held = hangs.lock().unwrap();
    let mut card = bench.standby.on_card(&work()).unwrap().unwrap();
    drop(card);
    bench.standby = std::mem::replace(&mut bench.standby, idle()).with_patience(Duration::from_millis(200));
    card = bench.standby.on_card(&work()).unwrap().unwrap();
    assert!(card.patch([0; 3]).unwrap_err().to_string().contains("no answer within"));
    drop(card);
    assert_eq!((bench.run(), bench.left.is_none()), (1.0, false));
    drop(held);
    until(|| bench.left.is_none() && keeps.held.load(Ordering::SeqCst) == 0);
}
