//! The running process: `supervise` starts, watches and joins the roles in their `threads`; `reloading` knows
//! how far a reload is; `configuration` loads settings and catalogs; `activation` takes sockets from systemd;
//! `rlimit` divides the file descriptors; `logging` writes the log.

pub(crate) mod activation;
pub(crate) mod configuration;
pub(crate) mod logging;
mod reloading;
pub(crate) mod rlimit;
pub(crate) mod supervise;
mod threads;
