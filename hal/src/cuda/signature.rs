//! What each kernel of a PTX text takes, read from the text itself: a call that does not fit is refused before it is made. The driver
//! would read whatever lies behind the arguments.

/// A kernel and the sizes of its parameters, bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub name: String,
    pub sizes: Vec<usize>,
}

impl Signature {
    /// Why a call with arguments of these sizes does not fit; `None` when it does.
    pub fn refusal(&self, sizes: &[usize]) -> Option<String> {
        let Self { name, sizes: own } = self;
        (own != sizes).then(|| format!("kernel {name}: called with {sizes:?} bytes, it takes {own:?}"))
    }
}

/// All kernels (`.entry`) of a text.
pub(super) fn all(ptx: &str) -> Vec<Signature> {
    ptx.split(".entry ").skip(1).filter_map(one).collect()
}

fn one(text: &str) -> Option<Signature> {
    let (name, rest) = text.split_once('(')?;
    let (parameters, _) = rest.split_once(')')?;
    let sizes = parameters.split(',').filter(|part| part.contains(".param")).map(size).collect::<Option<_>>()?;
    Some(Signature { name: name.trim().to_owned(), sizes })
}

/// `.param .u64 resample_param_1`: 8.
fn size(parameter: &str) -> Option<usize> {
    let kind = parameter.split_whitespace().find(|word| word.starts_with('.') && *word != ".param")?;
    let bits: usize = kind.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok()?;
    Some(bits / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_from_the_text() {
        let ptx = ".version 8.2\n.visible .entry a(\n\t.param .u64 a_param_0,\n\t.param .f32 a_param_1\n)\n{ ret; }\n\
                   .visible .entry b(\n\n)\n{ ret; }";
        let found = all(ptx);
        assert_eq!(found[0], Signature { name: "a".into(), sizes: vec![8, 4] });
        assert_eq!(found[1], Signature { name: "b".into(), sizes: vec![] });
        assert!(all("no text of a program").is_empty());
        assert_eq!(found[0].refusal(&[8, 4]), None);
        for wrong in [&[8, 8][..], &[8], &[8, 4, 4], &[4, 8]] {
            assert!(found[0].refusal(wrong).unwrap().contains("kernel a"), "{wrong:?}");
        }
    }
}
