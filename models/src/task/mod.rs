//! One clinical task per file; each reads pre, infer, post in order.
