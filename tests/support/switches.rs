//! Every switch of the tests, an environment variable each:
//!
//! | variable | effect |
//! |---|---|
//! | `CI` | a program that a test needs and does not find is a failure, not a skipped test; random sequences are always the same |
//! | `UPDATE_GOLDEN` | files that are made from the program are written anew: `tests/golden`, manual pages, dashboards, clients' helpers |
//! | `UPDATE_PICTURES` | the dashboards are drawn anew, from half a day |
//! | `UPDATE_STORED_STATE` | an example of the present format on disk is made, where there is none (`tests/stored`) |
//! | `MODEL_SEED` | the model plays this sequence first |
//! | `MODEL_SECONDS` | the model plays for so long |
//! | `HANG_SECONDS` | each system call on the disk hangs for so long, in those tests of `disk` that are ignored otherwise |
//! | `SOAK_SECONDS` | the long soak takes so long |
//! | `SOAK_SEED` | the soak does its torments in this order |
//! | `SOAK_PICTURE` | the long soak draws into this file, and writes its numbers beside it |
//! | `LIFECYCLE_EXPORTER_BINARY` | the model plays against this program |

use std::ffi::OsString;

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a number")))
}

pub fn in_ci() -> bool {
    is_set("CI")
}

pub fn updates_golden() -> bool {
    is_set("UPDATE_GOLDEN")
}

pub fn updates_pictures() -> bool {
    is_set("UPDATE_PICTURES")
}

pub fn updates_stored_state() -> bool {
    is_set("UPDATE_STORED_STATE")
}

pub fn model_seed() -> Option<u64> {
    number("MODEL_SEED")
}

pub fn model_seconds() -> Option<u64> {
    number("MODEL_SECONDS")
}

pub fn hang_seconds() -> Option<u64> {
    number("HANG_SECONDS")
}

pub fn model_binary() -> Option<OsString> {
    std::env::var_os("LIFECYCLE_EXPORTER_BINARY")
}

pub fn soak_seconds() -> Option<u64> {
    number("SOAK_SECONDS")
}

pub fn soak_seed() -> Option<u64> {
    number("SOAK_SEED")
}

pub fn soak_picture() -> Option<OsString> {
    std::env::var_os("SOAK_PICTURE")
}
