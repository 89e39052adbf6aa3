//! `check`: what a start would say, without starting.

use std::net::IpAddr;

use super::Overrides;
use super::settings::load;
use crate::http::access::Access;

/// Checks everything. With a client: says whether it would be let in; if not, that is a failure.
pub fn run(overrides: &Overrides, client: Option<IpAddr>, forwarded: &[String]) -> Result<String, String> {
    let loaded = load(overrides)?;
    let mut out = String::new();
    for warning in &loaded.warnings {
        out.push_str(&format!("warning: {warning}\n"));
    }
    if let Some(client) = client {
        let verdict = Access::from(&loaded.settings).decide(client, forwarded.iter().map(String::as_str));
        return if verdict.allowed { Ok(format!("{out}{verdict}\n")) } else { Err(verdict.to_string()) };
    }
    let systems: Vec<&str> = loaded.catalogs.all.iter().map(|catalog| catalog.name.as_str()).collect();
    out.push_str(&format!("good: configuration and {} catalogs ({})\n", systems.len(), systems.join(", ")));
    Ok(out)
}
