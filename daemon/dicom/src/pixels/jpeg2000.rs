//! What a JPEG 2000 codestream costs to decode, known from its headers (ISO/IEC 15444-1 annexes A and B, 15444-15).
//!
//! A decoder allocates structures for every tile, resolution, precinct, code-block and quality layer before it reads any
//! coefficient. A header of 150 bytes can ask for thousands of millions of them, so they are counted first and what no
//! encoder of images needs is refused. Headers of tiles may replace those of the image; they are walked, too.

use super::codestream;

/// Why a codestream is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    #[error("its headers end early or contradict each other")]
    Malformed,
    #[error("it has {0} tiles")]
    Tiles(u64),
    #[error("it has {0} quality layers")]
    Layers(u64),
    #[error("it has {0} precincts and code-blocks, more than its pixels account for")]
    Blocks(u64),
}

/// Slides of pathology, the most finely tiled images of DICOM, have one tile a frame.
const MOST_TILES: u64 = 4096;
/// Encoders offer up to 50; each costs a little for each code-block.
const MOST_LAYERS: u64 = 256;
/// Structures that a frame of any size may have.
const FREE_BLOCKS: u64 = 4096;
/// Above that, one for so many pixels. Code-blocks of 16 x 16, the smallest in use, make one for about 150.
const PIXELS_PER_BLOCK: u64 = 32;

/// Where the markers of this module begin.
const SOC: usize = 2;
const COD: u8 = 0x52;
const COC: u8 = 0x53;
const SIZ: u8 = 0x51;
const SOT: u8 = 0x90;
const SOD: u8 = 0x93;
const EOC: u8 = 0xd9;
/// Bytes of a tile-part up to the end of its SOT segment.
const TILE_PART: usize = 12;

/// Size and tiles (SIZ, A.5.1).
#[derive(Debug, Clone, Copy)]
struct Grid {
    image: [u64; 4],
    tile: [u64; 2],
    tile_at: [u64; 2],
    components: u64,
}

/// How one component of a tile is divided (COD and COC, A.6.1 and A.6.2).
#[derive(Debug, Clone)]
struct Style {
    layers: u64,
    /// Exponents of the width and height of code-blocks.
    block: [u32; 2],
    /// The same of precincts, from the lowest resolution up; one more than there are decomposition levels.
    precincts: Vec<[u32; 2]>,
}

/// Checks the headers of `codestream`, which begins with SOC.
///
/// # Errors
/// What is excessive or malformed.
pub fn check(codestream: &[u8]) -> Result<(), Excess> {
    let mut grid = None;
    // The costliest style of all: any tile may have it.
    let mut worst: Option<Style> = None;
    let mut at = SOC;
    loop {
        let marker = marker(codestream, at)?;
        match marker {
            EOC => break,
            SOT => {
                let length = be32(codestream, at + 6)? as usize;
                let end = if length == 0 { codestream.len() } else { at.saturating_add(length) };
                in_tile(codestream, at + TILE_PART, end.min(codestream.len()), grid.as_ref(), &mut worst)?;
                // The last tile-part may be cut off; the decoder says so.
                if end >= codestream.len() {
                    break;
                }
                // Each step must go on, or a length of 1 would never end.
                if length != 0 && length < TILE_PART {
                    return Err(Excess::Malformed);
                }
                at = end;
                continue;
            }
            SIZ => grid = Some(Grid::read(segment(codestream, at)?)?),
            _ => styled(marker, segment(codestream, at)?, grid.as_ref(), &mut worst)?,
        }
        at += 2 + usize::from(be16(codestream, at + 2)?);
    }
    let (Some(grid), Some(style)) = (grid, worst) else { return Err(Excess::Malformed) };
    grid.bears(&style)
}

/// The headers of a tile-part, up to its data.
fn in_tile(
    codestream: &[u8],
    mut at: usize,
    end: usize,
    grid: Option<&Grid>,
    worst: &mut Option<Style>,
) -> Result<(), Excess> {
    while at < end {
        let marker = marker(codestream, at)?;
        if marker == SOD {
            return Ok(());
        }
        styled(marker, segment(codestream, at)?, grid, worst)?;
        at += 2 + usize::from(be16(codestream, at + 2)?);
    }
    Ok(())
}

/// Keeps the costlier of the styles, each dimension by itself: which tile has which does not matter for a bound.
fn styled(marker: u8, segment: &[u8], grid: Option<&Grid>, worst: &mut Option<Style>) -> Result<(), Excess> {
    let style = match marker {
        COD => Style::of_cod(segment)?,
        COC => Style::of_coc(segment, grid.ok_or(Excess::Malformed)?, worst.as_ref().map_or(1, |style| style.layers))?,
        _ => return Ok(()),
    };
    match worst {
        Some(worst) => worst.also(&style),
        None => *worst = Some(style),
    }
    Ok(())
}

impl Grid {
    fn read(segment: &[u8]) -> Result<Self, Excess> {
        let long = |at: usize| be32(segment, at).map(u64::from);
        let (right, bottom, left, top) = (long(4)?, long(8)?, long(12)?, long(16)?);
        let tile = [long(20)?, long(24)?];
        let tile_at = [long(28)?, long(32)?];
        let components = u64::from(be16(segment, 36)?);
        // B-3: the first tile begins before the image and reaches into it.
        let begins = tile_at[0] <= left && tile_at[1] <= top;
        let reaches = tile_at[0] + tile[0] > left && tile_at[1] + tile[1] > top;
        if right <= left || bottom <= top || !begins || !reaches || components == 0 {
            return Err(Excess::Malformed);
        }
        Ok(Self { image: [left, top, right, bottom], tile, tile_at, components })
    }

    /// Counts the structures that `style` needs if every tile and component has it.
    fn bears(&self, style: &Style) -> Result<(), Excess> {
        let [left, top, right, bottom] = self.image;
        let across = (right - self.tile_at[0]).div_ceil(self.tile[0]);
        let down = (bottom - self.tile_at[1]).div_ceil(self.tile[1]);
        let tiles = across.saturating_mul(down);
        if tiles > MOST_TILES {
            return Err(Excess::Tiles(tiles));
        }
        if style.layers > MOST_LAYERS {
            return Err(Excess::Layers(style.layers));
        }
        let pixels = (right - left).saturating_mul(bottom - top).saturating_mul(self.components);
        let size = [self.tile[0].min(right - left), self.tile[1].min(bottom - top)];
        let each = style.structures(size);
        let all = each.saturating_mul(tiles).saturating_mul(self.components);
        if all > FREE_BLOCKS.saturating_mul(self.components).saturating_add(pixels / PIXELS_PER_BLOCK) {
            return Err(Excess::Blocks(all));
        }
        Ok(())
    }
}

impl Style {
    fn of_cod(segment: &[u8]) -> Result<Self, Excess> {
        let layers = u64::from(be16(segment, 4)?);
        Self::read(byte(segment, 2)? & 1 == 1, layers, segment.get(7..).ok_or(Excess::Malformed)?)
    }

    fn of_coc(segment: &[u8], grid: &Grid, layers: u64) -> Result<Self, Excess> {
        // The number of the component takes two bytes when there are many.
        let wide = usize::from(grid.components > 256);
        let styles = segment.get(4 + wide..).ok_or(Excess::Malformed)?;
        Self::read(byte(segment, 3 + wide)? & 1 == 1, layers, styles)
    }

    /// `bytes` begin with the number of decomposition levels. `own` says that the sizes of precincts follow.
    fn read(own: bool, layers: u64, bytes: &[u8]) -> Result<Self, Excess> {
        let levels = byte(bytes, 0)?;
        // A.6.1: at most 32; the exponents of a code-block are 2 to 10, together at most 12.
        let block = [byte(bytes, 1)?, byte(bytes, 2)?].map(|exponent| u32::from(exponent & 0xf) + 2);
        if levels > 32 || block.iter().any(|exponent| *exponent > 10) || block[0] + block[1] > 12 {
            return Err(Excess::Malformed);
        }
        let size = |level: usize| -> Result<[u32; 2], Excess> {
            if !own {
                return Ok([15, 15]);
            }
            let exponents = byte(bytes, 5 + level)?;
            Ok([u32::from(exponents & 0xf), u32::from(exponents >> 4)])
        };
        let precincts = (0..=usize::from(levels)).map(size).collect::<Result<_, _>>()?;
        Ok(Self { layers, block, precincts })
    }

    /// Becomes a style that costs at least as much as either.
    fn also(&mut self, other: &Self) {
        self.layers = self.layers.max(other.layers);
        let smaller = |a: [u32; 2], b: [u32; 2]| [a[0].min(b[0]), a[1].min(b[1])];
        self.block = smaller(self.block, other.block);
        // Aligned at the full resolution, which is the last and has the most precincts.
        let (mut long, mut short) = (std::mem::take(&mut self.precincts), other.precincts.clone());
        if long.len() < short.len() {
            std::mem::swap(&mut long, &mut short);
        }
        for (own, one) in long.iter_mut().rev().zip(short.iter().rev()) {
            *own = smaller(*own, *one);
        }
        self.precincts = long;
    }

    /// Precincts and code-blocks of one component of a tile of `size` (B.5 to B.7). What lies across a border makes one
    /// more in each direction.
    fn structures(&self, size: [u64; 2]) -> u64 {
        let top = self.precincts.len() - 1;
        let mut all = 0u64;
        for (resolution, precinct) in self.precincts.iter().enumerate() {
            let down = u32::try_from(top - resolution).unwrap_or(u32::MAX).min(32);
            let here = size.map(|length| length.div_ceil(1 << down));
            let parts = [0, 1].map(|axis| here[axis].div_ceil(1 << precinct[axis]) + 1);
            // A sub-band is half as long as its resolution, and has precincts half as long (B.7); the lowest is whole.
            let half = u32::from(resolution > 0);
            let band = here.map(|length| length.div_ceil(1 << half));
            let blocks = [0, 1].map(|axis| {
                let exponent = self.block[axis].min(precinct[axis].saturating_sub(half));
                band[axis].div_ceil(1 << exponent) + 1
            });
            let bands = if resolution > 0 { 3 } else { 1 };
            let precincts = parts[0].saturating_mul(parts[1]);
            let blocks = blocks[0].saturating_mul(blocks[1]).saturating_mul(bands);
            all = all.saturating_add(precincts).saturating_add(blocks);
        }
        all
    }
}

fn marker(bytes: &[u8], at: usize) -> Result<u8, Excess> {
    match (byte(bytes, at)?, byte(bytes, at + 1)?) {
        (0xff, marker) => Ok(marker),
        _ => Err(Excess::Malformed),
    }
}

/// The segment of the marker at `at`, from its length on.
fn segment(bytes: &[u8], at: usize) -> Result<&[u8], Excess> {
    let length = usize::from(be16(bytes, at + 2)?);
    if length < 2 {
        return Err(Excess::Malformed);
    }
    bytes.get(at + 2..at + 2 + length).ok_or(Excess::Malformed)
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, Excess> {
    bytes.get(at).copied().ok_or(Excess::Malformed)
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, Excess> {
    codestream::be16(bytes, at).ok_or(Excess::Malformed)
}

fn be32(bytes: &[u8], at: usize) -> Result<u32, Excess> {
    codestream::be32(bytes, at).ok_or(Excess::Malformed)
}

#[cfg(test)]
#[path = "jpeg2000_tests.rs"]
mod tests;
