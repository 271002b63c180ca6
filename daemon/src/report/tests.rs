//! What every result promises, whatever the validators say.
