//! NumPy's `.npy` format, version 1.0, as far as golden files need it: `<f4`, C order.

use hal::Tensor;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// Values of one array: 256 MiB. A golden file is far smaller.
const MOST_VALUES: usize = 64 << 20;

/// # Errors
/// In plain words, when the bytes are not such an array.
pub fn read(bytes: &[u8]) -> Result<Tensor, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("not an npy file of version 1.0")?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or("cut off")?;
    let length = usize::from(u16::from_le_bytes(*length));
    let (header, data) = rest.split_at_checked(length).ok_or("cut off")?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is no text")?;
    if !header.contains("'descr': '<f4'") {
        return Err("its values are not 32-bit floats ('<f4')".into());
    }
    if !header.contains("'fortran_order': False") {
        return Err("its values are not in C order".into());
    }
    let shape = shape(header).ok_or("its shape cannot be read")?;
    let count = shape.iter().try_fold(1_usize, |product, n| product.checked_mul(*n));
    let count = count.filter(|count| *count <= MOST_VALUES).ok_or("it is too large")?;
    if data.len() != count * 4 {
        return Err(format!("it holds {} bytes where its shape {shape:?} needs {}", data.len(), count * 4));
    }
    let data = data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok(Tensor { shape, data })
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let inner = header.split_once("'shape': (")?.1.split_once(')')?.0;
    inner.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect()
}

/// As NumPy writes it.
#[cfg(any(test, feature = "development"))]
pub fn write(tensor: &Tensor) -> Vec<u8> {
    let extents: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", extents.join(", "));
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    // A header of a few axes is far shorter than 65,536 bytes.
    let [low, high, ..] = header.len().to_le_bytes();
    bytes.extend([low, high]);
    bytes.extend(header.bytes());
    bytes.extend(tensor.data.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_read_with_its_shape() {
        let tensor = Tensor { shape: vec![1, 2, 3], data: vec![0.0, 1.0, 2.0, 3.0, 4.0, -5.5] };
        assert_eq!(read(&write(&tensor)).unwrap(), tensor);
        let flat = Tensor { shape: vec![2], data: vec![1.0, 2.0] };
        assert_eq!(read(&write(&flat)).unwrap(), flat);
    }

    #[test]
    fn what_is_no_such_array_is_refused_in_words() {
        let good = write(&Tensor { shape: vec![2, 2], data: vec![1.0; 4] });
        let edit = |from: &str, to: &str| {
            let at = good.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
            let mut bytes = good.clone();
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            read(&bytes).unwrap_err()
        };
        assert!(edit("<f4", "<f8").contains("32-bit floats"));
        assert!(edit("False", "True ").contains("C order"));
        assert!(edit("(2, 2", "(2, 3").contains("needs 24"));
        assert!(edit("(2, 2", "(2, x").contains("shape"));
        assert!(read(&good[..good.len() - 1]).unwrap_err().contains("15 bytes"));
        assert!(read(b"PK").unwrap_err().contains("npy"));
        assert!(read(&good[..9]).unwrap_err().contains("cut off"));
    }
}
