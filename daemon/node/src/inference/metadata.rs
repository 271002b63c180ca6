//! What a server says of itself and of a model, and whether that model is the network whose hash we know. Pure.
//!
//! A server that runs any file cannot prove which one it runs: it says so, and whoever set it up has said so to it. Three places are
//! read, the first that has a hash counts: `parameters.sha256` of the model's metadata (Scanside, mlserver), the model's version,
//! the model's name (Triton, KServe: `ct-chest-sha256-` and the hash). What shows that it is true is the golden run that follows.

use hal::accel::{Port, Signature};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{HostError, HostFault};
use super::wire::{self, FP32};

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// Answer to `GET /v2`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Server {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub extensions: Vec<String>,
}

impl Server {
    /// `triton 2.59.0`, short.
    pub fn words(&self) -> String {
        wire::short(format!("{} {}", self.name, self.version).trim())
    }
}

/// Answer to `GET /v2/models/NAME`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Model {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub versions: Option<Vec<String>>,
    #[serde(default)]
    pub platform: String,
    #[serde(default)]
    pub inputs: Option<Vec<Tensor>>,
    #[serde(default)]
    pub outputs: Option<Vec<Tensor>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
}

/// One input or output in the metadata of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tensor {
    pub name: String,
    pub datatype: String,
    pub shape: Vec<i64>,
}

impl Model {
    /// The hash that the server states, and where it states it.
    pub fn stated(&self) -> Option<(String, &'static str)> {
        let parameter = self.parameters.as_ref().and_then(|all| all.get("sha256"));
        // Triton writes parameters as objects.
        let parameter = parameter.and_then(|one| one.as_str().or_else(|| one.get("string_value")?.as_str()));
        if let Some(hash) = parameter {
            return Some((hash.trim().to_ascii_lowercase(), "parameters"));
        }
        let mut versions = self.versions.iter().flatten();
        let version = versions.find_map(|version| hash_in(version));
        version.map(|hash| (hash, "version")).or_else(|| hash_in(&self.name).map(|hash| (hash, "name")))
    }

    /// The version that has this hash in its name, where the server lists it.
    pub fn version_of(&self, sha256: &str) -> Option<&str> {
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
        let mut versions = self.versions.iter().flatten().filter(|version| plain(version));
        versions.find(|version| hash_in(version).as_deref() == Some(sha256)).map(String::as_str)
    }

    /// Whether it is the network with this hash, and has what that takes and gives.
    ///
    /// # Errors
    /// `AnotherHash`, `AnotherSignature`.
    pub fn check(&self, sha256: &str, known: Option<&Signature>) -> Result<Signature, HostError> {
        let name = wire::short(&self.name);
        match self.stated() {
            Some((hash, _)) if hash == sha256 => {}
            // One of several versions, which is then asked for by name.
            Some((_, "version")) if self.version_of(sha256).is_some() => {}
            Some((hash, place)) => {
                let said = format!(
                    "its model {name:?} is another network: its {place} says sha256 {}, the package's is {sha256}",
                    wire::short(&hash)
                );
                return Err(HostError::new(HostFault::AnotherHash, said));
            }
            None => {
                let said = format!(
                    "its model {name:?} does not say which network it is: sha256 {sha256} must be in its parameters (sha256), \
                     version or name"
                );
                return Err(HostError::new(HostFault::AnotherHash, said));
            }
        }
        let another = |said: String| HostError::new(HostFault::AnotherSignature, format!("its model {name:?} {said}"));
        let ports = |which: &str, own: &Option<Vec<Tensor>>, known: Option<&[Port]>| {
            let own = own.as_deref().unwrap_or_default();
            if own.is_empty() {
                return Err(another(format!("names no {which}")));
            }
            if let Some(odd) = own.iter().find(|one| one.datatype != FP32 || one.shape.len() > 8) {
                let said =
                    format!("has {:?} of {} {:?}", wire::short(&odd.name), wire::short(&odd.datatype), odd.shape);
                return Err(another(format!("{said}, not {FP32}")));
            }
            let Some(known) = known else {
                return Ok(own.iter().map(|one| Port { name: one.name.clone(), shape: one.shape.clone() }).collect());
            };
            if own.len() != known.len() {
                return Err(another(format!("has {} {which}, the network has {}", own.len(), known.len())));
            }
            // In the order of the network; a server may have another.
            let port = |port: &Port| match own.iter().find(|one| one.name == port.name) {
                Some(one) if fits(&one.shape, &port.shape) => Ok(port.clone()),
                Some(one) => {
                    Err(another(format!("has {:?} of shape {:?}, the network {:?}", port.name, one.shape, port.shape)))
                }
                None => Err(another(format!("has no {:?} among its {which}", port.name))),
            };
            known.iter().map(port).collect::<Result<Vec<_>, _>>()
        };
        Ok(Signature {
            inputs: ports("inputs", &self.inputs, known.map(|known| known.inputs.as_slice()))?,
            outputs: ports("outputs", &self.outputs, known.map(|known| known.outputs.as_slice()))?,
        })
    }
}

/// Whether two declarations of extents can be of one tensor.
fn fits(one: &[i64], other: &[i64]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| *a < 0 || *b < 0 || a == b)
}

/// The last run of exactly 64 hexadecimal digits.
fn hash_in(text: &str) -> Option<String> {
    let mut runs = text.split(|c: char| !c.is_ascii_hexdigit());
    runs.rfind(|run| run.len() == DIGITS).map(str::to_ascii_lowercase)
}

/// The name by which a server that has no other place for a hash offers a package's network.
pub fn name_with_hash(package: &str, sha256: &str) -> String {
    format!("{package}-sha256-{sha256}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn model(name: &str, version: &str, parameters: &str) -> Model {
        let text = format!(
            r#"{{"name":"{name}","versions":["{version}"],"platform":"onnxruntime_onnx","parameters":{parameters},
                "inputs":[{{"name":"image","datatype":"FP32","shape":[-1,3,96]}}],
                "outputs":[{{"name":"probability","datatype":"FP32","shape":[-1,10,96]}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn known(shape: &[i64]) -> Signature {
        let port = |name: &str, shape: &[i64]| vec![Port { name: name.into(), shape: shape.to_vec() }];
        Signature { inputs: port("image", shape), outputs: port("probability", &[-1, 10, -1]) }
    }

    #[test]
    fn the_hash_is_found_where_each_server_can_say_it() {
        for one in [
            model("ct-chest", "1", &format!(r#"{{"sha256":"{HASH}"}}"#)),
            model("ct-chest", "1", &format!(r#"{{"sha256":{{"string_value":"{}"}}}}"#, HASH.to_uppercase())),
            model("ct-chest", &format!("0.4.2+{HASH}"), "null"),
            model(&name_with_hash("ct-chest", HASH), "1", "{}"),
        ] {
            assert!(one.check(HASH, Some(&known(&[-1, 3, -1]))).is_ok(), "{one:?}");
            assert_eq!(one.check(OTHER, None).unwrap_err().kind(), HostFault::AnotherHash);
        }
    }

    #[test]
    fn a_model_without_the_right_hash_is_never_used() {
        for one in [
            model("ct-chest", "1", "null"),
            model("ct-chest", "1", &format!(r#"{{"sha256":"{OTHER}"}}"#)),
            model("ct-chest", &HASH[1..], "null"),
            model(&format!("ct-chest-{HASH}0"), "1", "null"),
            // What says the one thing and the other is another.
            model(&name_with_hash("ct-chest", HASH), "1", &format!(r#"{{"sha256":"{OTHER}"}}"#)),
        ] {
            let error = one.check(HASH, None).unwrap_err();
            assert_eq!(error.kind(), HostFault::AnotherHash, "{error}");
            assert!(error.to_string().contains(HASH), "what is wanted is said: {error}");
        }
    }

    #[test]
    fn names_shapes_and_types_are_those_of_the_network() {
        let one = model("m", HASH, "null");
        assert!(one.check(HASH, Some(&known(&[1, 3, 96]))).is_ok());
        for shape in [&[-1, 2, 96][..], &[-1, 3], &[-1, 3, 64]] {
            let error = one.check(HASH, Some(&known(shape))).unwrap_err();
            assert_eq!(error.kind(), HostFault::AnotherSignature, "{shape:?}: {error}");
        }
        let mut other = known(&[1, 3, 96]);
        other.outputs[0].name = "mask".into();
        assert!(one.check(HASH, Some(&other)).unwrap_err().to_string().contains("mask"));
        let mut half = one.clone();
        half.inputs.as_mut().unwrap()[0].datatype = "FP16".into();
        assert!(half.check(HASH, None).unwrap_err().to_string().contains("FP16"));
        half.inputs = None;
        assert_eq!(half.check(HASH, None).unwrap_err().kind(), HostFault::AnotherSignature);
    }
}
