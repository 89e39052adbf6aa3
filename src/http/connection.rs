//! The connection of one client as a state machine: what happened goes in, what to do comes out.
//!
//! | State | Input | Next state | Actions |
//! |---|---|---|---|
//! | `ReadingHead` | `Denied` | `Writing` (403) | `CountStatus`, `NoteDenied`, `Write` |
//! | | `Evicted` | `Writing` (503) | `CountStatus`, `Write` |
//! | | `Received`, the head is incomplete | `ReadingHead` | |
//! | | `Received`, the request is refused | `Writing` (its status) | `CountStatus`, `Write` |
//! | | `Received`, the request is accepted | `AwaitingResponse` | `Poll(HangUp)`, `HandOver` |
//! | | `EndOfStream`, `ReadFailed` | `Closed` | `Close` |
//! | | `DeadlinePassed` | `Writing` (408) | `CountStatus`, `Write` |
//! | `AwaitingResponse` | `Answered` | `Writing` | `CountStatus`, `Write` |
//! | | `HungUp` | `Closed` | `Close` |
//! | | `DeadlinePassed` | `Writing` (503) | `CountStatus`, `Write` |
//! | `Writing` | `Wrote`, bytes are left | `Writing` | `Write` |
//! | | `Wrote`, no bytes are left | `Lingering` | `ShutDownWrite`, `Poll(Readable)`, `Read` |
//! | | `WriteBlocked` | `Writing` | `Poll(Writable)` |
//! | | `WriteFailed`, `DeadlinePassed` | `Closed` | `Close` |
//! | `Lingering` | `Received`, within the bound | `Lingering` | `Read` |
//! | | `Received`, beyond the bound | `Closed` | `Close` |
//! | | `EndOfStream`, `ReadFailed`, `WriteFailed`, `DeadlinePassed` | `Closed` | `Close` |
//! | any but `Closed` | `Aborted` | `Closed` | `Close` |
//!
//! Every other input leaves the state as it is and causes no action. To a `HEAD` request each of these
//! responses lacks its body.
//!
//! A connection lingers because closing a socket with unread bytes resets the connection, which can destroy a
//! response that the client has not read yet. So the server closes its own half first, and then discards what
//! the client still sends, up to a bound.
//!
//! This module reads no clock and touches no socket: `server` does, and carries out the actions in order.

use std::io::IoSlice;
use std::net::IpAddr;
use std::time::Instant;

use super::access::Access;
use super::request::{self, Head, Method, Parsed, Request};
use super::response::{Refusal, Response};
use crate::limits;

/// Every state but the last has a deadline.
#[derive(Debug)]
pub(super) enum State {
    ReadingHead {
        head: Vec<u8>,
        /// When the connection was accepted.
        since: Instant,
    },
    /// A worker makes the response.
    AwaitingResponse {
        deadline: Instant,
        is_head: bool,
    },
    Writing {
        response: Response,
        written: usize,
        /// When the response was there.
        since: Instant,
    },
    /// The response is sent; what the client still sends is discarded.
    Lingering {
        discarded: usize,
        deadline: Instant,
    },
    Closed,
}

#[derive(Debug)]
pub(super) enum Input<'a> {
    /// The address may not send a request at all.
    Denied,
    /// There is no slot for this connection, or a newer one needs its slot.
    Evicted,
    /// Never empty.
    Received(&'a [u8]),
    EndOfStream,
    ReadFailed,
    Answered(Response),
    /// So many bytes of [`State::unwritten`] are sent.
    Wrote(usize),
    /// The kernel takes no more bytes for now.
    WriteBlocked,
    /// Writing failed, or closing the write half did.
    WriteFailed,
    HungUp,
    DeadlinePassed,
    /// The server needs the descriptor or the memory at once, or cannot poll the socket.
    Aborted,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Poll the socket for this from now on. A new connection is polled for [`Interest::Readable`].
    Poll(Interest),
    /// Read once and pass on the result as an input, or nothing if there is nothing to read.
    Read,
    /// Write [`State::unwritten`] once and pass on the result as an input.
    Write,
    /// Close the write half of the socket.
    ShutDownWrite,
    /// Queue the request for a worker.
    HandOver(Request),
    /// A response with this status is about to be sent.
    CountStatus(u16),
    /// This client is not allowed.
    NoteDenied(IpAddr),
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    Readable,
    Writable,
    /// Only that the client is gone, which the kernel always reports.
    HangUp,
}

/// What a transition depends on besides state and input.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) peer: IpAddr,
    pub(super) access: &'a Access,
}

impl State {
    /// The state of a connection that was accepted at `now`.
    pub(super) fn new(now: Instant) -> Self {
        State::ReadingHead { head: Vec::new(), since: now }
    }

    /// The transition, as in the table above.
    pub(super) fn step(self, input: Input<'_>, context: &Context<'_>) -> (State, Vec<Action>) {
        match (self, input) {
            (State::Closed, _) => (State::Closed, vec![]),
            (_, Input::Aborted) => close(),

            (State::ReadingHead { head, .. }, Input::Denied) => {
                let verdict = context.access.decide(context.peer, []);
                refuse(Response::denied(&verdict), request::is_head(&head), context)
            }
            (State::ReadingHead { head, .. }, Input::Evicted) => {
                refuse(Response::refusal(Refusal::TooManyConnections), request::is_head(&head), context)
            }
            (State::ReadingHead { head, since }, Input::Received(bytes)) => {
                received(head, since, bytes, context)
            }
            (State::ReadingHead { .. }, Input::EndOfStream | Input::ReadFailed) => close(),
            (State::ReadingHead { head, .. }, Input::DeadlinePassed) => {
                refuse(Response::refusal(Refusal::HeadTimeout), request::is_head(&head), context)
            }

            (State::AwaitingResponse { .. }, Input::Answered(response)) => respond(response, context),
            (State::AwaitingResponse { .. }, Input::HungUp) => close(),
            (State::AwaitingResponse { is_head, .. }, Input::DeadlinePassed) => {
                refuse(Response::refusal(Refusal::ResponseTimeout), is_head, context)
            }

            (State::Writing { response, written, since }, Input::Wrote(count)) => {
                let written = written + count;
                if written < response.length() {
                    (State::Writing { response, written, since }, vec![Action::Write])
                } else {
                    let deadline = context.now + limits::HTTP_LINGER_TIME_MAX;
                    let actions = vec![Action::ShutDownWrite, Action::Poll(Interest::Readable), Action::Read];
                    (State::Lingering { discarded: 0, deadline }, actions)
                }
            }
            (state @ State::Writing { .. }, Input::WriteBlocked) => {
                (state, vec![Action::Poll(Interest::Writable)])
            }
            (State::Writing { .. }, Input::WriteFailed | Input::DeadlinePassed) => close(),

            (State::Lingering { discarded, deadline }, Input::Received(bytes))
                if discarded < limits::HTTP_LINGER_BYTES_MAX =>
            {
                (State::Lingering { discarded: discarded + bytes.len(), deadline }, vec![Action::Read])
            }
            (State::Lingering { .. }, Input::Received(_)) => close(),
            (
                State::Lingering { .. },
                Input::EndOfStream | Input::ReadFailed | Input::WriteFailed | Input::DeadlinePassed,
            ) => close(),

            (state, _) => (state, vec![]),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            State::ReadingHead { since, .. } => Some(*since + limits::HTTP_HEAD_TIME_MAX),
            State::AwaitingResponse { deadline, .. } | State::Lingering { deadline, .. } => Some(*deadline),
            State::Writing { since, .. } => Some(*since + limits::HTTP_RESPONSE_TIME_MAX),
            State::Closed => None,
        }
    }

    /// What the connection waits for.
    pub(super) fn interest(&self) -> Interest {
        match self {
            State::ReadingHead { .. } | State::Lingering { .. } => Interest::Readable,
            State::Writing { .. } => Interest::Writable,
            State::AwaitingResponse { .. } | State::Closed => Interest::HangUp,
        }
    }

    /// What is left of head and body. Both are empty unless a response is being written.
    pub(super) fn unwritten(&self) -> [IoSlice<'_>; 2] {
        let (head, body) = match self {
            State::Writing { response, written, .. } => response.after(*written),
            _ => (&[][..], &[][..]),
        };
        [IoSlice::new(head), IoSlice::new(body)]
    }

    pub(super) fn is_lingering(&self) -> bool {
        matches!(self, State::Lingering { .. })
    }

    /// Whether the client has been promised a response that it does not have yet.
    pub(super) fn owes_response(&self) -> bool {
        matches!(self, State::AwaitingResponse { .. } | State::Writing { .. })
    }

    /// From when on the memory of the response may go to another connection.
    pub(super) fn response_expendable_from(&self) -> Option<Instant> {
        match self {
            State::Writing { since, .. } => Some(*since + limits::HTTP_RESPONSE_TIME_MIN),
            _ => None,
        }
    }

    /// From when on another connection may take the place of this one. What has arrived of the head makes no
    /// difference: if it did, a client that sends one byte would drive out a slower one.
    pub(super) fn evictable_from(&self) -> Option<Instant> {
        match self {
            State::ReadingHead { since, .. } => Some(*since + limits::HTTP_HEAD_TIME_MIN),
            _ => None,
        }
    }
}

fn close() -> (State, Vec<Action>) {
    (State::Closed, vec![Action::Close])
}

fn respond(response: Response, context: &Context<'_>) -> (State, Vec<Action>) {
    let mut actions = vec![Action::CountStatus(response.status)];
    actions.extend(response.denied.map(Action::NoteDenied));
    actions.push(Action::Write);
    (State::Writing { response, written: 0, since: context.now }, actions)
}

fn refuse(refusal: Response, is_head: bool, context: &Context<'_>) -> (State, Vec<Action>) {
    respond(if is_head { refusal.without_body() } else { refusal }, context)
}

fn received(mut head: Vec<u8>, since: Instant, bytes: &[u8], context: &Context<'_>) -> (State, Vec<Action>) {
    // A head of the greatest length is either complete or refused, so there is always room for a byte.
    let room = limits::HTTP_HEAD_BYTES_MAX - head.len();
    head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    let parsed = match request::parse(&head) {
        Parsed::Incomplete => return (State::ReadingHead { head, since }, vec![]),
        Parsed::Complete(head) => Ok(head),
        Parsed::Invalid(refusal) => Err(refusal),
    };
    match decide(parsed, context) {
        Ok(request) => {
            let deadline = context.now + limits::HTTP_RESPONSE_TIME_MAX;
            let is_head = request.method == Method::Head;
            let actions = vec![Action::Poll(Interest::HangUp), Action::HandOver(request)];
            (State::AwaitingResponse { deadline, is_head }, actions)
        }
        Err(refusal) => refuse(refusal, request::is_head(&head), context),
    }
}

/// The request to hand over, or the response without it.
fn decide(parsed: Result<Head, Refusal>, context: &Context<'_>) -> Result<Request, Response> {
    // If the head is invalid, the client behind a trusted proxy is unknown, so only a proxy that is allowed
    // itself learns the reason.
    let forwarded = parsed.as_ref().map_or(&[][..], |head| &head.forwarded);
    let verdict = context.access.decide(context.peer, forwarded.iter().map(String::as_str));
    if !verdict.allowed {
        return Err(Response::denied(&verdict));
    }
    let head = parsed.map_err(Response::refusal)?;
    if let Some(refusal) = head.refusal {
        return Err(Response::refusal(refusal));
    }
    if context.access.asks_for_host(context.peer, &head.request.path) {
        match &head.host {
            Some(host) if !context.access.answers_to(host) => return Err(Response::misdirected(host)),
            // Every browser names the host, so what lacks it in HTTP/1.0 is none.
            None if !head.is_http_1_0 => return Err(Response::refusal(Refusal::MissingHost)),
            _ => {}
        }
    }
    Ok(head.request)
}

#[cfg(test)]
mod tests;
