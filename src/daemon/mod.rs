//! The running process: `supervise` starts, watches and joins its threads; `configuration` loads what a start and a
//! reload need; `activation` takes sockets from systemd, `rlimit` shares out descriptors, `logging` writes the log.

pub(crate) mod activation;
pub(crate) mod configuration;
pub(crate) mod logging;
pub(crate) mod rlimit;
pub(crate) mod supervise;
