//! Reverse DNS: a thread of its own, because a resolver may take as long as it likes.

use std::net::IpAddr;

use crossbeam_channel::Receiver;

/// Looks up the name of each address that comes in and reports it, `None` where there is no name. Ends when no more can come.
pub(crate) fn run(wanted: &Receiver<IpAddr>, report: impl Fn(IpAddr, Option<String>)) -> Result<(), String> {
    for ip in wanted {
        let name =
            dns_lookup::lookup_addr(&ip).ok().filter(|name| !name.is_empty() && *name != ip.to_string());
        report(ip, name);
    }
    Ok(())
}
