use super::*;
use std::net::IpAddr;

use crate::feed::status::{
    EntityStatus, JournalStatus, OpenStatus, ProducerStatus, RejectionExample, RejectionStatus, SystemStatus,
    Told,
};
use crate::limits;
use crate::protocol::rejection::Reason;
use crate::scan::ScanState;

fn process() -> ProcessStatus<'static> {
    static SURROUNDINGS: Surroundings = Surroundings { socket: String::new(), is_demo: false };
    let denied = |last: u8| Denial { client: IpAddr::from([192, 0, 2, last]), count: 2, at: 999_940.0 };
    ProcessStatus {
        allowed: "127.0.0.1/32, ::1/128".to_owned(),
        proxies: "none".to_owned(),
        is_configured: true,
        silent: Vec::new(),
        denied: (0..10).map(denied).collect(),
        surroundings: &SURROUNDINGS,
    }
}

/// Text that would be harmful if it were markup.
const HOSTILE: &str = "</code><script>alert(1)</script>\"' onload=x ";

/// The largest status that the feed sends with the built-in systems, with this text in every place.
fn large(text: &str) -> Status {
    let long = |chars| text.chars().cycle().take(chars).collect::<String>();
    let value = long(limits::STATUS_VALUE_CHARS_MAX);
    let system = |number: usize| SystemStatus {
        name: format!("system{number}"),
        title: "A system".to_owned(),
        entities: (0..6)
            .map(|_| EntityStatus {
                name: "entity".to_owned(),
                open: 1_000_000,
                abandoned: 12,
                oldest: (0..limits::STATUS_OPEN_MAX)
                    .map(|_| OpenStatus {
                        age_seconds: 90_000.0,
                        key: Some(value.clone()),
                        producer: Some(value.clone()),
                    })
                    .collect(),
            })
            .collect(),
    };
    let scan = ScanState {
        files: 3.0,
        status: 1.0,
        duration_seconds: 0.1,
        last_success: 999_000.0,
        ..ScanState::default()
    };
    Status {
        now: 1_000_000.0,
        uptime_seconds: 61.0,
        rates: vec![123.0; limits::HISTORY_STRETCHES],
        applied: 12,
        connections: 3,
        systems: (0..5).map(system).collect(),
        rejections: Reason::ALL
            .iter()
            .map(|reason| RejectionStatus {
                reason: reason.name(),
                count: 3,
                latest: (0..limits::REJECTIONS_KEPT)
                    .map(|_| RejectionExample {
                        at: 996_000.0,
                        told: Some(Told {
                            detail: long(limits::STATUS_LINE_CHARS_MAX),
                            line: long(limits::STATUS_LINE_CHARS_MAX),
                        }),
                    })
                    .collect(),
            })
            .collect(),
        producers: (0..limits::STATUS_PRODUCERS_MAX)
            .map(|_| ProducerStatus { name: value.clone(), connected: true, lines: 1_000 })
            .collect(),
        producers_away: 0,
        producers_more: 7,
        scans: vec![("recordings".to_owned(), scan)],
        example: None,
        shows_text: true,
        journal: Some(JournalStatus { healthy: true, bytes: 1_536, errors: 0, snapshot_at: 999_940.0 }),
    }
}

#[test]
fn text_of_events_is_escaped_and_the_policy_lets_no_other_script_run() {
    let Page { html, policy } = page(Some(&large(HOSTILE)), &process());
    assert!(!html.contains("<script>") && !html.contains("\"' onload"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
    assert_eq!(html.matches("<script").count(), 1);
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(html.contains(&format!("<script nonce=\"{nonce}\">")), "{policy}");
    assert_ne!(page(None, &process()).policy, policy, "a nonce is used once");
}

#[test]
fn the_page_is_small_and_asks_for_nothing_from_elsewhere() {
    let Page { html, .. } = page(Some(&large("\"")), &process());
    assert!(html.len() <= 500_000, "{} bytes", html.len());
    for address in ["http://", "https://", "src=", "url(", "@import"] {
        assert!(!html.contains(address), "{address}");
    }
    assert!(!html.contains("href=\"/"), "a proxy may serve the page under any path");
}

#[test]
fn a_new_exporter_shows_how_to_send_an_event() {
    let surroundings = Surroundings { socket: "/run/x/events.sock".to_owned(), is_demo: true };
    let process = ProcessStatus { surroundings: &surroundings, ..process() };
    let example = Some("recording.started backend=example recording=example".to_owned());
    let html = page(Some(&Status { example, ..Status::default() }), &process).html;
    for expected in [
        "Waiting for the first event",
        "lifecycle-exporter --socket /run/x/events.sock send recording.started backend=example recording=example",
        "This is a demo",
    ] {
        assert!(html.contains(expected), "{expected}");
    }
    let html = page(Some(&large("x")), &self::process()).html;
    assert!(!html.contains("Send the first event") && !html.contains("This is a demo"));
}

#[test]
fn denied_clients_are_named_unless_addresses_are_private() {
    let html = |shows_text| page(Some(&Status { shows_text, ..large("x") }), &process()).html;
    assert!(html(true).contains("Denied: <code>192.0.2.7</code>, 2 times, latest 1 min 0 s ago"));
    assert!(html(false).contains("Denied: an address, 2 times") && !html(false).contains("192.0.2.7"));
}

#[test]
fn a_rejection_fades_after_an_hour() {
    let summary = |seconds| {
        let mut status = large("x");
        status.rejections.truncate(1);
        status.rejections[0].latest[0].at = status.now - seconds;
        let html = page(Some(&status), &process()).html;
        (html.contains("<summary class=\"soft\">"), html.contains("<dd class=\"warn\">3</dd>"))
    };
    assert_eq!(summary(3_590.0), (false, true));
    assert_eq!(summary(3_610.0), (true, false));
}

#[test]
fn what_needs_attention_comes_first() {
    let said = |change: fn(&mut Status, &mut ProcessStatus)| {
        let (mut status, mut process) = (large(HOSTILE), process());
        change(&mut status, &mut process);
        let html = page(Some(&status), &process).html;
        let start = html.find("id=\"verdict\"").unwrap();
        html[start..].split(['<', '>']).nth(1).unwrap().to_owned()
    };
    assert_eq!(said(|_, _| {}), "All is well");
    assert_eq!(said(|_, process| process.silent.push("feed")), "Attention: feed makes no progress");
    assert_eq!(
        said(|_, process| process.is_configured = false),
        "Attention: the configuration on disk is faulty"
    );
    assert_eq!(
        said(|status, _| status.journal.as_mut().unwrap().healthy = false),
        "Attention: state cannot be written"
    );
    assert_eq!(said(|status, _| status.scans[0].1.status = -1.0), "Attention: a scan was not complete");
    assert_eq!(said(|status, _| status.producers_away = 1), "Attention: 1 producer is away");
    assert_eq!(
        said(|status, _| status.rejections[0].latest[0].at = status.now - 60.0),
        "Attention: lines were rejected"
    );
    assert!(page(None, &process()).html.contains("the feed does not answer"));
}
