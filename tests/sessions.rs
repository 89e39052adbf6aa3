//! Reliable sessions: hello, numbers, acknowledgements, rejections, take-over, restart, grace, bye, and `send`.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::session::{Session, ack};
use support::{Exporter, binary, value, wait_until};

fn started(recording: &str) -> String {
    format!("{{\"event\":\"recording.started\",\"backend\":\"b\",\"recording\":\"{recording}\"}}")
}

fn stopped(recording: &str) -> String {
    format!("{{\"event\":\"recording.stopped\",\"backend\":\"b\",\"recording\":\"{recording}\"}}")
}

const CURRENT: &str = "recording_recordings_current{backend=\"b\"}";
const TOTAL: &str = "recording_recordings_total{backend=\"b\"}";
const FAILED: &str = "recording_recordings_failed_total{backend=\"b\"}";
const ABANDONED: &str = "lifecycle_exporter_abandoned_total{system=\"recording\",entity=\"recording\"}";

fn connected(producer: &str) -> String {
    format!("lifecycle_exporter_producer_connected{{producer=\"{producer}\"}}")
}

#[test]
fn lines_are_numbered_acknowledged_and_rejected_by_number() {
    let exporter = Exporter::start("");
    let (mut session, position) = Session::begin(&exporter.socket, "talk", "f3a91c");
    assert_eq!(position, 0);
    session.send(&started("r1"));
    session.send("");
    session.send(&stopped("r1"));
    assert_eq!(session.wait_for_ack(2), [""; 0]);
    session.send(&stopped("r1"));
    assert_eq!(
        session.wait_for_ack(3),
        [r#"{"rejected":3,"reason":"not_open","detail":"no open recording for backend=b, recording=r1"}"#]
    );
    session.send(&format!("\u{1}{}", started("r2")));
    session.send(r#"{"hello":"talk","instance":"f3a91c"}"#);
    session.send(&"x".repeat(70_000));
    session.stream.write_all(b"\xff\n").unwrap();
    let rejections = session.wait_for_ack(7);
    for (rejection, (number, reason)) in
        rejections.iter().zip([(4, "malformed"), (5, "malformed"), (6, "too_long"), (7, "malformed")])
    {
        let expected = format!("{{\"rejected\":{number},\"reason\":\"{reason}\",\"detail\":\"");
        assert!(rejection.starts_with(&expected), "{rejection}");
    }
    assert_eq!(rejections.len(), 4);
    exporter.assert_law(7);
    assert_eq!(exporter.value(&connected("talk")), Some(1.0));
}

#[test]
fn a_hello_and_lines_in_one_write_are_answered_in_order() {
    let exporter = Exporter::start("");
    let mut session = Session::connect(&exporter.socket);
    session.send(&format!("\n{{\"hello\":\"p\",\"instance\":\"i\"}}\n{}\n{{\"bye\":true}}", stopped("x")));
    assert_eq!(session.reply().unwrap(), "{\"ack\":0}");
    assert!(session.reply().unwrap().starts_with("{\"rejected\":1,\"reason\":\"not_open\""));
    assert_eq!(session.reply().unwrap(), "{\"ack\":1}");
    assert_eq!(session.reply(), None);
}

#[test]
fn many_lines_are_acknowledged_in_steps_and_soon() {
    let exporter = Exporter::start("");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    let lines: String =
        (0..5_000).map(|n| format!("{{\"event\":\"proxy.load.changed\",\"load\":{n}}}\n")).collect();
    session.stream.write_all(lines.as_bytes()).unwrap();
    let mut acked = 0;
    while acked < 5_000 {
        let next = ack(&session.reply().unwrap()).unwrap();
        assert!((1..=1_024).contains(&(next - acked)), "from {acked} to {next}");
        acked = next;
    }
    let mut fastest = Duration::MAX;
    for number in 5_001..5_021 {
        let begun = Instant::now();
        session.send("{\"event\":\"proxy.load.changed\",\"load\":0}");
        session.wait_for_ack(number);
        fastest = fastest.min(begun.elapsed());
    }
    assert!(fastest < Duration::from_millis(50), "an acknowledgement took {fastest:?} at best");
}

#[test]
fn a_faulty_hello_is_answered_counted_and_ends_the_connection() {
    let exporter = Exporter::start("");
    let long = "x".repeat(201);
    for (hello, reason) in [
        (r#"{"hello":"p"}"#.to_owned(), "missing_field"),
        (r#"{"hello":"","instance":"i"}"#.to_owned(), "bad_value"),
        (format!("{{\"hello\":\"{long}\",\"instance\":\"i\"}}"), "bad_value"),
        (r#"{"hello":"p","instance":"i","owner":1}"#.to_owned(), "bad_value"),
    ] {
        let mut session = Session::connect(&exporter.socket);
        session.send(&hello);
        let reply = session.reply().unwrap();
        assert!(reply.starts_with(&format!("{{\"rejected\":0,\"reason\":\"{reason}\"")), "{reply}");
        assert_eq!(session.reply(), None);
    }
    exporter.assert_law(4);
}

#[test]
fn without_a_hello_there_is_no_reply() {
    let exporter = Exporter::start("");
    let mut session = Session::connect(&exporter.socket);
    session.send(&stopped("none"));
    session.send(r#"{"hello":"p","instance":"i"}"#);
    session.send(r#"{"bye":true}"#);
    session.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(session.reply(), None);
    exporter.assert_law(3);
    assert!(!exporter.metrics().contains("producer_connected"));
}

#[test]
fn after_a_broken_connection_it_goes_on_where_it_was() {
    let exporter = Exporter::start("");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    session.send(&started("r1"));
    session.send(&started("r2"));
    // Its end is missing: it is no line, and will come again.
    session.stream.write_all(started("r3").as_bytes()).unwrap();
    session.wait_for_ack(2);
    drop(session);
    exporter.wait_for(&connected("p"), 0.0);
    let (mut session, position) = Session::begin(&exporter.socket, "p", "i");
    assert_eq!(position, 2);
    session.send(&started("r3"));
    session.wait_for_ack(3);
    exporter.assert_law(3);
    assert_eq!(exporter.value(CURRENT), Some(3.0));
    assert_eq!(exporter.value(ABANDONED), Some(0.0));
}

#[test]
fn a_second_connection_takes_the_session_over() {
    let exporter = Exporter::start("");
    let (mut first, _) = Session::begin(&exporter.socket, "p", "i");
    first.send(&started("r1"));
    let (mut second, position) = Session::begin(&exporter.socket, "p", "i");
    // What the first had written was read before.
    assert_eq!(position, 1);
    first.wait_for_end();
    second.send(&stopped("r1"));
    second.wait_for_ack(2);
    exporter.assert_law(2);
    assert_eq!(exporter.value(&connected("p")), Some(1.0));
    assert_eq!(exporter.value("lifecycle_exporter_producers"), Some(1.0));
}

#[test]
fn a_new_instance_abandons_what_the_former_had_open() {
    let exporter = Exporter::start("");
    let (mut former, _) = Session::begin(&exporter.socket, "p", "1");
    let (mut other, _) = Session::begin(&exporter.socket, "other", "1");
    former.send(&started("r1"));
    former.send(&started("r2"));
    other.send(&started("r3"));
    other.wait_for_ack(1);
    drop(former);
    let (_new, position) = Session::begin(&exporter.socket, "p", "2");
    assert_eq!(position, 0);
    let metrics = exporter.metrics();
    assert_eq!(value(&metrics, ABANDONED), Some(2.0));
    assert_eq!(value(&metrics, FAILED), Some(2.0));
    assert_eq!(value(&metrics, CURRENT), Some(1.0));
    // The abandoned ones are gone for good: the same recording can begin anew.
    exporter.feed(started("r1") + "\n");
    exporter.wait_for(CURRENT, 2.0);
}

#[test]
fn what_does_not_come_back_within_the_grace_time_is_abandoned() {
    let exporter = Exporter::start("[events]\ngrace = 300ms\n");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    session.send(&started("r1"));
    session.send(r#"{"event":"edumeet.room.opened","room_id":"a"}"#);
    session.send(r#"{"event":"edumeet.peer.joined","room_id":"a","peer_id":"x"}"#);
    session.wait_for_ack(3);
    // A line without a session belongs to nobody.
    exporter.feed(started("r2") + "\n");
    exporter.wait_for(CURRENT, 2.0);
    drop(session);
    exporter.wait_for(ABANDONED, 1.0);
    let metrics = exporter.metrics();
    assert_eq!(value(&metrics, CURRENT), Some(1.0));
    assert_eq!(value(&metrics, FAILED), Some(1.0));
    assert_eq!(value(&metrics, &connected("p")), None, "nobody waits for it any more");
    for (entity, abandoned) in [("room", 1.0), ("peer", 1.0)] {
        let of = |name: &str| format!("lifecycle_exporter_{name}{{system=\"edumeet\",entity=\"{entity}\"}}");
        assert_eq!(value(&metrics, &of("abandoned_total")), Some(abandoned));
        assert_eq!(value(&metrics, &of("entities")), Some(0.0));
    }
    // Its position is kept for longer.
    assert_eq!(Session::begin(&exporter.socket, "p", "i").1, 3);
}

#[test]
fn who_comes_back_within_the_grace_time_keeps_what_is_open() {
    let exporter = Exporter::start("[events]\ngrace = 500ms\n");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    let (mut witness, _) = Session::begin(&exporter.socket, "w", "i");
    session.send(&started("r1"));
    witness.send(r#"{"event":"proxy.session.created","session":"1"}"#);
    session.wait_for_ack(1);
    witness.wait_for_ack(1);
    drop(session);
    drop(witness);
    let (_session, position) = Session::begin(&exporter.socket, "p", "i");
    assert_eq!(position, 1);
    // The witness stays away: its grace time is over no earlier than the other's would have been.
    exporter.wait_for("lifecycle_exporter_abandoned_total{system=\"proxy\",entity=\"session\"}", 1.0);
    assert_eq!(exporter.value(CURRENT), Some(1.0));
    assert_eq!(exporter.value(ABANDONED), Some(0.0));
}

#[test]
fn who_owns_nothing_leaves_everything_open() {
    let exporter = Exporter::start("[events]\ngrace = 0s\n");
    let tool = r#"{"hello":"tool","instance":"1","owner":false}"#;
    let (mut session, _) = Session::begin_with(&exporter.socket, tool);
    session.send(&started("r1"));
    session.send(r#"{"bye":true}"#);
    session.wait_for_ack(1);
    session.wait_for_end();
    let (mut session, position) = Session::begin_with(&exporter.socket, tool);
    assert_eq!(position, 0, "its position is forgotten");
    session.send(&started("r2"));
    session.wait_for_ack(1);
    drop(session);
    let (mut owner, _) = Session::begin(&exporter.socket, "owner", "1");
    owner.send(&started("r3"));
    owner.wait_for_ack(1);
    drop(owner);
    exporter.wait_for(ABANDONED, 1.0);
    assert_eq!(exporter.value(CURRENT), Some(2.0));
}

#[test]
fn a_bye_ends_with_a_last_acknowledgement_and_abandons_at_once() {
    let exporter = Exporter::start("");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    session.send(&started("r1"));
    session.wait_for_ack(1);
    session.send(r#"{"bye":true}"#);
    assert_eq!(session.reply().unwrap(), "{\"ack\":1}");
    assert_eq!(session.reply(), None);
    let metrics = exporter.metrics();
    assert_eq!(value(&metrics, ABANDONED), Some(1.0));
    assert!(!metrics.contains("producer_connected{"), "it is forgotten");
    assert_eq!(Session::begin(&exporter.socket, "p", "i").1, 0);
    exporter.assert_law(2);
}

#[test]
fn who_says_bye_and_leaves_at_once_is_forgotten_too() {
    let exporter = Exporter::start("");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    session.send(&started("r1"));
    session.wait_for_ack(1);
    session.send(r#"{"bye":true}"#);
    drop(session);
    wait_until(|| !exporter.metrics().contains("producer_connected{"), || "it is not forgotten".to_owned());
    assert_eq!(exporter.value(ABANDONED), Some(1.0));
}

#[test]
fn an_older_instance_that_comes_back_abandons_nothing() {
    let exporter = Exporter::start("");
    let (old, _) = Session::begin(&exporter.socket, "p", "old");
    let (mut new, _) = Session::begin(&exporter.socket, "p", "new");
    new.send(&started("r1"));
    new.wait_for_ack(1);
    drop(old);
    assert_eq!(Session::begin(&exporter.socket, "p", "old").1, 0);
    assert_eq!(exporter.value(CURRENT), Some(1.0));
}

#[test]
fn who_gives_up_owning_still_abandons_what_it_owned() {
    let exporter = Exporter::start("");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "1");
    session.send(&started("r1"));
    session.wait_for_ack(1);
    let (again, position) =
        Session::begin_with(&exporter.socket, r#"{"hello":"p","instance":"1","owner":false}"#);
    assert_eq!(position, 1);
    drop(again);
    let (_next, _) = Session::begin(&exporter.socket, "p", "2");
    assert_eq!(exporter.value(ABANDONED), Some(1.0));
}

#[test]
fn a_hello_may_be_written_in_any_json() {
    let exporter = Exporter::start("");
    let (_session, position) =
        Session::begin_with(&exporter.socket, r#"{ "h\u0065llo" : "p", "instance" : "\u0069" }"#);
    assert_eq!(position, 0);
    assert_eq!(exporter.value(&connected("p")), Some(1.0));
}

#[test]
fn a_long_line_without_its_end_is_no_line() {
    let exporter = Exporter::start("");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    session.send(&started("r1"));
    session.stream.write_all("x".repeat(200_000).as_bytes()).unwrap();
    session.wait_for_ack(1);
    drop(session);
    exporter.wait_for(&connected("p"), 0.0);
    let (mut session, position) = Session::begin(&exporter.socket, "p", "i");
    assert_eq!(position, 1);
    session.send(&"x".repeat(200_000));
    assert!(session.wait_for_ack(2)[0].starts_with("{\"rejected\":2,\"reason\":\"too_long\""));
    exporter.assert_law(2);
}

#[test]
fn newcomers_do_not_push_out_who_has_something_open() {
    let exporter = Exporter::start("[events]\ngrace = 1h\nmax_connections = 100\n");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    session.send(&started("r1"));
    session.wait_for_ack(1);
    drop(session);
    for wave in 0..190 {
        let mut newcomers: Vec<Session> = (0..90).map(|_| Session::connect(&exporter.socket)).collect();
        for (number, newcomer) in newcomers.iter_mut().enumerate() {
            newcomer.send(&format!("{{\"hello\":\"n{wave}-{number}\",\"instance\":\"i\"}}"));
        }
        for newcomer in &mut newcomers {
            newcomer.wait_for_ack(0);
        }
    }
    assert_eq!(exporter.value(CURRENT), Some(1.0));
    assert_eq!(Session::begin(&exporter.socket, "p", "i").1, 1);
}

#[test]
fn a_producer_that_does_not_read_harms_nobody() {
    let exporter = Exporter::start("");
    let (mut deaf, _) = Session::begin(&exporter.socket, "deaf", "i");
    let faulty = format!("{}\n", stopped("none")).repeat(200);
    let writer = std::thread::spawn(move || {
        // Its rejections fill all buffers; it is read no further until its patience is over, then it is again.
        for _ in 0..100 {
            deaf.stream.write_all(faulty.as_bytes()).unwrap();
        }
        deaf
    });
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    for number in 1..200 {
        session.send("{\"event\":\"proxy.load.changed\",\"load\":0}");
        session.wait_for_ack(number);
    }
    let mut deaf = writer.join().unwrap();
    exporter.wait_for("lifecycle_exporter_events_rejected_total{reason=\"not_open\"}", 20_000.0);
    // Once it listens it hears how far it has come.
    deaf.wait_for_ack(20_000);
    deaf.send(&started("r1"));
    deaf.wait_for_ack(20_001);
}

#[test]
fn a_producer_that_closes_its_reading_side_is_heard_to_its_end() {
    let exporter = Exporter::start("");
    let (mut session, _) = Session::begin(&exporter.socket, "p", "i");
    session.stream.shutdown(std::net::Shutdown::Read).unwrap();
    for number in 0..2_000 {
        session.send(&started(&number.to_string()));
    }
    drop(session);
    exporter.wait_for(CURRENT, 2_000.0);
}

#[test]
fn sessions_of_many_producers_do_not_mix() {
    let exporter = Exporter::start("");
    let threads: Vec<_> = (0..20)
        .map(|producer| {
            let socket = exporter.socket.clone();
            std::thread::spawn(move || {
                let (mut session, _) = Session::begin(&socket, &format!("p{producer}"), "i");
                for number in 1..=50 {
                    session.send(&started(&format!("{producer}-{number}")));
                }
                session.wait_for_ack(50);
                session
            })
        })
        .collect();
    let sessions: Vec<Session> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(exporter.value(TOTAL), Some(1_000.0));
    assert_eq!(sessions.len(), 20);
    let metrics = exporter.metrics();
    assert_eq!(metrics.matches("producer_connected{").count(), 20);
}

fn send(socket: &std::path::Path, args: &[&str]) -> Child {
    let mut command = binary();
    command.args(["send", "--config", "/dev/null", "--socket"]).arg(socket).args(args);
    command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The exit code and what was said.
fn output(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn send_prints_rejections_with_the_lines_of_its_input() {
    let exporter = Exporter::start("");
    let mut child = send(&exporter.socket, &["-", "--progress"]);
    let input =
        format!("{}\n\n{}\n{{\"bye\":true}}\n{}\n{}", started("1"), stopped("2"), stopped("3"), stopped("1"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let (code, said) = output(child);
    assert_eq!(code, Some(1));
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said[0], "line 4: malformed: expected an event; send says hello and bye itself");
    let mut rejected: Vec<&str> = said[..3].to_vec();
    rejected.sort_unstable();
    assert_eq!(rejected[0], "line 3: not_open: no open recording for backend=b, recording=2");
    assert_eq!(rejected[2], "line 5: not_open: no open recording for backend=b, recording=3");
    assert!(said[3].starts_with("4 lines acknowledged, "), "{said:?}");
    assert_eq!(said[4], "lifecycle-exporter: 3 lines were rejected");
    assert_eq!(exporter.value(TOTAL), Some(1.0));
    assert!(!exporter.metrics().contains("producer=\"send\""), "it has said bye");
    let (code, said) = output(send(&exporter.socket, &["recording.stopped", "backend=b", "recording=4"]));
    assert_eq!(code, Some(1));
    assert!(said.starts_with("line 1: not_open: no open recording"), "{said}");
}

#[test]
fn send_goes_on_after_a_broken_connection() {
    let exporter = Exporter::start("");
    // Between the two, a relay that breaks each connection after some bytes.
    let path = exporter.directory.path().join("relay.sock");
    let relay = UnixListener::bind(&path).unwrap();
    let target = exporter.socket.clone();
    std::thread::spawn(move || {
        for (index, from) in relay.incoming().enumerate() {
            let (mut from, mut to) = (from.unwrap(), UnixStream::connect(&target).unwrap());
            let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
            std::thread::spawn(move || drop(std::io::copy(&mut back_from, &mut back_to)));
            let mut left = if index < 5 { 30_011 } else { usize::MAX };
            let mut chunk = [0; 1_000];
            while left > 0 {
                let most = chunk.len().min(left);
                let Ok(count @ 1..) = from.read(&mut chunk[..most]) else { break };
                to.write_all(&chunk[..count]).unwrap();
                left -= count;
            }
            let _ = (to.shutdown(std::net::Shutdown::Both), from.shutdown(std::net::Shutdown::Both));
        }
    });
    let mut child = send(&path, &["-"]);
    let lines: String = (0..10_000).map(|number| started(&number.to_string()) + "\n").collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let (code, said) = output(child);
    assert_eq!((code, exporter.value(TOTAL)), (Some(0), Some(10_000.0)), "{said}");
    exporter.assert_law(10_000);
}

#[test]
fn send_waits_for_an_exporter_that_is_restarted() {
    let mut exporter = Exporter::start("[state]\ndirectory = {directory}/state\n");
    let mut child = send(&exporter.socket, &["-"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all((started("1") + "\n").as_bytes()).unwrap();
    exporter.wait_for(TOTAL, 1.0);
    exporter.kill();
    input.write_all((started("2") + "\n").as_bytes()).unwrap();
    exporter.spawn_again();
    exporter.wait_for_start();
    input.write_all((started("3") + "\n").as_bytes()).unwrap();
    drop(input);
    let (code, said) = output(child);
    assert_eq!((code, exporter.value(TOTAL)), (Some(0), Some(3.0)), "{said}");
    wait_until(|| !exporter.metrics().contains("producer=\"send\""), || "its bye was not heard".to_owned());
}
