//! HTTP, built to face hostile clients.
//!
//! One thread (`server`) polls all connections and keeps every deadline. A few workers make the responses.
//!
//! ```text
//!  accept ─▶ server ⇄ connection ─▶ single_flight ─▶ worker ─▶ routes ─▶ page
//!              ▲                                       │
//!              └──────────── answers, a wake-up ───────┘
//! ```
//!
//! `connection` is the state machine of one connection; it parses with `request`, whose parts are `target`,
//! `host` and `accept_encoding`, and decides with `access`.
//! `slots` holds the connections, `handle` what the threads share.

mod accept_encoding;
pub(crate) mod access;
mod connection;
mod denials;
pub(crate) mod handle;
pub(crate) mod host;
pub(crate) mod listen;
pub(crate) mod page;
mod request;
mod response;
pub(crate) mod routes;
pub(crate) mod server;
mod single_flight;
mod slots;
mod target;
pub(crate) mod worker;

/// What the bytes received so far are as a request, for `internals`. `None`: its head is not complete.
pub(crate) fn describe_request(bytes: &[u8]) -> Option<Result<String, String>> {
    match request::parse(bytes) {
        request::Parsed::Incomplete => None,
        request::Parsed::Complete(request) => Some(Ok(format!("{request:?}"))),
        request::Parsed::Invalid(refusal) => Some(Err(format!("{refusal:?}"))),
    }
}
