//! What ONNX Runtime says when it fails, in words for people, and what kind of failure it was: there are hardly any codes, so the
//! words have to be read.

/// Longer messages are cut.
const LONGEST: usize = 300;

/// Before the message proper: source file, function and code of ONNX Runtime, for example
/// `/onnxruntime_src/.../x.cc:2043 onnxruntime::Provider& f() [ONNXRuntimeError] : 1 : FAIL : `.
const CODE: &str = "[ONNXRuntimeError] : ";

/// The first line, without what only a developer of ONNX Runtime can use; with the remedy where there is one.
pub(super) fn plain(message: &str) -> String {
    let line = message.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    let after_code = |at: usize| line[at + CODE.len()..].splitn(3, " : ").nth(2);
    let line = line.rfind(CODE).and_then(after_code).unwrap_or(line).trim();
    if let Some(library) = missing_library(line) {
        return format!(
            "{library} is missing; the libraries of CUDA and cuDNN must be where the loader looks for them"
        );
    }
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// `... with error: libcublasLt.so.13: cannot open shared object file: ...` -> `libcublasLt.so.13`.
fn missing_library(line: &str) -> Option<&str> {
    let before = line.split(": cannot open shared object file").next().filter(|before| before.len() < line.len())?;
    let name = before.rsplit([' ', '/']).next()?;
    name.contains(".so").then_some(name)
}

/// ONNX Runtime reports out-of-memory only in the message; there is no error code for it.
pub(super) fn is_memory(message: &str) -> bool {
    const WORDS: [&str; 7] = [
        "failed to allocate",
        "bad_alloc",
        "out of memory",
        "cudaerrormemoryallocation",
        "is smaller than requested bytes",
        // cuBLAS and cuDNN.
        "alloc_failed",
        "allocation_failed",
    ];
    let message = message.to_ascii_lowercase();
    WORDS.iter().any(|word| message.contains(word))
}

/// CUDA or a library of it failed: `CUDA failure 719: unspecified launch failure ; GPU=0 ; ...`.
pub(super) fn is_of_the_card(message: &str) -> bool {
    ["CUDA failure", "CUDNN failure", "CUDNN_FE failure", "CUBLAS failure"].iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named_with_the_remedy() {
        let said = "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 onnxruntime::Provider& \
                    onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library \
                    /usr/lib/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object \
                    file: No such file or directory\n";
        assert!(plain(said).starts_with("libcublasLt.so.13 is missing; "), "{}", plain(said));
        let itself = "Failed to load library /opt/libonnxruntime_providers_tensorrt.so with error: \
                      /opt/libonnxruntime_providers_tensorrt.so: cannot open shared object file: No such file";
        assert!(plain(itself).starts_with("libonnxruntime_providers_tensorrt.so is missing; "), "{}", plain(itself));
    }

    #[test]
    fn what_only_developers_can_use_is_left_out() {
        let said =
            "/src/cuda_call.cc:129 bool f() [ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0";
        assert_eq!(plain(said), "CUDA failure 2: out of memory ; GPU=0");
        assert_eq!(plain("\n  Invalid model : no graph\nmore"), "Invalid model : no graph");
        assert_eq!(plain(""), "no reason given");
        assert_eq!(plain(&"\u{e4}".repeat(400)).chars().count(), LONGEST + 3);
    }

    #[test]
    fn failures_of_memory_and_card_are_told_from_those_of_the_network() {
        for said in [
            "Failed to allocate memory for requested buffer of size 1048576",
            "CUDA failure 2: out of memory ; GPU=0",
            "Available memory of 0 is smaller than requested bytes of 256",
            "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
            "CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ; GPU=0",
        ] {
            assert!(is_memory(said), "{said}");
        }
        assert!(is_of_the_card("CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=x"));
        for said in ["Load model failed: Protobuf parsing failed.", "Unrecognized attribute: mode for operator Pad"] {
            assert!(!is_memory(said) && !is_of_the_card(said), "{said}");
        }
    }
}
