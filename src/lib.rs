//! lifecycle-exporter: follows the lifecycles of media servers over a Unix socket and serves their documented
//! metrics to Prometheus.
//!
//! The way of an event: the [`feed`] reads a line, [`event`] splits it, [`lifecycles`] do what its [`catalog`] says to what
//! is open and to the [`series`], and [`http`] shows them. [`process`] runs the threads; [`cli`] begins everything.
//! Arrows go one way, and what belongs to one thread is owned by it: there is no lock on an event's way.
//!
//! It is a library only for its own binary and benchmarks; nothing here is stable for others.

pub mod clock;
pub mod boot;
pub mod limits;
pub mod image;
pub mod plain;
pub mod faults;

pub mod ini;
pub mod config;

pub mod feed;
pub mod event;
pub mod catalog;
pub mod lifecycles;
pub mod series;
pub mod state;
pub mod journal;
pub mod http;

pub mod scan;
pub mod names;
pub mod control;
pub mod status;
pub mod telemetry;
pub mod process;

pub mod cli;
