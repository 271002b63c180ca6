//! What a device can capture, and what it makes of a wish.

use rustix::io::Errno;

use super::facts::{self, Described};
use super::ioctl::{self, Queue};
use super::{Source, V4l2};
use crate::capture::config::MAX_SIDE;
use crate::capture::{Error, Offer, PixelFormat, Rate};

/// More of one kind are not looked at: a driver that never says "last" must not hold us.
const MOST_ENTRIES: u32 = 128;

impl V4l2 {
    /// The kernel's names of what it captures and we can read, its favourite first.
    pub(super) fn fourccs(&self) -> Result<Vec<[u8; 4]>, Error> {
        let all = entries(|index| self.node.format_name(self.queue, index))
            .map_err(|errno| self.error("asking for its formats", errno))?;
        Ok(all.into_iter().map(|f| f.fourcc).filter(|f| facts::pixel_format(*f).is_some()).collect())
    }

    /// What the device makes of a wish; with `set` it takes it.
    pub(super) fn negotiate(&self, fourcc: [u8; 4], width: u32, height: u32, set: bool) -> Result<Described, Error> {
        let negotiated = match self.queue {
            Queue::Single => self.node.format().and_then(|now| {
                let wish = ioctl::Picture {
                    width,
                    height,
                    fourcc,
                    field: ioctl::FIELD_NONE,
                    stride: 0,
                    size: 0,
                    private: ioctl::PRIV_MAGIC,
                    ..now
                };
                self.node.negotiate(wish, set).map(Described::from)
            }),
            Queue::Multi => self.node.format_multi().and_then(|now| {
                let unknown = ioctl::PlaneFormat { size: 0, stride: 0, reserved: [0; 6] };
                let planes = [unknown; ioctl::MAX_PLANES];
                let wish =
                    ioctl::PictureMulti { width, height, fourcc, field: ioctl::FIELD_NONE, planes, count: 0, ..now };
                self.node.negotiate_multi(wish, set).map(Described::from)
            }),
        };
        negotiated.map_err(|errno| self.error("negotiating", errno))
    }

    /// Rates the device names for a size, and whether it takes any in between.
    pub(super) fn rates(&self, fourcc: [u8; 4], width: u32, height: u32) -> Vec<Rate> {
        const DISCRETE: u32 = 1;
        let all = entries(|index| self.node.frame_interval(fourcc, width, height, index)).unwrap_or_default();
        // `values` is seconds, frames.
        all.iter().filter(|i| i.kind == DISCRETE).filter_map(|i| Rate::new(i.values[1], i.values[0])).collect()
    }

    pub(super) fn offers_of(
        &self,
        fourcc: [u8; 4],
        format: PixelFormat,
        source: Option<Source>,
    ) -> Result<Vec<Offer>, Error> {
        const DISCRETE: u32 = 1;
        let offer = |smallest: (u32, u32), largest: (u32, u32)| {
            let rates = self.rates(fourcc, largest.0, largest.1);
            Offer { format, smallest, largest, rates }
        };
        if let Some(Source { width, height, rate, .. }) = source {
            let rates = rate.into_iter().collect();
            return Ok(vec![Offer { format, smallest: (width, height), largest: (width, height), rates }]);
        }
        let sizes = entries(|index| self.node.frame_size(fourcc, index)).unwrap_or_default();
        let offers: Vec<Offer> = sizes
            .iter()
            .map(|size| match (size.kind, size.values) {
                (DISCRETE, [width, height, ..]) => offer((width, height), (width, height)),
                // Smallest, largest, step; width, then height.
                (_, [w0, w1, _, h0, h1, _]) => offer((w0, h0), (w1, h1)),
            })
            .collect();
        if offers.is_empty() {
            let now = self.negotiate(fourcc, MAX_SIDE, MAX_SIDE, false)?;
            return Ok(vec![offer((now.width, now.height), (now.width, now.height))]);
        }
        Ok(offers)
    }

    pub(super) fn nearest_rate(
        &self,
        fourcc: [u8; 4],
        picture: &Described,
        source: Option<Source>,
        wanted: Rate,
    ) -> Rate {
        let named = match source {
            Some(source) => source.rate.into_iter().collect(),
            None => self.rates(fourcc, picture.width, picture.height),
        };
        named.into_iter().min_by_key(|r| r.period().abs_diff(wanted.period())).unwrap_or(wanted)
    }

    /// The kernel's name to ask for, given ours: the wanted format, or else the device's favourite.
    pub(super) fn fourcc_for(&self, format: PixelFormat) -> Result<Option<[u8; 4]>, Error> {
        let all = self.fourccs()?;
        let same = all.iter().find(|f| facts::pixel_format(**f) == Some(format));
        Ok(same.or_else(|| all.first()).copied())
    }
}

/// Everything an enumeration of the kernel gives; it ends with `EINVAL`.
fn entries<T>(get: impl Fn(u32) -> Result<T, Errno>) -> Result<Vec<T>, Errno> {
    let mut all = Vec::new();
    for index in 0..MOST_ENTRIES {
        match get(index) {
            Ok(entry) => all.push(entry),
            Err(Errno::INVAL | Errno::NOTTY | Errno::NODATA) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(all)
}
