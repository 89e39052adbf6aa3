//! Socket activation: sockets that systemd passes. `LISTEN_FDNAMES` names them `events` (the feed) or `http`
//! (scrapes).

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use crate::config::Settings;

/// The sockets that systemd has passed.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(crate) events: Option<UnixListener>,
    pub(crate) http: Vec<TcpListener>,
}

impl Passed {
    /// A warning if `[http] listen` is set but a socket passed by systemd replaces it.
    pub(crate) fn overrides(&self, settings: &Settings) -> Option<String> {
        let passed: Vec<SocketAddr> =
            self.http.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let is_other = settings.listen.iter().any(|address| !passed.contains(address));
        (!passed.is_empty() && is_other && settings.listen_is_configured()).then(|| {
            let shown: Vec<String> = passed.iter().map(ToString::to_string).collect();
            format!(
                "[http] listen has no effect: systemd passes a socket that listens on {}; \
                 disable its socket unit to use the setting",
                shown.join(" and ")
            )
        })
    }
}

/// Takes the sockets and clears systemd's variables. Call it before other threads run: they may read the
/// environment.
pub(crate) fn take() -> Result<Passed, String> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut sockets = ListenFd::from_env();
    let mut passed = Passed::default();
    let names: Vec<&str> = names.split(':').collect();
    for index in 0..sockets.len() {
        let name = names.get(index).copied().unwrap_or_default();
        let fail = |what: &str| format!("socket {name:?} from systemd: {what}");
        match name {
            "events" if passed.events.is_some() => return Err(fail("passed twice, expected one")),
            "events" => {
                let socket = sockets.take_unix_listener(index);
                passed.events =
                    socket.map_err(|error| fail(&format!("{error}; expected ListenStream= with a path")))?;
            }
            "http" => {
                let socket = sockets.take_tcp_listener(index);
                passed.http.extend(
                    socket.map_err(|error| fail(&format!("{error}; expected ListenStream= with a port")))?,
                );
            }
            _ => return Err(fail("expected FileDescriptorName=events or http")),
        }
    }
    Ok(passed)
}
