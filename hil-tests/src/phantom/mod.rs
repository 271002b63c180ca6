//! Phantoms: CT series built in code.
