//! Lungs on phantoms.
