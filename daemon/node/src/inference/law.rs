//! The one shape that an answer may have for a given input: from the extents that the network declares and, where it leaves one
//! open, from one known pair of input and output (a package's golden files). Pure.

use hal::accel::Port;

/// Values of one answer; an answer that would be larger is not asked for.
pub const MOST_VALUES: usize = 1 << 28;

/// Extents of an input and of the output that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub input: Vec<usize>,
    pub output: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Is(usize),
    /// As many times the same axis of the input as `of.0` is of `of.1`.
    Share(usize, usize),
}

/// How the shape of one output follows from that of the first input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Law(Vec<Extent>);

impl Law {
    /// # Errors
    /// In words, when the shape does not follow: an open extent, and neither an example nor the same axis of the input.
    pub fn of(input: &Port, output: &Port, example: Option<&Example>) -> Result<Self, String> {
        let rank = output.shape.len();
        if let Some(example) = example
            && (example.output.len() != rank || example.input.len() != input.shape.len())
        {
            return Err(format!("{:?} has {rank} axes, that of the package has {}", output.name, example.output.len()));
        }
        let extent = |axis: usize| match (usize::try_from(output.shape[axis]), example) {
            (Ok(declared), _) => Ok(Extent::Is(declared)),
            (Err(_), Some(one)) if axis < one.input.len() && one.input[axis] > 0 => {
                Ok(Extent::Share(one.output[axis], one.input[axis]))
            }
            (Err(_), None) if input.shape.len() == rank => Ok(Extent::Share(1, 1)),
            (Err(_), _) => {
                Err(format!("the extent of axis {axis} of {:?} does not follow from the input", output.name))
            }
        };
        (0..rank).map(extent).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// The shape for an input; `None` when there is none, or it is larger than any answer may be.
    pub fn shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        let extents = self.0.iter().enumerate().map(|(axis, extent)| match *extent {
            Extent::Is(n) => Some(n),
            Extent::Share(many, of) => {
                let scaled = input.get(axis)?.checked_mul(many)?;
                (scaled % of == 0).then_some(scaled / of)
            }
        });
        let shape = extents.collect::<Option<Vec<_>>>()?;
        values(&shape).map(|_| shape)
    }
}

/// Values of a tensor of this shape, if it is not too large.
pub fn values(shape: &[usize]) -> Option<usize> {
    let count = shape.iter().try_fold(1_usize, |count, extent| count.checked_mul(*extent))?;
    (count <= MOST_VALUES).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(shape: &[i64]) -> Port {
        Port { name: "x".into(), shape: shape.to_vec() }
    }

    #[test]
    fn an_answer_has_one_shape_only() {
        let patch = Law::of(&port(&[-1, 3, -1, -1]), &port(&[-1, 10, -1, -1]), None).unwrap();
        assert_eq!(patch.shape(&[1, 3, 64, 32]), Some(vec![1, 10, 64, 32]));
        let example = Example { input: vec![1, 2, 64, 64], output: vec![1, 4, 16, 32] };
        let strided = Law::of(&port(&[-1, 2, -1, -1]), &port(&[-1, 4, -1, -1]), Some(&example)).unwrap();
        assert_eq!(strided.shape(&[1, 2, 128, 64]), Some(vec![1, 4, 32, 32]));
        assert_eq!(strided.shape(&[1, 2, 66, 64]), None, "no whole number");
        assert_eq!(patch.shape(&[1, 3, 1 << 20, 1 << 20]), None, "too large");
        assert_eq!(patch.shape(&[usize::MAX, 3, 2, 2]), None, "no overflow");
    }

    #[test]
    fn a_shape_that_does_not_follow_is_no_law() {
        assert!(Law::of(&port(&[-1, 3]), &port(&[-1]), None).unwrap_err().contains("axis 0"));
        let example = Example { input: vec![1, 3], output: vec![1, 2] };
        assert!(Law::of(&port(&[-1, 3]), &port(&[-1]), Some(&example)).is_err());
    }
}
