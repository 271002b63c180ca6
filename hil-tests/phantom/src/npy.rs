//! NumPy's `.npy` format, version 1.0: enough to hand volumes to a training script.

use std::io::{self, Write};
use std::path::Path;

/// Writes `bytes` (little endian, C order) as an array of `kind`, for example `<i2` or `|u1`.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, kind: &str, shape: &[usize], bytes: &[u8]) -> io::Result<()> {
    let extents: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({},), }}", extents.join(", "));
    // Magic, version and length take 10 bytes; the data must start at a multiple of 64.
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = io::BufWriter::new(std::fs::File::create(path)?);
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    file.write_all(bytes)?;
    file.flush()
}
