//! The status page: one HTML document without anything from elsewhere, made anew for each request.
//!
//! All text goes through `maud`, which escapes it. Script and style carry a nonce that is new each time, and the policy in the
//! head allows nothing else, so text that came with an event cannot become either. `parts` makes the cards, `words` says numbers
//! for people.

mod parts;
mod words;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::feed::status::Status;
use crate::metrics;

/// What the page shows that the feed does not know.
pub(super) struct ProcessStatus {
    /// Who may look, as configured.
    pub(super) allowed: String,
    /// Whose `X-Forwarded-For` is believed.
    pub(super) proxies: String,
    /// Whether the configuration in force is the one on disk.
    pub(super) is_configured: bool,
    /// Roles that make no progress.
    pub(super) silent: Vec<&'static str>,
}

/// A rejection wants attention for this long.
const RECENT_SECONDS: f64 = 900.0;

/// The page, and the policy that goes with it.
pub(super) struct Page {
    pub(super) html: String,
    pub(super) policy: String,
}

/// Makes the page. Without a status the feed did not answer in time.
pub(super) fn page(status: Option<&Status>, process: &ProcessStatus) -> Page {
    let nonce = nonce();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "lifecycle-exporter" }
                // None, so that browsers ask for none.
                link rel="icon" href="data:,";
                style nonce=(nonce) { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { "lifecycle-exporter" }
                    (verdict(status, process))
                    nav aria-label="Endpoints" {
                        a href="/metrics" { "Metrics" }
                        a href="/-/healthy" { "Healthy" }
                        a href="/-/ready" { "Ready" }
                        button id="pause" type="button" hidden { "Pause" }
                    }
                }
                main id="status" {
                    @if let Some(status) = status { (parts::cards(status, process)) }
                    @else { section.wide { h2 { "Feed" } p.bad { "It did not answer in time." } } }
                }
                (foot(status))
                script nonce=(nonce) { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    Page { html: markup.into_string(), policy }
}

/// Whether anything wants a person's attention, in a few words.
fn verdict(status: Option<&Status>, process: &ProcessStatus) -> Markup {
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
            if status.producers_away > 0 {
                faults.push(format!("{} producers are away", status.producers_away));
            }
            let is_recent = |at: f64| status.now - at < RECENT_SECONDS;
            if status
                .rejections
                .iter()
                .any(|of| of.latest.as_ref().is_some_and(|latest| is_recent(latest.at)))
            {
                faults.push("lines were rejected".to_owned());
            }
            if status.scans.iter().any(|(_, scan)| parts::has_failed(scan)) {
                faults.push("a scan was not complete".to_owned());
            }
        }
    }
    html! {
        @if faults.is_empty() { span id="verdict" class="verdict good" { "All is well" } }
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

/// A text that cannot be guessed: a keyed hash, whose key is the system's randomness, of a number that never comes twice.
fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{:016x}", RandomState::new().hash_one(count), RandomState::new().hash_one(count))
}

#[cfg(test)]
mod tests;
