//! Tests of `jpeg2000`: what encoders write is accepted, what asks for gigabytes is refused, any bytes end in a verdict.

use super::*;
use proptest::prelude::*;

/// A codestream of headers only: a grey image, one COD, one empty tile-part.
fn headers(size: [u32; 2], tile: [u32; 2], layers: u16, levels: u8, precinct: Option<u8>) -> Vec<u8> {
    let mut bytes = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
    for value in [size[0], size[1], 0, 0, tile[0], tile[1], 0, 0] {
        bytes.extend(value.to_be_bytes());
    }
    bytes.extend([0, 1, 15, 1, 1]);
    bytes.extend(cod(layers, levels, precinct));
    bytes.extend([0xff, 0x90, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x93, 0xff, 0xd9]);
    bytes
}

fn cod(layers: u16, levels: u8, precinct: Option<u8>) -> Vec<u8> {
    let sizes = precinct.map_or(Vec::new(), |size| vec![size; usize::from(levels) + 1]);
    let length = u8::try_from(12 + sizes.len()).unwrap();
    let mut bytes = vec![0xff, 0x52, 0, length, u8::from(precinct.is_some()), 0];
    bytes.extend(layers.to_be_bytes());
    bytes.extend([0, levels, 4, 4, 0, 1]);
    bytes.extend(sizes);
    bytes
}

#[test]
fn what_encoders_write_is_accepted() {
    for (size, tile, layers, levels, precinct) in [
        ([512, 512], [512, 512], 1, 5, None),
        ([512, 512], [512, 512], 50, 5, None),
        ([4096, 4096], [256, 256], 1, 5, None),
        ([4096, 4096], [4096, 4096], 12, 6, Some(0x77)),
        ([64, 64], [64, 64], 1, 5, Some(0x66)),
        ([1, 1], [1, 1], 1, 0, None),
        ([6000, 5000], [6000, 5000], 1, 5, Some(0x88)),
    ] {
        assert_eq!(check(&headers(size, tile, layers, levels, precinct)), Ok(()), "{size:?} {tile:?}");
    }
}

#[test]
fn headers_that_ask_for_gigabytes_are_refused() {
    for (size, tile, layers, levels, precinct, kind) in [
        // The bombs of the attack: tiny precincts on 32 levels, 65,000 tiles, 65,535 layers.
        ([512, 512], [512, 512], 1, 32, Some(0x00), "blocks"),
        ([8000, 8000], [8000, 8000], 1, 5, Some(0x11), "blocks"),
        ([512, 512], [2, 2], 1, 5, None, "tiles"),
        ([512, 512], [512, 512], u16::MAX, 5, None, "layers"),
    ] {
        let found = match check(&headers(size, tile, layers, levels, precinct)) {
            Err(Excess::Blocks(_)) => "blocks",
            Err(Excess::Tiles(_)) => "tiles",
            Err(Excess::Layers(_)) => "layers",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, kind);
    }
}

#[test]
fn a_tile_that_replaces_the_headers_of_the_image_is_counted() {
    let mut bytes = headers([8000, 8000], [8000, 8000], 1, 5, None);
    assert_eq!(check(&bytes), Ok(()));
    let data = bytes.len() - 4;
    let replaced = cod(1, 5, Some(0x00));
    bytes.splice(data..data, replaced);
    assert!(matches!(check(&bytes), Err(Excess::Blocks(_))));
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = check(&bytes);
    }

    #[test]
    fn mutated_headers_end_in_a_verdict(
        size in any::<[u32; 2]>(), tile in any::<[u32; 2]>(), layers in any::<u16>(), levels in 0u8..33,
        precinct in proptest::option::of(any::<u8>()), at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let mut bytes = headers(size, tile, layers, levels, precinct);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = check(&bytes);
    }
}
