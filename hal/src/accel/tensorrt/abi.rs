//! Where TensorRT's functions stand. Its interfaces are C++ classes, which is to say tables of functions; between versions functions
//! come and go, and the rest change their places. This file is those places, and which of its columns a library has.
//!
//! The numbers are those of NVIDIA's headers: `hil-tests/tensorrt/places.cpp` prints them (TensorRT for RTX 1.3 to 1.7 and TensorRT 11.4
//! with every `make gpu-check`, 10.1 to 10.16 and 11.0 to 11.1 when this was written). Within 10 and 11 NVIDIA keeps them; TensorRT
//! for RTX is 1.x and has changed them, so that only known versions of it are used.

use std::fmt;

/// Not in this version.
const NONE: usize = usize::MAX;

/// A version of the library: `10.3.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl Version {
    /// As `getInferLibVersion` tells it: 100300 is 10.3.0, 10701 is 1.7.1.
    pub fn of(number: i32) -> Self {
        let number = u32::try_from(number).unwrap_or(0);
        Self { major: number / 10_000, minor: number / 100 % 100, patch: number % 100 }
    }

    /// TensorRT for RTX, the library for desktop cards, counts from 1.
    pub fn is_rtx(self) -> bool {
        self.major == 1
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.is_rtx() { "TensorRT for RTX" } else { "TensorRT" };
        write!(f, "{of} {}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Versions that have the same places: a column of the table below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// TensorRT 10, of JetPack 6.
    Ten,
    /// TensorRT 11, of JetPack 7.2.
    Eleven,
    /// TensorRT for RTX 1.3 and 1.4.
    OldRtx,
    /// TensorRT for RTX 1.5 to 1.7.
    Rtx,
}

impl Family {
    /// # Errors
    /// Why this version is not used, in words.
    pub fn of(version: Version) -> Result<Self, String> {
        match (version.major, version.minor) {
            (10, 1..) => Ok(Self::Ten),
            (11, _) => Ok(Self::Eleven),
            (1, 3..=4) => Ok(Self::OldRtx),
            (1, 5..=7) => Ok(Self::Rtx),
            _ => Err(format!(
                "{version} is not known here; known are TensorRT 10.1 to 11 and TensorRT for RTX 1.3 to 1.7"
            )),
        }
    }

    /// `1 << NetworkDefinitionCreationFlag::kSTRONGLY_TYPED`: every tensor has the type that the network gives it.
    pub fn strongly_typed(self) -> u32 {
        match self {
            Self::Ten | Self::OldRtx => 1 << 1,
            Self::Eleven | Self::Rtx => 1 << 0,
        }
    }

    /// Whether an engine can be built for another card than the one that is here, or without any.
    pub fn builds_for_others(self) -> bool {
        matches!(self, Self::OldRtx | Self::Rtx)
    }

    pub fn places(self) -> Places {
        match self {
            Self::Ten => Places::column(0),
            Self::Eleven => Places::column(1),
            Self::OldRtx => Places::column(2),
            Self::Rtx => Places::column(3),
        }
    }
}

macro_rules! places {
    ($($name:ident = $column:expr,)*) => {
        /// The place of each function in its class's table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Places {
            $(pub $name: usize,)*
        }

        impl Places {
            fn column(number: usize) -> Self {
                Self { $($name: $column[number],)* }
            }

            /// Names and places, as `places.cpp` prints them.
            pub fn rows(&self) -> Vec<(&'static str, Option<usize>)> {
                vec![$((stringify!($name), Some(self.$name).filter(|place| *place != NONE)),)*]
            }
        }
    };
}

places! {
    //                        10.x  11.x  RTX<1.5  RTX
    logger_log              = [0,    4,    0,    4],
    progress_start          = [4,    4,    4,    4],
    progress_step           = [5,    5,    5,    5],
    progress_finish         = [6,    6,    6,    6],
    memory_data             = [2,    2,    2,    2],
    memory_size             = [3,    3,    3,    3],
    builder_config          = [7,    5,    7,    5],
    builder_network         = [8,    6,    8,    6],
    builder_profile         = [9,    7,    9,    7],
    builder_build           = [14,   11,   14,   11],
    network_layers          = [12,   12,   12,   12],
    network_layer           = [13,   13,   13,   13],
    network_inputs          = [14,   14,   14,   14],
    network_input           = [15,   15,   15,   15],
    network_outputs         = [16,   16,   16,   16],
    network_output          = [17,   17,   17,   17],
    layer_outputs           = [7,    7,    7,    7],
    layer_output_type       = [15,   10,   15,   10],
    tensor_name             = [3,    3,    3,    3],
    tensor_shape            = [5,    5,    5,    5],
    tensor_type             = [7,    6,    7,    6],
    profile_shape           = [2,    2,    2,    2],
    config_profile          = [25,   23,   23,   23],
    config_timing_cache     = [40,   29,   29,   29],
    config_set_timing_cache = [41,   30,   30,   30],
    config_memory_limit     = [43,   32,   32,   32],
    config_aux_streams      = [54,   43,   43,   43],
    config_progress         = [56,   45,   45,   45],
    config_capabilities     = [NONE, NONE, 55,   55],
    config_capability       = [NONE, NONE, 57,   57],
    timing_serialize        = [2,    2,    2,    2],
    parser_parse            = [0,    0,    0,    0],
    parser_errors           = [5,    3,    5,    3],
    parser_error            = [6,    4,    6,    4],
    // The first after the two places of the destructor.
    parser_libraries        = [10,   8,    10,   8],
    error_text              = [1,    1,    1,    1],
    error_node              = [5,    5,    5,    5],
    error_node_name         = [6,    6,    6,    6],
    error_operator          = [7,    7,    7,    7],
    runtime_engine          = [3,    3,    3,    3],
    engine_context          = [5,    5,    5,    5],
    engine_tensors          = [30,   26,   28,   26],
    engine_tensor           = [31,   27,   29,   27],
    engine_mode             = [23,   19,   21,   19],
    engine_shape            = [19,   15,   17,   15],
    engine_type             = [20,   16,   18,   16],
    engine_memory           = [52,   44,   50,   44],
    engine_runtime_config   = [NONE, 48,   54,   48],
    engine_context_with     = [NONE, 47,   53,   47],
    runtime_config_cache    = [NONE, NONE, 5,    5],
    runtime_config_set      = [NONE, NONE, 6,    6],
    kernels_serialize       = [NONE, NONE, 2,    2],
    kernels_deserialize     = [NONE, NONE, 3,    3],
    context_set_shape       = [21,   20,   21,   20],
    context_shape           = [22,   21,   22,   21],
    context_address         = [24,   23,   24,   23],
    context_enqueue         = [37,   36,   37,   36],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_its_number() {
        assert_eq!(Version::of(100_300).to_string(), "TensorRT 10.3.0");
        assert_eq!(Version::of(110_401).to_string(), "TensorRT 11.4.1");
        assert_eq!(Version::of(10_701).to_string(), "TensorRT for RTX 1.7.1");
        assert_eq!(Version::of(-1), Version::of(0));
    }

    #[test]
    fn an_unknown_version_is_refused_with_those_that_are_known() {
        for number in [80_601, 100_000, 120_000, 10_200, 10_800, 0, -1] {
            let refused = Family::of(Version::of(number)).unwrap_err();
            assert!(refused.contains("TensorRT 10.1 to 11 and TensorRT for RTX 1.3 to 1.7"), "{number}: {refused}");
        }
        for (number, family) in
            [(100_300, Family::Ten), (110_401, Family::Eleven), (10_400, Family::OldRtx), (10_701, Family::Rtx)]
        {
            assert_eq!(Family::of(Version::of(number)), Ok(family));
        }
    }

    #[test]
    fn no_two_functions_of_a_class_have_one_place() {
        for family in [Family::Ten, Family::Eleven, Family::OldRtx, Family::Rtx] {
            let mut seen = std::collections::BTreeMap::new();
            for (name, place) in family.places().rows() {
                let class = name.split('_').next().unwrap();
                let Some(place) = place else { continue };
                let class = if name.starts_with("runtime_config") { "runtime_config" } else { class };
                let class = if name == "parser_error" { "parser" } else { class };
                if let Some(other) = seen.insert((class, place), name) {
                    panic!("{family:?}: {name} and {other} both at {place}");
                }
            }
        }
    }
}
