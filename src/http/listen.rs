//! Binding of the listening TCP sockets.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// Connections that the kernel queues until they are accepted.
const BACKLOG: i32 = 1_024;

/// Where a client on this machine reaches who listens there: an address that means all of the machine's is no
/// place to connect to, so the loopback stands for it.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// An address on which the exporter cannot listen.
#[derive(Debug)]
pub(crate) struct NotBound {
    address: SocketAddr,
    error: io::Error,
}

impl NotBound {
    /// Whether another process, or another address of the list, uses this address.
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

/// Binds all addresses, or returns every one that failed.
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

/// `[::]` accepts IPv4 as well, which would conflict with `0.0.0.0` on the same port: then `v6_only` is set.
fn bind_one(address: SocketAddr, v6_only: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && v6_only {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_unspecified_addresses_share_a_port() {
        let v4 = bind_one("0.0.0.0:0".parse().unwrap(), false).unwrap();
        let port = v4.local_addr().unwrap().port();
        if let Err(error) = bind_one(format!("[::]:{port}").parse().unwrap(), true) {
            assert_ne!(
                error.kind(),
                io::ErrorKind::AddrInUse,
                "only a machine without IPv6 may fail: {error}"
            );
        }
    }

    #[test]
    fn every_address_that_fails_is_named() {
        let taken = bind_all(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let taken = taken[0].local_addr().unwrap();
        // 192.0.2.0/24 is for documentation, and no machine's.
        let elsewhere = "192.0.2.1:80".parse().unwrap();
        let failed = bind_all(&[taken, elsewhere]).unwrap_err();
        assert_eq!(failed.iter().map(|failed| failed.address).collect::<Vec<_>>(), [taken, elsewhere]);
        assert_eq!(failed.iter().map(NotBound::is_in_use).collect::<Vec<_>>(), [true, false]);
    }
}
