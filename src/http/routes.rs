//! What is served: paths to responses. Runs on the workers, which may wait for the feed's answer.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::bounded;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::page;
use super::request::{Method, Request};
use super::response::{About, Response, TEXT};
use super::server::Shared;
use crate::feed::mailbox::{Control, ControlSender, Scrape};
use crate::limits;
use crate::liveness::Liveness;
use crate::metrics::Metrics;

/// The media type of the text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const HTML_TYPE: &str = "text/html; charset=utf-8";

/// What the workers serve from.
pub(crate) struct Site {
    /// The way to the feed.
    pub(crate) control: ControlSender,
    /// Shared counters.
    pub(crate) telemetry: Arc<Metrics>,
    /// The hearts of all roles.
    pub(crate) hearts: Vec<Liveness>,
    /// State is restored and both sockets listen.
    pub(crate) ready: Arc<AtomicBool>,
    /// Knows who may look.
    pub(crate) shared: Arc<Shared>,
}

impl Site {
    /// Answers a request of an allowed client.
    pub(super) fn respond(&self, request: &Request) -> Response {
        let answer: fn(&Site, &Request) -> Response = match request.path.as_str() {
            "/metrics" => Site::metrics,
            "/" => Site::page,
            "/-/healthy" => Site::healthy,
            "/-/ready" => Site::ready,
            _ => return Response::plain(404, "404: not here; try /metrics"),
        };
        if request.method == Method::Other {
            let about = About {
                status: 405,
                content_type: TEXT,
                headers: &[("Allow", "GET, HEAD")],
                head_only: false,
            };
            return Response::new(&about, b"405: GET and HEAD are served here\n".to_vec());
        }
        answer(self, request)
    }

    fn metrics(&self, request: &Request) -> Response {
        let (reply, answer) = bounded(1);
        let blocks = if request.systems.is_empty() { self.telemetry.encode() } else { Vec::new() };
        self.control.send(Control::Scrape(Scrape { systems: request.systems.clone(), blocks, reply }));
        let body = match answer.recv_timeout(limits::SCRAPE_WAIT_MAX) {
            Ok(Ok(body)) => body,
            Ok(Err(unknown)) => return Response::plain(400, &format!("400: {unknown}")),
            Err(_) => return Response::plain(503, "503: the feed did not answer in time"),
        };
        let head_only = request.method == Method::Head;
        let mut about = About {
            status: 200,
            content_type: METRICS_TYPE,
            headers: &[("Vary", "Accept-Encoding")],
            head_only,
        };
        if !request.accepts_gzip {
            return Response::new(&about, body);
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
        match encoder.write_all(&body).and_then(|()| encoder.finish()) {
            Ok(compressed) => {
                about.headers = &[("Vary", "Accept-Encoding"), ("Content-Encoding", "gzip")];
                Response::new(&about, compressed)
            }
            Err(_) => Response::new(&about, body),
        }
    }

    fn page(&self, request: &Request) -> Response {
        let (reply, answer) = bounded(1);
        self.control.send(Control::Status(reply));
        let status = answer.recv_timeout(limits::SCRAPE_WAIT_MAX).ok();
        let (allowed, proxies) = self.shared.access().lists();
        let is_configured = self.telemetry.reload_successful.get() == 1;
        let known = page::About { allowed, proxies, is_configured, silent: self.silent() };
        let page = page::page(status.as_ref(), &known);
        let about = About {
            status: if status.is_some() { 200 } else { 503 },
            content_type: HTML_TYPE,
            headers: &[("Content-Security-Policy", &page.policy), ("Referrer-Policy", "no-referrer")],
            head_only: request.method == Method::Head,
        };
        Response::new(&about, page.html.into_bytes())
    }

    /// The roles that make no progress.
    fn silent(&self) -> Vec<&'static str> {
        self.hearts.iter().filter(|heart| !heart.is_alive()).map(Liveness::name).collect()
    }

    fn healthy(&self, request: &Request) -> Response {
        let silent = self.silent();
        let (status, text) = if silent.is_empty() {
            (200, "ok\n".to_owned())
        } else {
            (503, format!("no progress of: {}\n", silent.join(", ")))
        };
        text_response(status, text, request)
    }

    fn ready(&self, request: &Request) -> Response {
        let (status, text) =
            if self.ready.load(Ordering::Relaxed) { (200, "ready\n") } else { (503, "not yet ready\n") };
        text_response(status, text.to_owned(), request)
    }
}

fn text_response(status: u16, text: String, request: &Request) -> Response {
    let about = About { status, content_type: TEXT, headers: &[], head_only: request.method == Method::Head };
    Response::new(&about, text.into_bytes())
}
