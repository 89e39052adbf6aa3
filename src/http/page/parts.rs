//! The cards of the status page. Each answers one question of an operator.

use maud::{Markup, html};

use super::ProcessStatus;
use super::words::{ago, bytes, count, duration, rate};
use crate::feed::status::{
    EntityStatus, JournalStatus, ProducerStatus, RejectionStatus, Status, SystemStatus,
};
use crate::limits;
use crate::scan::ScanState;

pub(super) fn cards(status: &Status, process: &ProcessStatus) -> Markup {
    html! {
        (feed(status))
        (open(status))
        (rejections(&status.rejections, status.now))
        (producers(&status.producers, status.producers_more))
        (state(status.journal.as_ref(), status.now))
        (scans(status))
        (access(process))
    }
}

/// Do events arrive?
fn feed(status: &Status) -> Markup {
    let rejected: u64 = status.rejections.iter().map(|of| of.count).sum();
    let now = status.rates.last().copied().unwrap_or_default();
    html! {
        section.wide {
            h2 { "Feed" }
            dl.figures {
                div { dt { "lines a second now" } dd { (rate(now)) } }
                div { dt { "applied" } dd { (count(status.applied)) } }
                div { dt { "rejected" } dd.warn[rejected > 0] { (count(rejected)) } }
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

/// What is open now, and for how long?
fn open(status: &Status) -> Markup {
    html! {
        section.wide {
            h2 { "Open now" }
            @if status.systems.is_empty() {
                p.soft { "No system has sent an event yet. A system appears here with its first event." }
            }
            @for system in &status.systems { (system_card(system)) }
        }
    }
}

fn system_card(system: &SystemStatus) -> Markup {
    let (busy, idle): (Vec<&EntityStatus>, Vec<&EntityStatus>) =
        system.entities.iter().partition(|entity| entity.open > 0 || entity.abandoned > 0);
    let idle = idle.iter().map(|entity| entity.name.as_str()).collect::<Vec<&str>>().join(", ");
    html! {
        h3 { a href={ "/metrics?system=" (system.name) } { (system.name) } " " span.soft { (system.title) } }
        @if !busy.is_empty() {
            div.scroll tabindex="0" role="region" aria-label={ "Open in " (system.name) } {
                table.open {
                    thead {
                        tr {
                            th scope="col" { "entity" }
                            th.number scope="col" { "open" }
                            th.number scope="col" { "abandoned" }
                            th.number scope="col" { "oldest" }
                            th scope="col" { "which" }
                        }
                    }
                    tbody { @for entity in busy { (entity_row(entity)) } }
                }
            }
        }
        @if !idle.is_empty() { p.soft { "None open: " (idle) } }
    }
}

fn entity_row(entity: &EntityStatus) -> Markup {
    html! {
        tr {
            th scope="row" { (entity.name) }
            td.number { (count(entity.open as u64)) }
            td.number { (count(entity.abandoned)) }
            @if let Some((age, key)) = &entity.oldest {
                td.number { (duration(*age)) }
                td { @if let Some(key) = key { code { (key) } } @else { span.soft { "hidden" } } }
            } @else { td.number.soft { "none" } td {} }
        }
    }
}

/// What was rejected, and why?
fn rejections(rejections: &[RejectionStatus], now: f64) -> Markup {
    html! {
        section {
            h2 { "Rejected" }
            @if rejections.is_empty() { p.good { "No lines were rejected." } }
            @for of in rejections {
                p { strong { (of.reason) } " " span.soft { (count(of.count)) } }
                @if let Some(latest) = &of.latest {
                    p.soft {
                        "latest " (ago(latest.at, now))
                        @if let Some(told) = &latest.told { ": " (told.detail) }
                    }
                    @if let Some(told) = &latest.told { pre { code { (told.line) } } }
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
fn access(process: &ProcessStatus) -> Markup {
    html! {
        section {
            h2 { "Access" }
            p { "Allowed: " code { (beginning(&process.allowed)) } }
            p { "Trusted proxies: " code { (beginning(&process.proxies)) } }
            @if !process.is_configured {
                p.bad {
                    "The configuration on disk has errors. The exporter still uses the previous one; see the log."
                }
            }
        }
    }
}
