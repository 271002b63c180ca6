//! Extents: what a network declares, and what it is given.

use super::{AccelFault, Error, Port, Tensor};

/// Whether extents fit those that a network declares, -1 for any.
pub(super) fn fits(have: &[i64], want: &[i64]) -> bool {
    have.len() == want.len() && have.iter().zip(want).all(|(have, want)| *want < 0 || have == want)
}

/// Extents as the libraries count them.
pub(super) fn signed(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|extent| i64::try_from(*extent).unwrap_or(i64::MAX)).collect()
}

/// # Errors
/// `AccelFault::BadInput` when number, extents or lengths do not fit what the network takes.
pub(super) fn check(inputs: &[Tensor], ports: &[Port]) -> Result<(), Error> {
    let bad = |why: String| Err(Error::new(AccelFault::BadInput, why));
    if inputs.len() != ports.len() {
        return bad(format!("{} inputs given, the network has {}", inputs.len(), ports.len()));
    }
    for (tensor, Port { name, shape }) in inputs.iter().zip(ports) {
        if !fits(&signed(&tensor.shape), shape) {
            return bad(format!("\"{name}\" is {:?}, the network wants {shape:?} (-1 is any)", tensor.shape));
        }
        let values = tensor.shape.iter().try_fold(1_usize, |product, extent| product.checked_mul(*extent));
        if values != Some(tensor.data.len()) {
            return bad(format!("\"{name}\" holds {} values for shape {:?}", tensor.data.len(), tensor.shape));
        }
    }
    Ok(())
}
