//! Encodes pictures as JPEG: once for all pages, not on async threads, and only while a page is open.

use std::sync::Arc;

use axum::body::Bytes;
use live::jpeg::{Compressor, JpegError};
use live::view::Picture;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::message::{HEADER, header};

/// A picture as it is sent to the pages.
#[derive(Debug)]
pub struct Encoded {
    pub sequence: u64,
    /// As of the picture: see [`Picture::exam`].
    pub exam: u64,
    /// Header and JPEG.
    pub message: Bytes,
}

pub type Newest = watch::Receiver<Option<Arc<Encoded>>>;

/// The source of pictures for the pages.
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    encoded: watch::Sender<Option<Arc<Encoded>>>,
    joined: Arc<Notify>,
}

impl Pictures {
    /// Subscribes to new pictures. The newest one is delivered at once, even if no new picture arrives.
    pub fn subscribe(&self) -> Newest {
        let newest = self.encoded.subscribe();
        self.joined.notify_one();
        newest
    }

    /// Encodes pictures until shutdown, or until the live path ends.
    pub async fn run(
        self,
        mut pictures: watch::Receiver<Option<Arc<Picture>>>,
        quality: u8,
        shutdown: CancellationToken,
    ) {
        let mut encoder = Encoder::new(quality);
        let mut done = None;
        let mut complained = false;
        loop {
            tokio::select! {
                changed = pictures.changed() => if changed.is_err() { return },
                () = self.joined.notified() => {}
                () = shutdown.cancelled() => return,
            }
            // The next page that is opened must not get a picture of an exam that was over by then.
            let shown = pictures.borrow_and_update().clone().filter(|_| self.encoded.receiver_count() > 0);
            let Some(picture) = shown else {
                done = None;
                self.encoded.send_replace(None);
                continue;
            };
            // A restarted device may repeat sequence numbers, but not capture times.
            let this = (picture.sequence, picture.captured);
            if done == Some(this) {
                continue;
            }
            let work = tokio::task::spawn_blocking(move || {
                let encoded = encoder.encode(&picture);
                (encoder, encoded)
            });
            let Ok((back, encoded)) = work.await else { return };
            encoder = back;
            done = Some(this);
            match encoded {
                Ok(encoded) => {
                    complained = false;
                    self.encoded.send_replace(Some(Arc::new(encoded)));
                }
                Err(reason) if !complained => {
                    complained = true;
                    tracing::warn!(%reason, "cannot encode a picture for the page");
                }
                Err(_) => {}
            }
        }
    }
}

/// The encoder; it uses its buffers again for each picture.
#[derive(Debug)]
pub struct Encoder {
    compressor: Compressor,
    /// Length of the last message, bytes.
    length: usize,
}

impl Encoder {
    pub fn new(quality: u8) -> Self {
        Self { compressor: Compressor::new(quality), length: 0 }
    }

    /// # Errors
    /// When the frame is incomplete, or too large for JPEG.
    pub fn encode(&mut self, picture: &Picture) -> Result<Encoded, JpegError> {
        let mut message = Vec::with_capacity(HEADER + self.length + self.length / 4);
        message.extend(header(picture.sequence, picture.captured));
        self.compressor.compress(&picture.frame, &[], &mut message)?;
        self.length = message.len();
        Ok(Encoded { sequence: picture.sequence, exam: picture.exam, message: message.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hal::capture::frame::Shape;
    use hal::capture::{Colour, Frame, PixelFormat, convert};

    use super::*;

    /// A sector of speckle on a picture as large as a scanner's screen.
    fn picture(format: PixelFormat, width: u32, height: u32, chroma: u8) -> Picture {
        let shape = Shape::tight(format, width, height, Colour::default());
        let mut bytes = vec![0; shape.bytes(0)];
        let (luma, step) = match format {
            PixelFormat::Yuyv => (width as usize * 2, 2),
            _ => (width as usize, 1),
        };
        let mut noise = 1u32;
        for (y, row) in bytes.chunks_mut(luma).take(height as usize).enumerate() {
            for (x, pixel) in row.iter_mut().step_by(step).enumerate() {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let inside = x.abs_diff(width as usize / 2) < 100 + y / 2;
                *pixel = if inside { 40 + u8::try_from(noise >> 25).unwrap() } else { 4 };
            }
        }
        match format {
            PixelFormat::Yuyv => bytes.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = chroma),
            PixelFormat::Nv12 => bytes[(width * height) as usize..].fill(chroma),
            _ => {}
        }
        let frame = Frame::new(shape, 7, Duration::from_millis(5), Arc::new(bytes));
        Picture { sequence: 7, captured: Duration::from_millis(5), exam: 0, frame }
    }

    /// It is perhaps of another patient than the one who is examined by then.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_page_that_is_opened_after_an_exam_gets_no_picture_of_it() {
        let (shown, seen) = watch::channel(None);
        let pictures = Pictures::default();
        let running = tokio::spawn(pictures.clone().run(seen, 85, CancellationToken::new()));
        let patience = Duration::from_secs(60);
        for first_leaves in [false, true] {
            let mut first = pictures.subscribe();
            shown.send_replace(Some(Arc::new(picture(PixelFormat::Grey, 64, 48, 128))));
            tokio::time::timeout(patience, first.wait_for(Option::is_some)).await.unwrap().unwrap();
            let watching = (!first_leaves).then_some(first);
            shown.send_replace(None);
            let dropped = async {
                while pictures.encoded.borrow().is_some() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(patience, dropped).await.expect("it stays for the next page");
            assert!(pictures.subscribe().borrow().is_none(), "{first_leaves}");
            drop(watching);
        }
        drop(shown);
        tokio::time::timeout(patience, running).await.unwrap().unwrap();
    }

    /// Mean difference of luma, and the largest distance of a channel from grey, after decoding.
    fn decoded(picture: &Picture, jpeg: &[u8]) -> (f64, u8) {
        let Shape { width, height, .. } = picture.frame.shape;
        let shape = Shape::laid_out(PixelFormat::Mjpeg, width, height, Colour::default(), Vec::new());
        let back = Frame::new(shape, 0, Duration::ZERO, Arc::new(jpeg.to_vec()));
        let (mut was, mut is, mut rgb) = (Vec::new(), Vec::new(), Vec::new());
        convert::grey(&picture.frame, &mut was).unwrap();
        convert::grey(&back, &mut is).unwrap();
        convert::rgb(&back, &mut rgb).unwrap();
        let sum: u64 = was.iter().zip(&is).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let colour = rgb.chunks_exact(3).map(|p| p[0].abs_diff(p[1]).max(p[1].abs_diff(p[2]))).max();
        (sum as f64 / was.len() as f64, colour.unwrap_or(0))
    }

    #[test]
    fn what_is_grey_is_one_component_and_what_has_colour_keeps_it() {
        let mut encoder = Encoder::new(90);
        for (format, chroma, coloured) in [
            (PixelFormat::Grey, 128, false),
            (PixelFormat::Yuyv, 128, false),
            (PixelFormat::Nv12, 131, false),
            (PixelFormat::Yuyv, 90, true),
            (PixelFormat::Nv12, 90, true),
        ] {
            let picture = picture(format, 322, 200, chroma);
            let encoded = encoder.encode(&picture).unwrap();
            assert_eq!(encoded.message[..HEADER], header(7, Duration::from_millis(5)));
            let (difference, colour) = decoded(&picture, &encoded.message[HEADER..]);
            // Colours outside the RGB range are clipped, which changes luma as well.
            assert!(coloured || difference < 4.0, "{format}: {difference}");
            assert_eq!(colour > 20, coloured, "{format} {chroma}: {colour}");
        }
    }

    #[test]
    fn a_frame_that_is_not_whole_is_an_error() {
        let shape = Shape::tight(PixelFormat::Grey, 64, 64, Colour::default());
        let frame = Frame::new(shape, 0, Duration::ZERO, Arc::new(vec![0; 100]));
        assert!(Encoder::new(85).encode(&Picture { sequence: 0, captured: Duration::ZERO, exam: 0, frame }).is_err());
    }

    #[test]
    fn a_camera_s_jpeg_is_passed_on_as_it_is() {
        let shape = Shape::tight(PixelFormat::Grey, 8, 8, Colour::default());
        let grey = Frame::new(shape, 0, Duration::ZERO, Arc::new(vec![99; 64]));
        let mut own = Vec::new();
        Compressor::new(50).compress(&grey, &[], &mut own).unwrap();
        let frame = live::jpeg::frame(own.clone(), 8, 8);
        let encoded =
            Encoder::new(85).encode(&Picture { sequence: 1, captured: Duration::ZERO, exam: 0, frame }).unwrap();
        assert_eq!(encoded.message[HEADER..], own);
    }

    /// `cargo test --release -p scansided console::encode -- --ignored --nocapture`
    #[test]
    #[ignore = "measures"]
    fn how_long_a_picture_takes() {
        for (format, chroma) in [
            (PixelFormat::Grey, 128),
            (PixelFormat::Yuyv, 128),
            (PixelFormat::Yuyv, 90),
            (PixelFormat::Nv12, 128),
            (PixelFormat::Nv12, 90),
        ] {
            let (picture, mut encoder) = (picture(format, 1280, 720, chroma), Encoder::new(85));
            let mut times = Vec::new();
            for _ in 0..200 {
                let begun = Instant::now();
                encoder.encode(&picture).unwrap();
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            let kind = if chroma == 128 { "grey" } else { "colour" };
            let kib = encoder.length / 1024;
            println!("{format} {kind}: p50 {:.2} ms, p99 {:.2} ms, {kib} KiB", times[100], times[198]);
        }
    }
}
