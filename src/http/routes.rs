//! The routes: a path and its response. They run on the workers, which may wait for the feed.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, bounded};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::handle::ServerHandle;
use super::page::{self, Surroundings};
use super::request::{Method, Request};
use super::response::{Response, ResponseMeta, TEXT};
use crate::feed::mailbox::{Control, ControlSender, OpenQuery, Scrape};
use crate::limits;
use crate::liveness::Liveness;
use crate::metrics::Metrics;

/// The media type of the Prometheus text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON_TYPE: &str = "application/json";
const HTML_TYPE: &str = "text/html; charset=utf-8";

/// Everything that responses are made from.
pub(crate) struct Routes {
    pub(crate) control: ControlSender,
    pub(crate) metrics: Arc<Metrics>,
    /// Those that must be alive for the process to be healthy.
    pub(crate) roles: Vec<Liveness>,
    /// State is restored and both sockets listen.
    pub(crate) is_ready: Arc<AtomicBool>,
    pub(crate) server: Arc<ServerHandle>,
    pub(crate) surroundings: Surroundings,
}

impl Routes {
    /// The response to a request of an allowed client. To `HEAD` it is that to `GET`.
    pub(super) fn respond(&self, request: &Request) -> Response {
        let answer: fn(&Routes, &Request) -> Response = match request.path.as_str() {
            "/metrics" => Routes::metrics,
            "/" => Routes::page,
            "/api/v1/open" => Routes::open,
            "/-/healthy" => Routes::healthy,
            "/-/ready" => Routes::ready,
            _ => return Response::plain(404, "not found; try /metrics"),
        };
        if request.method == Method::Other {
            let meta = ResponseMeta { status: 405, content_type: TEXT, headers: &[("Allow", "GET, HEAD")] };
            return Response::new(&meta, b"405: only GET and HEAD are supported\n".to_vec());
        }
        answer(self, request)
    }

    fn metrics(&self, request: &Request) -> Response {
        let (systems, families) = (request.query.systems.clone(), self.metrics.encode());
        let body = match self.ask(|reply| Control::Scrape(Scrape { systems, families, reply })) {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        let mut meta =
            ResponseMeta { status: 200, content_type: METRICS_TYPE, headers: &[("Vary", "Accept-Encoding")] };
        if !request.accepts_gzip {
            return Response::new(&meta, body);
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
        match encoder.write_all(&body).and_then(|()| encoder.finish()) {
            Ok(compressed) => {
                meta.headers = &[("Vary", "Accept-Encoding"), ("Content-Encoding", "gzip")];
                Response::new(&meta, compressed)
            }
            Err(_) => Response::new(&meta, body),
        }
    }

    /// What is open, as JSON.
    fn open(&self, request: &Request) -> Response {
        let query = &request.query;
        let max = match query.limit.as_deref().map(str::parse) {
            None => limits::OPEN_SHOWN,
            Some(Ok(max)) => usize::min(max, limits::OPEN_SHOWN_MAX),
            Some(Err(_)) => return Response::plain(400, "limit: expected a whole number"),
        };
        let (systems, entities) = (query.systems.clone(), query.entities.clone());
        match self.ask(|reply| Control::Open(OpenQuery { systems, entities, max, reply })) {
            Ok(body) => {
                Response::new(&ResponseMeta { status: 200, content_type: JSON_TYPE, headers: &[] }, body)
            }
            Err(refusal) => refusal,
        }
    }

    /// What the feed answers, or the response that says why there is nothing.
    fn ask(
        &self,
        control: impl FnOnce(Sender<Result<Vec<u8>, String>>) -> Control,
    ) -> Result<Vec<u8>, Response> {
        let (reply, answer) = bounded(1);
        self.control.send(control(reply));
        match answer.recv_timeout(limits::SCRAPE_WAIT_MAX) {
            Ok(answer) => answer.map_err(|unknown| Response::plain(400, &unknown)),
            Err(_) => Err(Response::plain(503, "the feed did not answer in time")),
        }
    }

    fn page(&self, _: &Request) -> Response {
        let (reply, answer) = bounded(1);
        self.control.send(Control::Status(reply));
        let status = answer.recv_timeout(limits::SCRAPE_WAIT_MAX).ok();
        let (allowed, proxies) = self.server.access().lists();
        let is_configured = self.metrics.reload_successful.get() == 1;
        let (silent, denied) = (self.silent(), self.server.denials.latest());
        let surroundings = &self.surroundings;
        let known = page::ProcessStatus { allowed, proxies, is_configured, silent, denied, surroundings };
        let page = page::page(status.as_ref(), &known);
        let meta = ResponseMeta {
            status: if status.is_some() { 200 } else { 503 },
            content_type: HTML_TYPE,
            headers: &[("Content-Security-Policy", &page.policy), ("Referrer-Policy", "no-referrer")],
        };
        Response::new(&meta, page.html.into_bytes())
    }

    /// The names of the roles without a recent heartbeat.
    fn silent(&self) -> Vec<&'static str> {
        self.roles.iter().filter(|role| !role.is_alive()).map(Liveness::name).collect()
    }

    fn healthy(&self, _: &Request) -> Response {
        let silent = self.silent();
        let (status, text) = if silent.is_empty() {
            (200, "ok\n".to_owned())
        } else {
            (503, format!("no recent heartbeat from: {}\n", silent.join(", ")))
        };
        text_response(status, text)
    }

    fn ready(&self, _: &Request) -> Response {
        let (status, text) =
            if self.is_ready.load(Ordering::Relaxed) { (200, "ready\n") } else { (503, "not ready yet\n") };
        text_response(status, text.to_owned())
    }
}

fn text_response(status: u16, text: String) -> Response {
    let meta = ResponseMeta { status, content_type: TEXT, headers: &[] };
    Response::new(&meta, text.into_bytes())
}
