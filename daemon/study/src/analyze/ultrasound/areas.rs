//! Which areas of an ultrasound picture are read: those that the scanner names as B-mode, where it names any. Pure.

use dicom::header::Header;
use dicom::regions::{Region, Shows};
use models::task::us_breast::Sector;
use models::task::us_breast::sector::LEAST_SIDE;
use report::stills::{NoSize, NotRead};

/// A B-mode area and how large its pixels are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub sector: Sector,
    /// Millimetres per pixel across and down, or why they are not known.
    pub mm: Result<[f64; 2], NoSize>,
}

/// What the header says of the areas of a picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Areas {
    /// At least one, and why others are not read.
    Named(Vec<Area>, Vec<NotRead>),
    /// The area has to be found in the picture; the size of its pixels is not known.
    Unnamed(NoSize),
}

/// A field of view of a breast, mm: the longer side of an area. Other scales are errors (centimetres for millimetres).
const FIELD_MM: std::ops::RangeInclusive<f64> = 10.0..=300.0;

/// Regions may exceed the picture by this much: some scanners count from 1.
const BEYOND: u32 = 2;

/// Bits of the fourth value of Image Type (PS3.3 section C.8.5.6.1.1).
mod mode {
    pub(super) const TWO_D: u16 = 0x0001;
    pub(super) const CURVES: u16 = 0x0002 | 0x0004 | 0x0008;
    pub(super) const COLOUR: u16 = 0x0010 | 0x0020 | 0x0100;
    pub(super) const RENDERED: u16 = 0x0040;
}

/// # Errors
/// Why nothing of the picture is read.
pub(super) fn of(header: &Header, regions: &[Region]) -> Result<Areas, NotRead> {
    let modes = header.image_type.get(3).and_then(|value| u16::from_str_radix(value.trim(), 16).ok()).unwrap_or(0);
    if modes & mode::RENDERED != 0 {
        return Err(NotRead::Rendered);
    }
    if regions.is_empty() {
        if modes & mode::COLOUR != 0 {
            return Err(NotRead::ColourFlow);
        }
        if modes & mode::CURVES != 0 && modes & mode::TWO_D == 0 {
            return Err(NotRead::NoTissue);
        }
        return Ok(Areas::Unnamed(NoSize::NoScale));
    }
    let fits = |region: &Region| {
        let [left, top, right, bottom] = region.bounds;
        left < right && top < bottom && right <= header.columns + BEYOND && bottom <= header.rows + BEYOND
    };
    let flows: Vec<&Region> = regions.iter().filter(|region| region.shows == Shows::ColourFlow).collect();
    // Where flow is, is not known.
    if !flows.iter().all(|flow| fits(flow)) || (flows.is_empty() && modes & mode::COLOUR != 0) {
        return Err(NotRead::ColourFlow);
    }
    // The picture was cut or scaled after the header was written.
    if !regions.iter().filter(|region| region.shows == Shows::Tissue).all(fits) {
        let curves = regions.iter().any(|region| matches!(region.shows, Shows::MMode | Shows::Spectrum));
        return if curves || !flows.is_empty() {
            Err(NotRead::NoTissue)
        } else {
            Ok(Areas::Unnamed(NoSize::OtherImage))
        };
    }
    let (mut named, mut not_read): (Vec<Area>, Vec<NotRead>) = (Vec::new(), Vec::new());
    for region in regions.iter().filter(|region| region.shows == Shows::Tissue) {
        let sector = sector(header, region);
        if flows.iter().any(|flow| overlap(flow.bounds, region.bounds)) {
            not_read.push(NotRead::ColourFlow);
        } else if sector.width < LEAST_SIDE || sector.height < LEAST_SIDE {
            not_read.push(NotRead::NoSector);
        } else {
            named.push(Area { sector, mm: scale(sector, region) });
        }
    }
    let named = without_twins(named);
    if named.is_empty() {
        let nothing = if flows.is_empty() { NotRead::NoTissue } else { NotRead::ColourFlow };
        return Err(not_read.into_iter().next().unwrap_or(nothing));
    }
    Ok(Areas::Named(named, not_read))
}

fn scale(sector: Sector, region: &Region) -> Result<[f64; 2], NoSize> {
    let mm = region.mm.ok_or(NoSize::NoScale)?;
    let longer = (sector.width as f64 * mm[0]).max(sector.height as f64 * mm[1]);
    if FIELD_MM.contains(&longer) { Ok(mm) } else { Err(NoSize::Implausible) }
}

fn sector(header: &Header, region: &Region) -> Sector {
    let [left, top, right, bottom] = region.bounds;
    let side = |pixels: u32| usize::try_from(pixels).unwrap_or(usize::MAX);
    let (right, bottom) = (right.min(header.columns), bottom.min(header.rows));
    Sector {
        x: side(left),
        y: side(top),
        width: side(right.saturating_sub(left)),
        height: side(bottom.saturating_sub(top)),
    }
}

fn pixels(sector: Sector) -> usize {
    sector.width * sector.height
}

/// A region within another one, or nearly the same again, shows the same tissue: the larger one is read. It keeps its scale
/// only if the other has the same, because a part of it may be shown enlarged.
fn without_twins(mut named: Vec<Area>) -> Vec<Area> {
    named.sort_by_key(|area| std::cmp::Reverse(pixels(area.sector)));
    let mut kept: Vec<Area> = Vec::new();
    for area in named {
        let Some(twin) = kept.iter_mut().find(|known| is_twin(known.sector, area.sector)) else {
            kept.push(area);
            continue;
        };
        if let (Ok(a), Ok(b)) = (twin.mm, area.mm)
            && (0..2).any(|axis| (a[axis] / b[axis] - 1.0).abs() > 0.01)
        {
            twin.mm = Err(NoSize::Implausible);
        }
    }
    kept
}

/// Do they share more than half of the smaller one?
fn is_twin(a: Sector, b: Sector) -> bool {
    let along = |a: [usize; 2], b: [usize; 2]| (a[0] + a[1]).min(b[0] + b[1]).saturating_sub(a[0].max(b[0]));
    let shared = along([a.x, a.width], [b.x, b.width]) * along([a.y, a.height], [b.y, b.height]);
    2 * shared > pixels(a).min(pixels(b))
}

fn overlap(a: [u32; 4], b: [u32; 4]) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(image_type: &str) -> Header {
        let image_type = image_type.split('\\').map(str::to_owned).collect();
        Header { columns: 800, rows: 600, image_type, ..Header::default() }
    }

    fn region(shows: Shows, bounds: [u32; 4]) -> Region {
        Region { shows, bounds, mm: Some([0.1, 0.1]) }
    }

    const PLAIN: &str = "ORIGINAL\\PRIMARY\\BREAST\\0001";
    const LEFT: [u32; 4] = [0, 50, 400, 550];
    const RIGHT: [u32; 4] = [400, 50, 801, 550];

    #[test]
    fn the_b_mode_areas_are_read_with_their_scale() {
        let both = [region(Shows::Tissue, LEFT), region(Shows::Tissue, RIGHT), region(Shows::Other, [0, 0, 800, 40])];
        let Ok(Areas::Named(named, rest)) = of(&header(PLAIN), &both) else { panic!() };
        assert_eq!(named.len(), 2);
        assert_eq!(named[1].sector, Sector { x: 400, y: 50, width: 400, height: 500 }, "counted from 1");
        assert_eq!((named[0].mm, rest.len()), (Ok([0.1, 0.1]), 0));
    }

    #[test]
    fn nothing_is_read_where_flow_is_shown_and_the_b_mode_beside_it_is() {
        let side_by_side = [
            region(Shows::Tissue, LEFT),
            region(Shows::Tissue, RIGHT),
            region(Shows::ColourFlow, [500, 100, 700, 300]),
        ];
        let Ok(Areas::Named(named, rest)) = of(&header(PLAIN), &side_by_side) else { panic!() };
        assert_eq!((named.len(), rest), (1, vec![NotRead::ColourFlow]));
        assert_eq!(of(&header(PLAIN), &side_by_side[1..]), Err(NotRead::ColourFlow));
        assert_eq!(of(&header(PLAIN), &side_by_side[2..]), Err(NotRead::ColourFlow));
        let curves = [region(Shows::MMode, LEFT), region(Shows::Spectrum, RIGHT)];
        assert_eq!(of(&header(PLAIN), &curves), Err(NotRead::NoTissue));
    }

    #[test]
    fn without_regions_the_image_type_forbids_and_otherwise_the_area_is_looked_for() {
        for (image_type, expected) in [
            (PLAIN, Ok(Areas::Unnamed(NoSize::NoScale))),
            ("ORIGINAL\\PRIMARY", Ok(Areas::Unnamed(NoSize::NoScale))),
            ("ORIGINAL\\PRIMARY\\BREAST\\nonsense", Ok(Areas::Unnamed(NoSize::NoScale))),
            ("ORIGINAL\\PRIMARY\\BREAST\\0011", Err(NotRead::ColourFlow)),
            ("ORIGINAL\\PRIMARY\\BREAST\\0100", Err(NotRead::ColourFlow)),
            ("ORIGINAL\\PRIMARY\\BREAST\\0041", Err(NotRead::Rendered)),
            ("ORIGINAL\\PRIMARY\\BREAST\\0002", Err(NotRead::NoTissue)),
            ("ORIGINAL\\PRIMARY\\BREAST\\0009", Ok(Areas::Unnamed(NoSize::NoScale))),
        ] {
            assert_eq!(of(&header(image_type), &[]), expected, "{image_type}");
        }
    }

    #[test]
    fn a_scale_that_no_breast_has_gives_no_size() {
        for (mm, expected) in [(0.1, Ok([0.1; 2])), (1e-4, Err(NoSize::Implausible)), (0.8, Err(NoSize::Implausible))] {
            let region = Region { mm: Some([mm; 2]), ..region(Shows::Tissue, LEFT) };
            let Ok(Areas::Named(named, _)) = of(&header(PLAIN), &[region]) else { panic!() };
            assert_eq!(named[0].mm, expected, "{mm}");
        }
    }

    #[test]
    fn flow_that_the_header_tells_of_without_a_usable_place_is_not_read() {
        let colour = "ORIGINAL\\PRIMARY\\BREAST\\0011";
        assert_eq!(of(&header(colour), &[region(Shows::Tissue, LEFT)]), Err(NotRead::ColourFlow));
        for bounds in [[700, 100, 900, 300], [500, 300, 400, 100], [0; 4]] {
            let regions = [region(Shows::Tissue, LEFT), region(Shows::ColourFlow, bounds)];
            assert_eq!(of(&header(PLAIN), &regions), Err(NotRead::ColourFlow), "{bounds:?}");
        }
        let scaled = [region(Shows::Tissue, [0, 0, 900, 300]), region(Shows::MMode, [0, 300, 800, 600])];
        assert_eq!(of(&header(PLAIN), &scaled), Err(NotRead::NoTissue), "the whole picture is half a curve");
    }

    #[test]
    fn tissue_that_two_regions_show_is_read_once_in_the_larger_one() {
        let inner =
            [region(Shows::Tissue, [50, 100, 350, 500]), region(Shows::Tissue, LEFT), region(Shows::Tissue, RIGHT)];
        let Ok(Areas::Named(named, _)) = of(&header(PLAIN), &inner) else { panic!() };
        let lefts: Vec<_> = named.iter().map(|area| (area.sector.x, area.sector.width)).collect();
        assert_eq!(lefts, [(0, 400), (400, 400)]);
        let over_two = [
            region(Shows::Tissue, [50, 100, 150, 200]),
            region(Shows::Tissue, [200, 100, 300, 200]),
            Region { mm: Some([0.2; 2]), ..region(Shows::Tissue, LEFT) },
        ];
        let Ok(Areas::Named(named, _)) = of(&header(PLAIN), &over_two) else { panic!() };
        assert_eq!((named.len(), named[0].mm), (1, Err(NoSize::Implausible)), "which scale holds where is not known");
        let touching = [region(Shows::Tissue, LEFT), region(Shows::Tissue, [300, 50, 800, 550])];
        let Ok(Areas::Named(named, _)) = of(&header(PLAIN), &touching) else { panic!() };
        assert_eq!(named.len(), 2, "a quarter is shared");
    }

    #[test]
    fn a_picture_that_was_cut_or_scaled_keeps_no_scale() {
        let other = [region(Shows::Tissue, [120, 60, 803, 519])];
        assert_eq!(of(&header(PLAIN), &other), Ok(Areas::Unnamed(NoSize::OtherImage)));
        let bar = [region(Shows::Tissue, LEFT), region(Shows::Other, [900, 900, 901, 901])];
        assert!(matches!(of(&header(PLAIN), &bar), Ok(Areas::Named(..))), "a bar outside is none of our business");
        let nowhere = [region(Shows::Tissue, [300, 60, 200, 519])];
        assert_eq!(of(&header(PLAIN), &nowhere), Ok(Areas::Unnamed(NoSize::OtherImage)));
    }
}
