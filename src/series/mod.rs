//! The series store: one [`Family`] a metric, its series found by their whole label text and shown in sorted order.
//!
//! The `prometheus` crate finds a series by a 64-bit hash alone, so that two label tuples can be one series; here
//! the hash only says where to look and the text decides. The text of a tuple is kept as it is shown
//! (`a="x",b="y"`, escaped), so that a scrape copies it. What a change means is decided by `engine`; no I/O is done here.

mod family;
pub(crate) mod number;
mod order;
mod persist;
pub(crate) mod text;

pub(crate) use family::{Family, Shape};
