//! YUV4MPEG2 files of grey frames (`Cmono`): what ffmpeg and mpv play, and what needs no codec.

use std::io::{self, Write};
use std::path::Path;

use super::canvas::Canvas;

#[derive(Debug)]
pub struct Writer {
    file: io::BufWriter<std::fs::File>,
    size: [usize; 2],
}

impl Writer {
    /// # Errors
    /// When the file cannot be written.
    pub fn new(path: &Path, width: usize, height: usize, fps: f32) -> io::Result<Self> {
        let mut file = io::BufWriter::new(std::fs::File::create(path)?);
        let rate = (fps * 1000.0).round() as u32;
        writeln!(file, "YUV4MPEG2 W{width} H{height} F{rate}:1000 Ip A1:1 Cmono")?;
        Ok(Self { file, size: [width, height] })
    }

    /// # Errors
    /// When the frame has another size than the file, or the file cannot be written.
    pub fn frame(&mut self, frame: &Canvas) -> io::Result<()> {
        if [frame.width, frame.height] != self.size {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a frame of another size"));
        }
        self.file.write_all(b"FRAME\n")?;
        self.file.write_all(&frame.grey)
    }

    /// # Errors
    /// When the rest cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()
    }
}
