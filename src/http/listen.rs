//! Listening TCP sockets.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, listen, setsockopt, socket,
    sockopt,
};

/// Connections that the kernel keeps for us.
const BACKLOG: i32 = 1_024;

/// An address that cannot be listened on.
#[derive(Debug)]
pub(crate) struct NotBound {
    address: SocketAddr,
    error: io::Error,
}

impl NotBound {
    /// Whether another process, or another address of the list, has it.
    pub(crate) fn is_in_use(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }
}

impl fmt::Display for NotBound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotBound { address, error } = self;
        write!(out, "{address} cannot be listened on: {error}; choose another with --listen or [http] listen")
    }
}

/// Binds all addresses. The error names those that failed and what to do.
pub(crate) fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Vec<NotBound>> {
    let (mut bound, mut failed) = (Vec::new(), Vec::new());
    for &address in addresses {
        let unspecified_v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
        match bind_one(address, addresses.contains(&unspecified_v4)) {
            Ok(listener) => bound.push(listener),
            Err(error) => failed.push(NotBound { address, error }),
        }
    }
    if failed.is_empty() { Ok(bound) } else { Err(failed) }
}

/// `[::]` takes IPv4 too, unless `0.0.0.0` is listened on beside it.
fn bind_one(address: SocketAddr, v6_only: bool) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let descriptor =
        socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    setsockopt(&descriptor, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() && v6_only {
        setsockopt(&descriptor, sockopt::Ipv6V6Only, &true)?;
    }
    let raw = descriptor.as_raw_fd();
    match address {
        SocketAddr::V4(address) => bind(raw, &SockaddrIn::from(address))?,
        SocketAddr::V6(address) => bind(raw, &SockaddrIn6::from(address))?,
    }
    listen(&descriptor, Backlog::new(BACKLOG)?)?;
    Ok(TcpListener::from(descriptor))
}
