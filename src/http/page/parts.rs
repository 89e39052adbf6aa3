//! The cards of the status page. Each answers one question of an operator.

use maud::{Markup, html};

use super::words::{ago, bytes, count, duration, rate};
use super::{ProcessStatus, is_recent, open};
use crate::feed::status::{JournalStatus, ProducerStatus, RejectionStatus, Status};
use crate::limits;
use crate::scan::ScanState;

pub(super) fn cards(status: &Status, process: &ProcessStatus<'_>) -> Markup {
    html! {
        @if is_new(status) { (first_event(status, &process.surroundings.socket)) }
        (feed(status))
        (open::card(status))
        (rejections(&status.rejections, status.now))
        (producers(&status.producers, status.producers_more))
        (state(status.journal.as_ref(), status.now))
        (scans(status))
        (access(process, status))
    }
}

/// Whether no event has arrived yet.
pub(super) fn is_new(status: &Status) -> bool {
    status.applied == 0 && status.rejections.is_empty()
}

/// How is the first event sent?
fn first_event(status: &Status, socket: &str) -> Markup {
    html! {
        section.wide {
            h2 { "Send the first event" }
            @if let Some(example) = &status.example {
                pre { code { "lifecycle-exporter --socket " (socket) " send " (example) } }
                p { "It appears below within five seconds. The fields are those of your own server later." }
            }
            p.soft { code { "lifecycle-exporter catalog" } " lists all events with their fields." }
        }
    }
}

/// Do events arrive?
fn feed(status: &Status) -> Markup {
    let rejected: u64 = status.rejections.iter().map(|of| of.count).sum();
    let is_recent = status.rejections.iter().any(|of| is_recent(of, status.now));
    let now = status.rates.last().copied().unwrap_or_default();
    html! {
        section.wide {
            h2 { "Feed" }
            dl.figures {
                div { dt { "lines a second now" } dd { (rate(now)) } }
                div { dt { "applied" } dd { (count(status.applied)) } }
                div { dt { "rejected" } dd.warn[is_recent] { (count(rejected)) } }
                div { dt { "connections" } dd { (status.connections) } }
            }
            (curve(&status.rates))
        }
    }
}

/// The size of the chart of rates, in its own units. The browser stretches it to the width of the card.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;

/// The rates of the last minutes, as an area chart.
fn curve(rates: &[f64]) -> Markup {
    let top = rates.iter().copied().fold(0.0, f64::max);
    let scale = if top > 0.0 { (HEIGHT - 4.0) / top } else { 0.0 };
    let step = WIDTH / (rates.len().max(2) - 1) as f64;
    let point = |(index, value): (usize, &f64)| {
        format!("{:.1},{:.1}", index as f64 * step, HEIGHT - 2.0 - value * scale)
    };
    let points = rates.iter().enumerate().map(point).collect::<Vec<String>>().join(" ");
    let minutes = limits::HISTORY_STRETCH.as_secs() as usize * rates.len() / 60;
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label={ "Lines a second over the last " (minutes) " minutes, at most " (rate(top)) } {
            polygon.area points={ "0," (HEIGHT) " " (points) " " (WIDTH) "," (HEIGHT) } {}
            polyline.curve points=(points) {}
        }
        div.axis {
            span { (minutes) " minutes ago" }
            span { "at most " (rate(top)) " lines a second" }
            span { "now" }
        }
    }
}

/// What was rejected lately, and why?
fn rejections(rejections: &[RejectionStatus], now: f64) -> Markup {
    html! {
        section {
            h2 { "Rejected" }
            @if rejections.is_empty() { p.good { "No lines were rejected." } }
            @for of in rejections {
                details id={ "rejected-" (of.reason) } {
                    summary.soft[!is_recent(of, now)] {
                        strong { (of.reason) } " "
                        (count(of.count)) @if of.count == 1 { " line, " } @else { " lines, " }
                        @if let Some(latest) = of.latest.first() { "latest " (ago(latest.at, now)) }
                        @else { "before the start" }
                    }
                    @for example in &of.latest {
                        p.soft {
                            (ago(example.at, now))
                            @if let Some(told) = &example.told { ": " (told.detail) }
                        }
                        @if let Some(told) = &example.told { pre { code { (told.line) } } }
                    }
                }
            }
        }
    }
}

/// Which producers are connected?
fn producers(producers: &[ProducerStatus], more: usize) -> Markup {
    html! {
        section {
            h2 { "Producers" }
            @if producers.is_empty() { p.soft { "No producer has opened a session." } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Producers" {
                    table.names {
                        thead {
                            tr {
                                th scope="col" { "producer" }
                                th scope="col" { "is" }
                                th.number scope="col" { "lines" }
                            }
                        }
                        tbody {
                            @for producer in producers {
                                tr {
                                    th scope="row" { (producer.name) }
                                    @if producer.connected { td.good { "connected" } }
                                    @else { td.warn { "away" } }
                                    td.number { (count(producer.lines)) }
                                }
                            }
                        }
                    }
                }
                @if more > 0 { p.soft { "and " (count(more as u64)) " more" } }
            }
        }
    }
}

/// Is the journal healthy?
fn state(journal: Option<&JournalStatus>, now: f64) -> Markup {
    html! {
        section {
            h2 { "State" }
            @if let Some(journal) = journal {
                @if journal.healthy { p.good { "The journal takes what is written." } }
                @else {
                    p.bad { "State cannot be written. The exporter continues in memory; reliable sessions wait." }
                }
                @if journal.snapshot_at > 0.0 {
                    p { (bytes(journal.bytes as f64)) " since the snapshot " (ago(journal.snapshot_at, now)) }
                } @else { p { (bytes(journal.bytes as f64)) ", no snapshot yet" } }
                @if journal.errors > 0 {
                    p.warn { (count(journal.errors)) " write failures since the start" }
                }
            } @else {
                p.soft {
                    "State is in memory only: a restart loses all counts. Set "
                    code { "[state] directory" } " to keep them."
                }
            }
        }
    }
}

/// Whether the latest finished scan was incomplete.
pub(super) fn has_failed(scan: &ScanState) -> bool {
    scan.status < 1.0 && scan.duration_seconds > 0.0
}

/// Did a scan find files?
fn scans(status: &Status) -> Markup {
    html! {
        section {
            h2 { "Scans" }
            @if status.scans.is_empty() {
                p.soft {
                    "No directories are scanned: the configuration has no section " code { "[scan NAME]" } "."
                }
            }
            @for (name, scan) in &status.scans {
                p {
                    strong { (name) } " "
                    @if has_failed(scan) { span.bad { "was not complete" } }
                    @else if scan.last_success == 0.0 { span.soft { "has not finished yet" } }
                    @else if scan.files > 0.0 {
                        span.warn {
                            (count(scan.files as u64)) @if scan.files > 1.0 { " files, " } @else { " file, " }
                            (bytes(scan.bytes))
                        }
                    }
                    @else { span.good { "no files" } }
                }
                p.soft {
                    @if scan.oldest > 0.0 { "the oldest is " (duration(status.now - scan.oldest)) " old; " }
                    "complete " (ago(scan.last_success, status.now))
                }
            }
        }
    }
}

/// The beginning of a long list; the configuration has all of it.
fn beginning(list: &str) -> String {
    match list.match_indices(", ").nth(limits::STATUS_ROWS_MAX) {
        Some((end, _)) => format!("{} and more", &list[..end]),
        None => list.to_owned(),
    }
}

/// Who has access?
fn access(process: &ProcessStatus<'_>, status: &Status) -> Markup {
    html! {
        section {
            h2 { "Access" }
            p { "Allowed: " code { (beginning(&process.allowed)) } }
            p { "Trusted proxies: " code { (beginning(&process.proxies)) } }
            @for denied in &process.denied {
                p.soft {
                    "Denied: "
                    @if status.shows_text { code { (denied.client) } } @else { "an address" }
                    ", " (count(denied.count)) @if denied.count == 1 { " time" } @else { " times" }
                    ", latest " (ago(denied.at, status.now))
                }
            }
            @if !process.denied.is_empty() {
                p.soft { "To let an address in, add it to " code { "[stats] allowed_ips" } "." }
            }
            @if !process.is_configured {
                p.bad {
                    "The configuration on disk has errors. The exporter still uses the previous one; see the log."
                }
            }
        }
    }
}
