//! HTTP before hostile clients: one thread that polls all connections, and a few workers that make responses.
//!
//! The polling thread (`server`) accepts, reads heads, sends responses and keeps every deadline; it never waits for a client
//! or for a response to be made. What a head means is `head`'s, who may ask is `access`', what is served is `site`'s,
//! which runs on the workers (`worker`); the page for people is `status`'.

pub mod access;
mod head;
pub mod listen;
mod queue;
mod response;
mod status;
pub mod server;
pub mod site;
pub mod worker;
