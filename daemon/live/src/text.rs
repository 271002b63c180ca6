//! Reads text that a scanner draws on its screen. The network and its list of characters are in `daemon/live/text`.

mod decode;
mod lines;

use hal::accel::{AccelFault, Accelerator, Error, LoadedModel, Tensor};

const NETWORK: &[u8] = include_bytes!("../text/screen-text.onnx");
/// One character a line, in the order of the network's classes from 1 on; class 0 is "nothing", the last one a blank.
const CHARACTERS: &str = include_str!("../text/characters.txt");

/// A line of text as it was read, from left to right.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line(pub Vec<Letter>);

/// A character and how sure the network is of it, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Letter {
    pub character: char,
    pub sure: f32,
}

/// Reads lines of printed text, Latin and Chinese.
#[derive(Debug)]
pub struct Reader {
    model: Box<dyn LoadedModel>,
    characters: Vec<char>,
}

impl Reader {
    /// # Errors
    /// When the accelerator cannot load the network.
    pub fn open(accelerator: &dyn Accelerator) -> Result<Self, Error> {
        let characters = CHARACTERS.lines().filter_map(|line| line.chars().next()).chain([' ']).collect();
        Ok(Self { model: accelerator.load(NETWORK)?, characters })
    }

    /// The lines of an area, from top to bottom; none where nothing is written. `grey`: grey levels, row by row, `width` to a
    /// row.
    ///
    /// # Errors
    /// When the accelerator fails or the network answers nonsense.
    pub fn read(&mut self, grey: &[u8], width: usize) -> Result<Vec<Line>, Error> {
        let mut read = Vec::new();
        for strip in lines::strips(grey, width).into_iter().take(MOST_STRIPS) {
            let outputs = self.model.run(&[strip])?;
            let classes = self.characters.len() + 1;
            let line = outputs.first().and_then(|answer| decode::line(answer, classes, &self.characters));
            let wrong = || Error::new(AccelFault::BadModel, "the reader of text answers in an unknown form");
            let line = line.ok_or_else(wrong)?;
            if !line.0.is_empty() {
                read.push(line);
            }
        }
        Ok(read)
    }
}

impl Line {
    /// For tests and messages to people who may see it; never for logs.
    pub fn text(&self) -> String {
        self.0.iter().map(|letter| letter.character).collect()
    }
}

/// What the network wants: three equal channels of [`ROWS`] rows, -1 to 1.
fn tensor(plane: &[f32], columns: usize) -> Tensor {
    Tensor { shape: vec![1, 3, ROWS, columns], data: plane.repeat(3) }
}

/// More pieces of text than this in one area are no patient's name; each takes the network some hundredths of a second.
const MOST_STRIPS: usize = 16;

/// Height of the network's input, pixels.
const ROWS: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_characters_has_one_for_each_class_of_the_network() {
        let characters: Vec<&str> = CHARACTERS.lines().collect();
        assert!(characters.iter().all(|line| line.chars().count() == 1));
        assert_eq!(characters.len() + 2, 6625);
    }
}
