//! Events as text: a line of the feed (`line`) and the names in it (`name`), the words of a command or a setting (`words`), the lines of a session
//! that are no events (`greeting`), and the reasons for which a line is rejected (`rejection`). What an event means
//! is a catalog's.

pub mod greeting;
pub mod line;
pub mod name;
pub mod rejection;
pub mod words;
