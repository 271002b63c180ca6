//! One video: a scene, a path of the probe, a scanner. Any frame can be made without the others.

use super::breast::Breast;
use super::canvas::Canvas;
use super::decoy::Decoys;
use super::handling::{self, Handling};
use super::image::{self, View};
use super::layout::{Layout, Name};
use super::motion::{self, Pose};
use super::plane::{BLOCK, Grid, Scene};
use super::planting::{self, Room};
use super::screen::{self, Now, Operator};
use super::settings::Settings;
use super::speckle::{self, Beam, Electronics, MARGIN, SAMPLES_PER_SIGMA};
use super::truth::{self, FrameTruth, PlantedLesion, VideoTruth};
use crate::random::Random;

#[derive(Debug, Clone)]
pub struct Options {
    pub layout: Name,
    pub seconds: f32,
    pub fps: f32,
    /// Number of lesions; chosen by the seed (0 to 4) when absent.
    pub lesions: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { layout: Name::A, seconds: 10.0, fps: 30.0, lesions: None }
    }
}

#[derive(Debug)]
pub struct Video {
    pub seed: u64,
    pub fps: f32,
    pub layout: &'static Layout,
    pub settings: Settings,
    scene: Scene,
    poses: Vec<Pose>,
    view: View,
    beam: Beam,
    operator: Operator,
    still: Canvas,
    handling: Handling,
}

/// One frame of the scanner's screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub screen: Canvas,
    /// Of the screen's size: the id of the lesion at each pixel, 0 where there is none.
    pub labels: Canvas,
    pub truth: FrameTruth,
}

impl Video {
    pub fn new(seed: u64, options: &Options) -> Self {
        let mut random = Random::new(seed, 44);
        let breast = Breast::new(seed);
        let settings = Settings::varied(seed, breast.muscle);
        let by_seed = [0, 1, 1, 2, 2, 3, 4][random.below(7)];
        let count = options.lesions.unwrap_or(by_seed);
        let travel = [0.0, random.between(24.0, 40.0).min(4.0 + 8.0 * options.seconds)];
        // It must be seen completely at least once, also when the picture is narrower than the probe.
        let view = View::new(options.layout.layout().sector, &settings);
        let shown = view.mm_per_pixel * view.rect.width as f32;
        let room = Room {
            lateral: (shown / 2.0 - 8.0).max(4.0),
            elevation: [travel[0] + 4.0, (travel[1] - 4.0).max(travel[0] + 5.0)],
            depth: settings.depth_mm,
        };
        let lesions = planting::plant(&breast, &room, count, &mut random);
        let decoys = Decoys::new(&breast, travel, &mut random);
        let frames = (options.seconds * options.fps).round().max(1.0) as usize;
        let poses = motion::path(seed, frames, options.fps, travel, &lesions);
        let operator = Operator::new(seed);
        let still = screen::still(options.layout.layout(), &settings, &operator);
        let scene = Scene { seed: random.word(), breast, lesions, decoys };
        let grid = grid(&settings, &view, &poses[0]);
        let beam = Beam::new(&settings, grid.rows, grid.step_mm[1]);
        let layout = options.layout.layout();
        let handling = Handling::default();
        Self { seed, fps: options.fps, layout, settings, scene, poses, view, beam, operator, still, handling }
    }

    /// The same breast, with the probe held and the scanner set in another way. What the screen says of the settings stays as it was.
    #[must_use]
    pub fn handled(mut self, handling: Handling) -> Self {
        if let Some(gain_db) = handling.gain_db {
            (self.settings.gain_db, self.settings.tgc_error_db) = (gain_db, 0.0);
        }
        if let Some(speed) = handling.speed_mm_s {
            self.poses = handling::straight(self.poses.len(), self.fps, speed);
        }
        self.handling = handling;
        self
    }

    /// Name and ID of the patient, as they stand on the screen.
    pub fn patient(&self) -> &[String; 2] {
        &self.operator.patient
    }

    pub fn frames(&self) -> usize {
        self.poses.len()
    }

    /// Where the image plane is.
    ///
    /// # Panics
    /// When `number` is not below [`Video::frames`].
    pub fn pose(&self, number: usize) -> Pose {
        self.poses[number]
    }

    /// # Panics
    /// When `number` is not below [`Video::frames`].
    pub fn frame(&self, number: usize) -> Frame {
        let pose = self.pose(number);
        let mut screen = self.still.clone();
        let mut labels = Canvas::new(self.layout.width, self.layout.height);
        self.draw_tissue(&pose, &mut screen, &mut labels);
        let visible = truth::visible(&mut labels, &self.scene.lesions, &self.view, self.layout.sector);
        let now = Now {
            // The clock on the screen stops while the picture is frozen.
            seconds: pose.live_frame as f32 / self.fps,
            fps: self.fps,
            frozen: pose.frozen(number),
            frozen_for: (number - pose.live_frame) as f32 / self.fps,
            visible: &visible,
        };
        let callipers = screen::moving(self.layout, &self.view, &self.operator, &now, &mut screen);
        let truth = FrameTruth { frame: number, pose, frozen: now.frozen, callipers, lesions: visible };
        Frame { screen, labels, truth }
    }

    fn draw_tissue(&self, pose: &Pose, screen: &mut Canvas, labels: &mut Canvas) {
        let grid = grid(&self.settings, &self.view, pose);
        let plane = self.scene.plane(grid);
        let amplitude = |db: f32| (db * speckle::DB).exp();
        let electronics = Electronics {
            frame: pose.live_frame as i32,
            amplitude: [amplitude(self.settings.noise_db - 14.0), amplitude(self.settings.noise_db)],
        };
        let envelope = speckle::envelope(&plane, &self.beam, self.scene.seed, self.settings.looks, electronics);
        let mut bright = image::compressed(envelope, &grid, &self.settings);
        if let Some(lifted) = self.handling.lifted {
            let width = self.view.mm_per_pixel * self.view.rect.width as f32;
            handling::lift(
                &mut bright,
                &grid,
                pose.live_frame as i32,
                lifted.map(|share| pose.lateral_mm + (share - 0.5) * width),
            );
        }
        image::draw(&bright, &grid, &self.view, pose, self.settings.gamma, screen);
        for outline in &plane.outlines {
            let id = self.scene.lesions[outline.lesion].id;
            image::label(outline, &grid, &self.view, pose, id, labels);
        }
    }

    /// The truth of the whole video; `frames` are the truths of its frames.
    pub fn truth(&self, frames: Vec<FrameTruth>) -> VideoTruth {
        VideoTruth {
            seed: self.seed,
            fps: self.fps,
            layout: self.layout,
            settings: self.settings,
            image: self.view.rect,
            mm_per_pixel: self.view.mm_per_pixel,
            lesions: self.scene.lesions.iter().map(PlantedLesion::of).collect(),
            frames,
        }
    }
}

/// The acoustic samples under the view at a pose.
fn grid(settings: &Settings, view: &View, pose: &Pose) -> Grid {
    let [axial, lateral] = settings.resolution_mm();
    let step_mm = [lateral / SAMPLES_PER_SIGMA[0], axial / SAMPLES_PER_SIGMA[1]];
    let width = view.mm_per_pixel * view.rect.width as f32;
    let left = pose.lateral_mm - width / 2.0;
    let block = BLOCK[0] as i32;
    Grid {
        first: ((left / step_mm[0]).floor() as i32 - MARGIN as i32).div_euclid(block) * block,
        columns: (width / step_mm[0]).ceil() as usize + 2 + 2 * MARGIN + BLOCK[0],
        // With pressure up to a twentieth more depth is visible.
        rows: (settings.depth_mm * 1.05 / step_mm[1]).ceil() as usize + 2,
        step_mm,
        elevation_mm: pose.elevation_mm,
    }
}
