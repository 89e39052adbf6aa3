//! The status page: one HTML document that loads nothing else, rendered for each request.
//!
//! `maud` escapes all text. Script and style carry a nonce that is different each time, and the content
//! security policy allows no other script or style, so text from an event cannot become either. All links
//! are relative, so that the page works behind a proxy under any path. `parts` renders the cards, `open` the
//! card of what is open, `words` formats numbers for people.

mod open;
mod parts;
mod words;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::denials::Denial;
use crate::feed::status::{RejectionStatus, Status};
use crate::metrics;

/// What the page shows about the process; the feed knows the rest.
pub(super) struct ProcessStatus<'a> {
    /// `[stats] allowed_ips`.
    pub(super) allowed: String,
    /// `[app] trustedproxies`.
    pub(super) proxies: String,
    /// Whether the exporter uses the configuration that is on disk.
    pub(super) is_configured: bool,
    /// Roles without a recent heartbeat.
    pub(super) silent: Vec<&'static str>,
    /// The latest first.
    pub(super) denied: Vec<Denial>,
    pub(super) surroundings: &'a Surroundings,
}

/// What the page says of the process that does not change while it runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// The path of the event socket, as far as it is known.
    pub(crate) socket: String,
    /// Whether the events are made up.
    pub(crate) is_demo: bool,
}

/// How long a rejection is worth attention.
const RECENT_SECONDS: f64 = 3_600.0;

/// Whether a line was rejected lately for this reason.
fn is_recent(of: &RejectionStatus, now: f64) -> bool {
    of.latest.first().is_some_and(|latest| now - latest.at < RECENT_SECONDS)
}

pub(super) struct Page {
    pub(super) html: String,
    /// The content security policy.
    pub(super) policy: String,
}

/// Renders the page. `status` is `None` if the feed did not answer in time.
pub(super) fn page(status: Option<&Status>, process: &ProcessStatus<'_>) -> Page {
    let nonce = nonce();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "lifecycle-exporter" }
                // An empty icon, so that browsers do not request one.
                link rel="icon" href="data:,";
                style nonce=(nonce) { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { "lifecycle-exporter" }
                    (verdict(status, process))
                    nav aria-label="Endpoints" {
                        a href="./metrics" { "Metrics" }
                        a href="./api/v1/open" { "Open" }
                        a href="./-/healthy" { "Healthy" }
                        a href="./-/ready" { "Ready" }
                        button id="pause" type="button" hidden { "Pause" }
                    }
                }
                @if process.surroundings.is_demo {
                    p.demo { "This is a demo: it makes up all events and numbers." }
                }
                main id="status" {
                    @if let Some(status) = status { (parts::cards(status, process)) }
                    @else { section.wide { h2 { "Feed" } p.bad { "The feed did not answer in time." } } }
                }
                (foot(status))
                script nonce=(nonce) { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    Page { html: markup.into_string(), policy }
}

/// What needs attention, in a few words.
fn verdict(status: Option<&Status>, process: &ProcessStatus<'_>) -> Markup {
    let mut faults: Vec<String> =
        process.silent.iter().map(|role| format!("{role} makes no progress")).collect();
    if !process.is_configured {
        faults.push("the configuration on disk is faulty".to_owned());
    }
    match status {
        None => faults.push("the feed does not answer".to_owned()),
        Some(status) => {
            if status.journal.as_ref().is_some_and(|journal| !journal.healthy) {
                faults.push("state cannot be written".to_owned());
            }
            match status.producers_away {
                0 => {}
                1 => faults.push("1 producer is away".to_owned()),
                away => faults.push(format!("{away} producers are away")),
            }
            if status.rejections.iter().any(|of| is_recent(of, status.now)) {
                faults.push("lines were rejected".to_owned());
            }
            if status.scans.iter().any(|(_, scan)| parts::has_failed(scan)) {
                faults.push("a scan was not complete".to_owned());
            }
        }
    }
    html! {
        @if faults.is_empty() && status.is_some_and(parts::is_new) {
            span id="verdict" class="verdict soft" { "Waiting for the first event" }
        }
        @else if faults.is_empty() { span id="verdict" class="verdict good" { "All is well" } }
        @else { span id="verdict" class="verdict bad" { "Attention: " (faults.join(", ")) } }
    }
}

fn foot(status: Option<&Status>) -> Markup {
    html! {
        footer id="about" {
            "Version " (env!("CARGO_PKG_VERSION")) ", revision " (metrics::revision())
            @if let Some(status) = status { ", up for " (words::duration(status.uptime_seconds)) }
            ". This page refreshes itself every five seconds."
        }
    }
}

/// A text that nobody can guess: hashes of a number that is never used twice, with random keys from the
/// system.
fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{:016x}", RandomState::new().hash_one(count), RandomState::new().hash_one(count))
}

#[cfg(test)]
mod tests;
