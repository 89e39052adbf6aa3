//! The process: its roles, its life, its log.

pub mod descriptors;
pub mod heart;
pub mod logging;
pub mod passed;
pub mod supervise;
