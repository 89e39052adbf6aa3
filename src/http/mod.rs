//! HTTP before hostile clients: one thread polls all connections, and a few workers make the responses.
//!
//! The polling thread (`server`) accepts, reads requests, sends responses and keeps every deadline. It never waits for a
//! client or a worker. `request` parses, `access` decides who may ask, `routes` answers on a worker (`worker`), `page` is
//! the status page. Equal requests that wait together share one response (`single_flight`).

pub(crate) mod access;
pub(crate) mod listen;
mod page;
mod request;
mod response;
pub(crate) mod routes;
pub(crate) mod server;
mod single_flight;
pub(crate) mod worker;
