//! Images: state as bytes, one value behind the other in postcard's encoding, and back with every index checked.
//!
//! What an image holds is said by those whose state it is (`series`, `lifecycles`, `state`); where it is kept is the
//! `journal`'s.

pub(crate) mod frame;

use std::fmt;

use serde::{Deserialize, Serialize};

/// An image that cannot be what was saved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Corrupt(pub(crate) String);

impl fmt::Display for Corrupt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Says that an image is damaged unless a condition holds.
pub(crate) fn ensure(holds: bool, expected: &str) -> Result<(), Corrupt> {
    if holds { Ok(()) } else { Err(Corrupt(format!("expected {expected}"))) }
}

/// Appends a value.
pub(crate) fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    postcard::to_io(value, out).expect("memory takes every value whose length is known");
}

/// Reads values in the order in which they were put.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the first value.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// The next value.
    pub(crate) fn take<T: Deserialize<'a>>(&mut self) -> Result<T, Corrupt> {
        let (value, rest) = postcard::take_from_bytes(self.rest)
            .map_err(|error| Corrupt(format!("expected a {}: {error}", std::any::type_name::<T>())))?;
        self.rest = rest;
        Ok(value)
    }

    /// There is nothing behind the last value.
    pub(crate) fn end(&self) -> Result<(), Corrupt> {
        ensure(self.rest.is_empty(), "nothing behind the last value")
    }
}
