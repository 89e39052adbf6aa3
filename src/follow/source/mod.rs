//! Where lines come from, each on a thread that only reads: `file` over its rotations (`rotation`), `journal`, `input`.

pub(super) mod file;
pub(super) mod input;
pub(super) mod journal;
mod rotation;
