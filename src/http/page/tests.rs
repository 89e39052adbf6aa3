use super::*;
use crate::feed::status::{
    EntityStatus, JournalStatus, ProducerStatus, RejectionExample, RejectionStatus, SystemStatus, Told,
};
use crate::limits;
use crate::protocol::rejection::Reason;
use crate::scan::ScanState;

fn process() -> ProcessStatus {
    ProcessStatus {
        allowed: "127.0.0.1/32, ::1/128".to_owned(),
        proxies: "none".to_owned(),
        is_configured: true,
        silent: Vec::new(),
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
                oldest: Some((90_000.0, Some(value.clone()))),
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
                latest: Some(RejectionExample {
                    at: 999_000.0,
                    told: Some(Told {
                        detail: long(limits::STATUS_LINE_CHARS_MAX),
                        line: long(limits::STATUS_LINE_CHARS_MAX),
                    }),
                }),
            })
            .collect(),
        producers: (0..limits::STATUS_PRODUCERS_MAX)
            .map(|_| ProducerStatus { name: value.clone(), connected: true, lines: 1_000 })
            .collect(),
        producers_away: 0,
        producers_more: 7,
        scans: vec![("recordings".to_owned(), scan)],
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
    assert!(html.len() <= 60_000, "{} bytes", html.len());
    for address in ["http://", "https://", "src=", "url(", "@import"] {
        assert!(!html.contains(address), "{address}");
    }
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
    assert_eq!(said(|status, _| status.producers_away = 1), "Attention: 1 producers are away");
    assert_eq!(
        said(|status, _| status.rejections[0].latest.as_mut().unwrap().at = status.now - 60.0),
        "Attention: lines were rejected"
    );
    assert!(page(None, &process()).html.contains("the feed does not answer"));
}
