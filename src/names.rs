//! The look-up of names: a thread of its own, because the answer may take as long as the resolver likes.

use std::net::IpAddr;

use crossbeam_channel::Receiver;

use crate::control::{Control, ControlSender};

/// Looks up the names of the addresses that come in, until nobody can send any more.
pub fn run(wanted: &Receiver<IpAddr>, control: &ControlSender) -> Result<(), String> {
    for ip in wanted {
        let name =
            dns_lookup::lookup_addr(&ip).ok().filter(|name| !name.is_empty() && *name != ip.to_string());
        control.send(Control::Named(ip, name));
    }
    Ok(())
}
