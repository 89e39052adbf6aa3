//! lifecycle-exporter: follows the lifecycles of media servers over a Unix socket and serves their documented
//! metrics to Prometheus.
//!
//! # The way of an event
//!
//! ```text
//!  log ──▶ follow ─┐                       a process of its own, a producer like the others
//!  producer ──▶ feed ──▶ journal           the block of lines, to a thread of its own
//!                │
//!                ├─▶ state ─▶ engine       split by protocol, done as its catalog says
//!                │               └─▶ series
//!  scraper ◀── http ◀── feed ◀── series    asked for through the feed's mailbox
//! ```
//!
//! The feed's thread owns all state and never waits for a disk, a client or a name server: the journal, HTTP,
//! directory scans, reverse DNS and the log have threads of their own; most talk to it through its mailbox. There is no
//! lock on an event's way.
//!
//! # The layers
//!
//! The modules below stand in layers, the highest first. A module uses only modules that stand below it;
//! `tests/layers.rs` reads the sources and fails where that is not so. Two consequences are worth knowing:
//!
//! - `format` holds every type that is written to disk and knows none of the types that work with the data. Those
//!   convert themselves: `series`, `engine` and `state` each have a `persist`.
//! - `engine`, `series`, `catalog` and `protocol` hold no sockets, files or threads and ask for no time: the same lines with
//!   the same times make the same state, in the feed, in a replay of the journal, and in a test.
//!
//! The library exists for the binary and for [`internals`], which this package's own benchmarks and fuzz targets use.
//! It is no interface for others.

mod commands;
mod follow;
mod link;
mod daemon;
mod http;
mod feed;
mod metrics;
mod scan;
mod rdns;
mod journal;
mod state;
mod engine;
mod series;
mod catalog;
mod config;
mod protocol;
mod format;
mod budget;
mod faults;
mod regular_file;
mod liveness;
mod special_bytes;
mod accept;
mod clock;
mod limits;

pub mod internals;

pub use commands::run;
