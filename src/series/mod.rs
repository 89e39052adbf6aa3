//! The series store: one [`Family`] for each metric. It finds a series by its label text and exposes all of
//! them sorted.
//!
//! The `prometheus` crate finds a series by a 64-bit hash alone, so two label tuples can share one series.
//! Here the hash selects candidates and the text decides. The text of a tuple is stored as it is exposed
//! (`a="x",b="y"`, escaped), so a scrape copies it. `engine` decides what to change; this module does no I/O.

mod addresses;
mod family;
pub(crate) mod number;
mod order;
mod persist;
pub(crate) mod text;

pub(crate) use addresses::parse_address;
pub(crate) use family::{Family, Shape};
