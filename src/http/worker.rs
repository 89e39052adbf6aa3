//! A worker makes responses. It may wait for the feed or compress, and never touches a socket.
//!
//! Slow readers keep their responses in memory, so a worker begins another one only while the bytes of all
//! responses are within a bound. Until then a scraper waits, since most readers get ahead and the server
//! closes the slowest. If that takes too long, the scraper learns the reason before it gives up by itself.
//! Health endpoints do not wait.

use crossbeam_channel::Sender;

use super::handle::ServerHandle;
use super::request::{Method, Request};
use super::response::{Refusal, Response};
use super::routes::Routes;
use super::single_flight::Call;
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
        let may_begin = |call: &Call<Request, Token>| {
            server.has_room_for(&call.key) || call.since.elapsed() >= limits::HTTP_ROOM_WAIT_MAX
        };
        let Some(call) = server.calls.next_call(limits::ROLE_IDLE_MAX / 4, may_begin) else { continue };
        let response = if server.has_room_for(&call.key) {
            routes.respond(&call.key)
        } else {
            Response::refusal(Refusal::TooManyBytes)
        };
        let response = if call.key.method == Method::Head { response.without_body() } else { response };
        let response = response.counted(&server.body_bytes);
        for token in call.waiters {
            if answers.send(Answer { token, response: response.clone() }).is_err() {
                return;
            }
        }
        server.wake();
    }
}
