//! A scripted day of failures, and what a real Alertmanager with the shipped configuration sends of it.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::project;
use crate::servers::Server;
use crate::support::{Response, has_program, request_body, run, wait_until};

/// What was sent: for each notification its status, its host, and the alerts in it.
type Sent = Arc<Mutex<Vec<String>>>;

/// Takes notifications until the test ends.
fn receiver() -> (SocketAddr, Sent) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sent = Sent::default();
    let notes = Arc::clone(&sent);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if let Some(notification) = read(stream) {
                notes.lock().unwrap().push(shown(&notification));
            }
        }
    });
    (address, sent)
}

fn read(mut stream: TcpStream) -> Option<Value> {
    let body = request_body(&stream).ok()?;
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    serde_json::from_slice(&body).ok()
}

fn shown(notification: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut alerts: Vec<String> = notification["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| format!("{} {}", text(&alert["status"]), text(&alert["labels"]["alertname"])))
        .collect();
    alerts.sort();
    format!("{}: {}", text(&notification["groupLabels"]["instance"]), alerts.join(", "))
}

/// An alert of the rules, with the severity that they give it, of a host or of SITE/HOST.
fn alert(name: &str, host: &str, is_over: bool) -> Value {
    let rules: String = ["recording", "signaling", "proxy", "edumeet", "vlog", "exporter"]
        .iter()
        .map(|group| fs::read_to_string(project(&format!("packaging/prometheus/rules/{group}.yml"))).unwrap())
        .collect();
    let rule = rules.split("- alert: ").find(|rule| rule.starts_with(&format!("{name}\n"))).unwrap();
    let severity = rule.split("severity: ").nth(1).unwrap().lines().next().unwrap();
    let mut labels = json!({"alertname": name, "severity": severity});
    if !host.is_empty() {
        labels["job"] = "lifecycles".into();
        let (site, instance) = host.split_once('/').unwrap_or(("", host));
        labels["instance"] = instance.into();
        if !site.is_empty() {
            labels["site"] = site.into();
        }
    }
    // It begins now: of one that is old, Alertmanager sends at once what it has.
    let mut alert = json!({"labels": labels});
    if is_over {
        alert["endsAt"] = "2026-01-01T01:00:00Z".into();
    }
    alert
}

struct Day {
    alertmanager: Server,
    sent: Sent,
    seen: usize,
}

impl Day {
    fn post(&self, alerts: &[Value]) {
        let body = Value::from(alerts.to_vec()).to_string();
        let head = "POST /api/v2/alerts HTTP/1.0\r\nHost: x\r\nContent-Type: application/json";
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let response = Response::of(self.alertmanager.address, request.as_bytes());
        assert_eq!(response.status, 200, "{response:?}");
    }

    /// These begin together. What is sent of them, in the order of hosts.
    fn expect(&mut self, begin: &[(&str, &str)], end: &[(&str, &str)], notifications: &[&str]) {
        let alerts = |of: &[(&str, &str)], is_over: bool| -> Vec<Value> {
            of.iter().map(|(name, host)| alert(name, host, is_over)).collect()
        };
        self.post(&[alerts(begin, false), alerts(end, true)].concat());
        // A further host whose alert comes after all that was posted before.
        let mark = format!("mark-{}", self.seen);
        wait_until(
            || self.sent.lock().unwrap().len() >= self.seen + notifications.len(),
            || format!("{:?}", self.sent),
        );
        self.post(&[alert("LifecycleExporterFlaps", &mark, false)]);
        wait_until(
            || self.sent.lock().unwrap().iter().any(|sent| sent.starts_with(&mark)),
            || format!("{:?}", self.sent),
        );
        let all = self.sent.lock().unwrap().clone();
        let mut new: Vec<&String> =
            all[self.seen..].iter().filter(|sent| !sent.starts_with("mark-")).collect();
        new.sort();
        assert_eq!(new, notifications, "{begin:?} {end:?}");
        self.seen = all.len();
    }
}

#[test]
fn a_day_of_failures_gives_a_notification_for_each_cause() {
    if !has_program("prometheus-alertmanager") {
        return;
    }
    let (receiver, sent) = receiver();
    let shipped = fs::read_to_string(project("packaging/prometheus/alertmanager.yml")).unwrap();
    if has_program("amtool") {
        run(Command::new("amtool").arg("check-config").arg(project("packaging/prometheus/alertmanager.yml")));
    }
    let config = shipped
        .replace("http://alerts.example.com", &format!("http://{receiver}"))
        .replace("group_wait: 30s", "group_wait: 1s")
        .replace("group_interval: 5m", "group_interval: 1s");
    let alertmanager = Server::alertmanager(&config);
    let mut day = Day { alertmanager, sent, seen: 0 };

    // The recorder's server dies: what it had open is given up, an upload breaks off.
    day.expect(
        &[
            ("LifecycleProducerMissing", "recorder-1"),
            ("LifecycleProducerRestartsOften", "recorder-1"),
            ("RecordingUploadFailed", "recorder-1"),
        ],
        &[],
        &["recorder-1: firing LifecycleProducerMissing, firing RecordingUploadFailed"],
    );
    // A recording that is lost is said beside it.
    day.expect(
        &[("RecordingFailed", "recorder-1")],
        &[],
        &["recorder-1: firing LifecycleProducerMissing, firing RecordingFailed, firing RecordingUploadFailed"],
    );
    // Another host goes down as a whole.
    day.expect(
        &[
            ("LifecycleExporterDown", "talk-1"),
            ("SignalingNoProxyAvailable", "talk-1"),
            ("SignalingBackendErrors", "talk-1"),
        ],
        &[],
        &["talk-1: firing LifecycleExporterDown"],
    );
    // A host of another site has the same name.
    day.expect(
        &[("LifecycleExporterDown", "paris/talk-3"), ("SignalingNoProxyAvailable", "frankfurt/talk-3")],
        &[],
        &["talk-3: firing LifecycleExporterDown", "talk-3: firing SignalingNoProxyAvailable"],
    );
    // Nobody is told at night what can wait for the next visit.
    day.expect(&[("LifecycleFeedSilent", "vlog-1"), ("EdumeetRoomOpenForADay", "rooms-1")], &[], &[]);
    // One cause on each of two hosts.
    day.expect(
        &[("VlogNoWorkers", "vlog-1"), ("VlogQueueLong", "vlog-1"), ("ProxyUnused", "proxy-1")],
        &[],
        &["proxy-1: firing ProxyUnused", "vlog-1: firing VlogNoWorkers, firing VlogQueueLong"],
    );
    // The host is back, and all that was wrong there is over.
    day.expect(
        &[],
        &[
            ("LifecycleExporterDown", "talk-1"),
            ("SignalingNoProxyAvailable", "talk-1"),
            ("SignalingBackendErrors", "talk-1"),
        ],
        &["talk-1: resolved LifecycleExporterDown, resolved SignalingBackendErrors, resolved SignalingNoProxyAvailable"],
    );
    // The network breaks: all exporters are away.
    day.expect(
        &[
            ("LifecycleExporterAbsent", ""),
            ("LifecycleExporterDown", "recorder-2"),
            ("LifecycleExporterDown", "talk-2"),
        ],
        &[],
        &["-: firing LifecycleExporterAbsent"],
    );
}
