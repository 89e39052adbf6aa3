//! What producers write: a line of JSON (`line`, with its numbers in `number`; `shape` is a fast way for lines like an
//! earlier one), the control lines of a session (`control_line`), the reasons for a rejection (`rejection`), and events
//! as words on a command line or in a setting (`shorthand`). `engine` decides what an event changes.

pub(crate) mod control_line;
pub(crate) mod line;
mod number;
pub(crate) mod rejection;
pub(crate) mod shape;
pub(crate) mod shorthand;
