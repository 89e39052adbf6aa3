//! A worker makes responses. It may wait for the feed or compress, and never touches a socket.

use crossbeam_channel::Sender;

use super::handle::ServerHandle;
use super::request::Method;
use super::response::Response;
use super::routes::Routes;
use super::slots::Token;
use crate::limits;
use crate::liveness::Liveness;

/// A response for the connection that waits for it.
pub(crate) struct Answer {
    pub(super) token: Token,
    pub(super) response: Response,
}

/// Runs until the server stops.
pub(crate) fn run(routes: &Routes, answers: &Sender<Answer>, server: &ServerHandle, liveness: &Liveness) {
    while !server.is_stopping() {
        liveness.heartbeat();
        let Some((request, waiters)) = server.calls.next_call(limits::ROLE_IDLE_MAX / 4) else { continue };
        let response = routes.respond(&request);
        let response = if request.method == Method::Head { response.without_body() } else { response };
        for token in waiters {
            if answers.send(Answer { token, response: response.clone() }).is_err() {
                return;
            }
        }
        server.wake();
    }
}
