//! Reverse DNS. It has its own thread, because a resolver may take arbitrarily long.

use std::net::IpAddr;

use crossbeam_channel::Receiver;

/// Looks up the name of each address received, and reports it: `None` if the address has no name. Returns
/// when the channel is closed.
pub(crate) fn run(wanted: &Receiver<IpAddr>, report: impl Fn(IpAddr, Option<String>)) {
    for ip in wanted {
        let name =
            dns_lookup::lookup_addr(&ip).ok().filter(|name| !name.is_empty() && *name != ip.to_string());
        report(ip, name);
    }
}
