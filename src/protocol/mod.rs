//! What producers write: a line of JSON (`line`) and the names in it (`key_prefix`), the control lines of a session
//! (`control_line`), the reasons for a rejection (`rejection`), and events written as words on a command line or in a setting
//! (`shorthand`). What an event means is decided by `engine` from its catalog.

pub(crate) mod control_line;
pub(crate) mod key_prefix;
pub(crate) mod line;
pub(crate) mod rejection;
pub(crate) mod shorthand;
