//! Pulmonary nodules: the network's components, outlined and measured on the original grid.

mod kind;
mod locate;

pub(super) use locate::collect;

/// How far the nodule's edge may lie from the network's component, mm.
const EDGE_MM: f64 = 2.0;
