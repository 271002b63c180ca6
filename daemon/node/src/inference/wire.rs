//! Requests and answers of `infer` as bytes: a header in JSON, followed by the tensors' bytes (little endian, row-major) where the
//! binary tensor data extension is used, else with the values in it. Pure; both sides use it.

use std::fmt;

use hal::Tensor;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::law;

/// The one data type of our networks.
pub const FP32: &str = "FP32";
/// Tensors in one message.
const MOST_TENSORS: usize = 16;
/// Axes of one tensor.
const MOST_AXES: usize = 8;
/// Lists in lists, for values that come nested.
const DEEPEST: usize = MOST_AXES;

/// A message: bytes, of which the first are JSON. `header`: how many, where tensors follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub header: Option<usize>,
    pub bytes: Vec<u8>,
}

/// A tensor with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    pub name: String,
    pub tensor: Tensor,
}

/// What a caller of the server wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub id: Option<String>,
    pub inputs: Vec<Named>,
    /// Names and whether as bytes; empty for all outputs.
    pub outputs: Vec<(String, bool)>,
    /// All outputs as bytes, where none is named.
    pub is_binary: bool,
}

/// Which model a host says that has answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Says {
    pub model: Option<String>,
    pub version: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    id: Option<String>,
    error: Option<String>,
    model_name: Option<String>,
    model_version: Option<String>,
    #[serde(default, deserialize_with = "few")]
    inputs: Vec<Entry>,
    #[serde(default, deserialize_with = "few")]
    outputs: Vec<Entry>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    shape: Vec<i64>,
    #[serde(default)]
    datatype: String,
    parameters: Option<Parameters>,
    data: Option<Flat>,
}

#[derive(Deserialize, Default)]
struct Parameters {
    binary_data_size: Option<u64>,
    binary_data: Option<bool>,
    binary_data_output: Option<bool>,
}

/// The bytes of a request for all `outputs`.
pub fn request(inputs: &[Named], outputs: &[String], is_binary: bool) -> Message {
    let wanted: Vec<Value> = outputs
        .iter()
        .map(|name| json!({ "name": name, "parameters": { "binary_data": is_binary } }))
        .map(|mut one| {
            if !is_binary {
                one.as_object_mut().map(|one| one.remove("parameters"));
            }
            one
        })
        .collect();
    written(json!({ "outputs": wanted }), "inputs", inputs.iter().map(|one| (one, is_binary)))
}

/// The bytes of an answer. `binary` says of each output whether its bytes follow.
pub fn answer(model: &str, version: &str, id: Option<&str>, outputs: &[Named], binary: &[bool]) -> Message {
    let mut header = json!({ "model_name": model, "model_version": version });
    if let Some(id) = id {
        header["id"] = id.into();
    }
    written(header, "outputs", outputs.iter().zip(binary.iter().copied()))
}

fn written<'a>(mut header: Value, key: &str, tensors: impl Iterator<Item = (&'a Named, bool)>) -> Message {
    header[key] = Value::Array(Vec::new());
    let mut bytes = header.to_string().into_bytes();
    // The list is the last key but for those behind it in the alphabet; it is filled where it stands.
    let place = format!("\"{key}\":[");
    let at = bytes.windows(place.len()).position(|some| some == place.as_bytes()).unwrap_or_default() + place.len();
    let rest = bytes.split_off(at);
    let (mut tail, mut follows) = (Vec::new(), false);
    for (number, (Named { name, tensor }, is_binary)) in tensors.enumerate() {
        let mut entry = json!({ "name": name, "shape": tensor.shape, "datatype": FP32 });
        if number > 0 {
            bytes.push(b',');
        }
        if is_binary {
            follows = true;
            entry["parameters"] = json!({ "binary_data_size": tensor.data.len() * 4 });
            bytes.extend(entry.to_string().into_bytes());
            tail.reserve(tensor.data.len() * 4);
            tail.extend(tensor.data.iter().flat_map(|value| value.to_le_bytes()));
            continue;
        }
        let mut open = entry.to_string().into_bytes();
        open.pop();
        bytes.extend(open);
        bytes.extend(b",\"data\":[");
        values(&mut bytes, &tensor.data);
        bytes.extend(b"]}");
    }
    bytes.extend(rest);
    let length = bytes.len();
    bytes.append(&mut tail);
    Message { header: follows.then_some(length), bytes }
}

/// Values one by one, without a tree of them; what is no number is null, as everywhere in JSON.
fn values(bytes: &mut Vec<u8>, data: &[f32]) {
    for (number, value) in data.iter().enumerate() {
        if number > 0 {
            bytes.push(b',');
        }
        // Nothing can fail: it is written to memory.
        let _ = serde_json::to_writer(&mut *bytes, value);
    }
}

/// Reads an answer: which model has answered, and the outputs that were `expected`, by name and shape, in that order, and nothing but
/// numbers.
///
/// # Errors
/// In words: what of it is not as expected.
pub fn read_answer(
    header: Option<usize>,
    body: &[u8],
    expected: &[(String, Vec<usize>)],
) -> Result<(Says, Vec<Tensor>), String> {
    let (head, tail) = split(header, body)?;
    let parsed: Header =
        serde_json::from_slice(head).map_err(|error| format!("no answer of the protocol ({error})"))?;
    let says = Says { model: parsed.model_name, version: parsed.model_version };
    if let Some(error) = parsed.error {
        return Err(format!("an error: {}", short(&error)));
    }
    let mut outputs = tensors(parsed.outputs, tail)?;
    let tensors = expected
        .iter()
        .map(|(name, shape)| {
            let at = outputs.iter().position(|one| one.name == *name).ok_or_else(|| format!("no {name:?} in it"))?;
            let tensor = outputs.swap_remove(at).tensor;
            if tensor.shape != *shape {
                return Err(format!("{name:?} of shape {:?} where {shape:?} was due", tensor.shape));
            }
            if let Some(odd) = tensor.data.iter().find(|value| !value.is_finite()) {
                return Err(format!("{name:?} has a value that is no number ({odd})"));
            }
            Ok(tensor)
        })
        .collect::<Result<Vec<_>, String>>()?;
    Ok((says, tensors))
}

/// Reads a request of a caller.
///
/// # Errors
/// In words, for the caller.
pub fn read_request(header: Option<usize>, body: &[u8]) -> Result<Request, String> {
    let (head, tail) = split(header, body)?;
    let parsed: Header =
        serde_json::from_slice(head).map_err(|error| format!("no request of the protocol: {error}"))?;
    if parsed.outputs.len() > MOST_TENSORS {
        return Err(format!("more than {MOST_TENSORS} outputs"));
    }
    let is_binary = parsed.parameters.unwrap_or_default().binary_data_output.unwrap_or(false);
    let as_bytes = |entry: &Entry| entry.parameters.as_ref().and_then(|one| one.binary_data).unwrap_or(is_binary);
    let outputs = parsed.outputs.iter().map(|entry| (entry.name.clone(), as_bytes(entry))).collect();
    let id = parsed.id.map(|id| id.chars().take(128).collect());
    Ok(Request { id, inputs: tensors(parsed.inputs, tail)?, outputs, is_binary })
}

fn split(header: Option<usize>, body: &[u8]) -> Result<(&[u8], &[u8]), String> {
    match header {
        None => Ok((body, &[])),
        Some(length) => body
            .split_at_checked(length)
            .ok_or_else(|| format!("its header should have {length} bytes, and all of it has {}", body.len())),
    }
}

fn tensors(entries: Vec<Entry>, mut tail: &[u8]) -> Result<Vec<Named>, String> {
    if entries.len() > MOST_TENSORS {
        return Err(format!("more than {MOST_TENSORS} tensors"));
    }
    let mut all = Vec::with_capacity(entries.len());
    for entry in entries {
        let name = short(&entry.name);
        if entry.datatype != FP32 {
            return Err(format!("{name:?} is {:?}, not {FP32}", short(&entry.datatype)));
        }
        if entry.shape.len() > MOST_AXES {
            return Err(format!("{name:?} has more than {MOST_AXES} axes"));
        }
        let shape = entry.shape.iter().map(|n| usize::try_from(*n)).collect::<Result<Vec<_>, _>>();
        let count = shape.as_ref().ok().and_then(|shape| law::values(shape));
        let (Ok(shape), Some(count)) = (shape, count) else {
            return Err(format!("{name:?} has shape {:?}", entry.shape));
        };
        let size = entry.parameters.and_then(|parameters| parameters.binary_data_size);
        let data = match (size, entry.data) {
            (Some(size), None) => {
                let length = usize::try_from(size).ok().filter(|length| *length == count * 4);
                let Some((own, rest)) = length.and_then(|length| tail.split_at_checked(length)) else {
                    return Err(format!("{name:?} of shape {shape:?} with {size} bytes, {} left", tail.len()));
                };
                tail = rest;
                own.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
            }
            (None, Some(Flat(data))) => data,
            _ => return Err(format!("{name:?} has no values, or has them twice")),
        };
        if data.len() != count {
            return Err(format!("{name:?} holds {} values for shape {shape:?}", data.len()));
        }
        all.push(Named { name: entry.name, tensor: Tensor { shape, data } });
    }
    if tail.is_empty() { Ok(all) } else { Err(format!("{} bytes belong to no tensor", tail.len())) }
}

/// A peer's words, for a message.
pub(crate) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(160).collect()
}

/// Tensors, no more than may be: their list is not read further.
fn few<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Entry>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<Entry>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{MOST_TENSORS} tensors at most")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Entry>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = list.next_element()? {
                if all.len() == MOST_TENSORS {
                    return Err(serde::de::Error::custom(format!("more than {MOST_TENSORS} tensors")));
                }
                all.push(one);
            }
            Ok(all)
        }
    }
    from.deserialize_seq(Few)
}

/// Numbers, in one list or in lists of lists.
struct Flat(Vec<f32>);

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut values = Vec::new();
        Level { into: &mut values, depth: 0 }.deserialize(from)?;
        Ok(Self(values))
    }
}

struct Level<'a> {
    into: &'a mut Vec<f32>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers")
    }

    #[allow(clippy::cast_possible_truncation)] // to the nearest f32, which may be infinite
    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.into.push(value as f32);
        Ok(())
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.into.push(value as f32);
        Ok(())
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.into.push(value as f32);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.depth >= DEEPEST {
            return Err(serde::de::Error::custom("lists in lists without end"));
        }
        while list.next_element_seed(Level { into: self.into, depth: self.depth + 1 })?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image() -> Named {
        Named { name: "image".into(), tensor: Tensor { shape: vec![2, 2], data: vec![0.1, -1.5, 3e30, 0.0] } }
    }

    fn due() -> Vec<(String, Vec<usize>)> {
        vec![("image".into(), vec![2, 2])]
    }

    #[test]
    fn tensors_come_back_bit_by_bit_as_bytes_and_as_json() {
        for is_binary in [true, false] {
            let asked = request(&[image()], &["y".into()], is_binary);
            let read = read_request(asked.header, &asked.bytes).unwrap();
            assert_eq!((asked.header.is_some(), read.inputs.as_slice()), (is_binary, [image()].as_slice()));
            assert_eq!(read.outputs, [("y".to_owned(), is_binary)]);
            let given = answer("m", "1", Some("7"), &[image()], &[is_binary]);
            let says = Says { model: Some("m".into()), version: Some("1".into()) };
            assert_eq!(read_answer(given.header, &given.bytes, &due()).unwrap(), (says, vec![image().tensor]));
        }
    }

    #[test]
    fn values_may_come_in_lists_of_lists() {
        let body = br#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2.5],[-3,4]]}]}"#;
        assert_eq!(read_request(None, body).unwrap().inputs[0].tensor.data, [1.0, 2.5, -3.0, 4.0]);
        let deep = format!(r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":{}"#, "[".repeat(100_000));
        assert!(read_request(None, deep.as_bytes()).is_err());
    }

    /// Promise: many small tensors in one message take no memory: the list is not read to its end.
    #[test]
    fn a_message_of_more_tensors_than_may_be_is_read_no_further() {
        let many = vec![r#"{"name":"x","shape":[1],"datatype":"FP32","data":[1]}"#; MOST_TENSORS + 1].join(",");
        // What comes behind would be no JSON at all.
        for (key, read) in [("inputs", true), ("outputs", false)] {
            let body = format!(r#"{{"{key}":[{many},nonsense"#);
            let why = match read {
                true => read_request(None, body.as_bytes()).unwrap_err(),
                false => read_answer(None, body.as_bytes(), &due()).unwrap_err(),
            };
            assert!(why.contains("more than 16 tensors"), "{why}");
        }
    }

    #[test]
    fn several_tensors_of_both_kinds_are_written_in_their_order() {
        let other = Named { name: "second".into(), tensor: Tensor { shape: vec![1], data: vec![7.5] } };
        let given = answer("m", "1", Some("7"), &[image(), other.clone()], &[false, true]);
        let expected = vec![("second".into(), vec![1]), ("image".into(), vec![2, 2])];
        let (_, read) = read_answer(given.header, &given.bytes, &expected).unwrap();
        assert_eq!(read, [other.tensor, image().tensor]);
        let none = answer("m", "1", None, &[], &[]);
        assert!(read_answer(None, &none.bytes, &[]).is_ok());
    }

    #[test]
    fn an_answer_that_is_not_as_expected_is_none() {
        let whole = answer("m", "1", None, &[image()], &[true]);
        let refused = |header, bytes: &[u8]| read_answer(header, bytes, &due()).unwrap_err();
        let length = whole.header.unwrap();
        for header in [None, Some(0), Some(length - 1), Some(length + 4), Some(usize::MAX)] {
            refused(header, &whole.bytes);
        }
        refused(whole.header, &whole.bytes[..whole.bytes.len() - 4]);
        assert!(refused(whole.header, &[whole.bytes.as_slice(), &[0; 4]].concat()).contains("belong to no tensor"));
        let other =
            |tensor: Tensor, name: &str| answer("m", "1", None, &[Named { name: name.into(), tensor }], &[true]);
        for (tensor, name, word) in [
            (Tensor { shape: vec![4], data: vec![0.0; 4] }, "image", "was due"),
            (Tensor { shape: vec![2, 2], data: vec![0.0, f32::NAN, 0.0, 0.0] }, "image", "no number"),
            (Tensor { shape: vec![2, 2], data: vec![0.0, f32::INFINITY, 0.0, 0.0] }, "image", "no number"),
            (Tensor { shape: vec![2, 2], data: vec![0.0; 4] }, "mask", "no \"image\""),
        ] {
            let said = other(tensor, name);
            assert!(refused(said.header, &said.bytes).contains(word));
        }
        for (json, word) in [
            (r#"{"error":"no\u0007 such model"}"#, "an error: no such model"),
            (r#"{"outputs":[{"name":"image","shape":[2,2],"datatype":"FP64","data":[0,0,0,0]}]}"#, "FP64"),
            (r#"{"outputs":[{"name":"image","shape":[2,2],"datatype":"FP32","data":[0,0,0]}]}"#, "3 values"),
            (r#"{"outputs":[{"name":"image","shape":[2,2],"datatype":"FP32","data":[0,0,0,NaN]}]}"#, "no answer"),
            (r#"{"outputs":[{"name":"image","shape":[2,2],"datatype":"FP32","data":[0,0,0,1e300]}]}"#, "no number"),
            (r#"{"outputs":[{"name":"image","shape":[-1,2],"datatype":"FP32","data":[]}]}"#, "shape"),
            (r#"{"outputs":[{"name":"image","shape":[4294967296,4294967296],"datatype":"FP32","data":[]}]}"#, "shape"),
            (r#"{"outputs":[{"name":"image","shape":[2,2],"datatype":"FP32"}]}"#, "no values"),
            ("<html>", "no answer"),
            ("{}", "no \"image\""),
        ] {
            let said = refused(None, json.as_bytes());
            assert!(said.contains(word), "{json}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall_over(header in proptest::option::of(0_usize..200), body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_answer(header, &body, &due());
            let _ = read_request(header, &body);
        }
    }
}
