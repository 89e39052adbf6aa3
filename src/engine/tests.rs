//! Properties of random sequences of events, checked against a model that keeps plain sets, and single cases.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::catalog::model::{
    Addition, Amount, AmountRange, AmountSource, Change, EventPlan, FieldUse, Step, Verb,
};
use crate::catalog::{self, read_catalog};

fn engine_with(catalogs: &[Arc<Catalog>], settings: EngineSettings) -> Engine {
    let mut engine = Engine::default();
    assert!(engine.configure(catalogs, settings, 0.0).is_empty());
    engine
}

fn engine() -> Engine {
    engine_with(&catalog::load(None).unwrap().all, EngineSettings::from(&Settings::default()))
}

fn exposition(engine: &mut Engine) -> String {
    let mut out = Vec::new();
    engine.render(&[], &[], 1_000.0, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn sum(text: &str, metric: &str) -> f64 {
    let of = |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text.lines().filter(of).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// What a signaling server reports. Few names, so that events concern the same entities.
#[derive(Debug, Clone)]
enum Event {
    Join(u8),
    Leave(u8),
    OpenRoom(u8),
    CloseRoom(u8),
    JoinRoom(u8, u8),
    LeaveRoom(u8, u8),
    JoinCall(u8, u8),
    LeaveCall(u8, u8),
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => (0_u8..5).prop_map(Event::Join),
        4 => (0_u8..5).prop_map(Event::Leave),
        6 => (0_u8..3).prop_map(Event::OpenRoom),
        2 => (0_u8..3).prop_map(Event::CloseRoom),
        16 => (0_u8..3, 0_u8..5).prop_map(|(room, session)| Event::JoinRoom(room, session)),
        4 => (0_u8..3, 0_u8..5).prop_map(|(room, session)| Event::LeaveRoom(room, session)),
        16 => (0_u8..3, 0_u8..5).prop_map(|(room, session)| Event::JoinCall(room, session)),
        4 => (0_u8..3, 0_u8..5).prop_map(|(room, session)| Event::LeaveCall(room, session)),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 0..120)
}

/// The same state in plain sets.
#[derive(Debug, Default, Clone, PartialEq)]
struct Model {
    sessions: BTreeSet<u8>,
    rooms: BTreeSet<u8>,
    in_room: BTreeSet<(u8, u8)>,
    in_call: BTreeSet<(u8, u8)>,
}

impl Model {
    /// Whether the event is applied.
    fn apply(&mut self, event: &Event) -> bool {
        match *event {
            Event::Join(session) => self.sessions.insert(session),
            Event::Leave(session) => {
                self.in_room.retain(|(_, other)| *other != session);
                self.in_call.retain(|(_, other)| *other != session);
                self.sessions.remove(&session)
            }
            Event::OpenRoom(room) => self.rooms.insert(room),
            Event::CloseRoom(room) => {
                self.in_room.retain(|(other, _)| *other != room);
                self.in_call.retain(|(other, _)| *other != room);
                self.rooms.remove(&room)
            }
            Event::JoinRoom(room, session) => {
                self.rooms.contains(&room)
                    && self.sessions.contains(&session)
                    && self.in_room.insert((room, session))
            }
            Event::LeaveRoom(room, session) => {
                self.in_call.remove(&(room, session));
                self.in_room.remove(&(room, session))
            }
            Event::JoinCall(room, session) => {
                self.in_room.contains(&(room, session)) && self.in_call.insert((room, session))
            }
            Event::LeaveCall(room, session) => self.in_call.remove(&(room, session)),
            Event::Restart => {
                *self = Model::default();
                true
            }
        }
    }
}

fn line(event: &Event) -> String {
    let about = |name: &str, room: u8, session: u8| {
        format!(
            "{{\"event\":\"signaling.{name}\",\"backend\":\"b\",\"room\":\"{room}\",\"session\":\"{session}\"}}"
        )
    };
    match *event {
        Event::Join(session) => {
            let kind = if session % 2 == 0 { "client" } else { "internal" };
            format!(
                "{{\"event\":\"signaling.session.joined\",\"session\":\"{session}\",\"backend\":\"b\",\"clienttype\":\"{kind}\"}}"
            )
        }
        Event::Leave(session) => about("session.left", 0, session),
        Event::OpenRoom(room) => about("room.opened", room, 0),
        Event::CloseRoom(room) => about("room.closed", room, 0),
        Event::JoinRoom(room, session) => about("room.joined", room, session),
        Event::LeaveRoom(room, session) => about("room.left", room, session),
        Event::JoinCall(room, session) => about("call.joined", room, session),
        Event::LeaveCall(room, session) => about("call.left", room, session),
        Event::Restart => "{\"event\":\"signaling.server_started\"}".to_owned(),
    }
}

/// In tests few are many.
#[test]
fn a_parent_of_many_closes_with_all_of_them_at_once_for_whoever_looks() {
    let mut engine = engine();
    engine.apply(&line(&Event::OpenRoom(1)), 0.0).unwrap();
    for session in 0..9 {
        engine.apply(&line(&Event::Join(session)), 0.0).unwrap();
        engine.apply(&line(&Event::JoinRoom(1, session)), 0.0).unwrap();
    }
    engine.apply_for(&line(&Event::CloseRoom(1)), 0.0, LineSource::unowned(Origin::Producer)).unwrap();
    assert!(engine.is_busy());
    let seen = exposition(&mut engine);
    let open = |engine: &Engine| -> Vec<(String, usize)> {
        let counts = engine.counts(0.0).into_iter().flat_map(|counts| counts.kinds);
        counts.map(|kind| (kind.entity.to_owned(), kind.open)).filter(|(_, open)| *open > 0).collect()
    };
    assert_eq!(open(&engine), [("session".to_owned(), 9)]);
    engine.finish(&mut |_| {});
    assert_eq!(exposition(&mut engine), seen);
    assert_eq!(open(&engine), [("session".to_owned(), 9)]);
    engine.apply(&line(&Event::OpenRoom(1)), 0.0).unwrap();
    engine.apply(&line(&Event::JoinRoom(1, 0)), 0.0).unwrap();
}

/// What is within both of them is removed once, before either.
#[test]
fn two_parents_of_many_close_in_one_event() {
    let text = "[system]\nname = t\ntitle = t\n[entity a]\nkey = a\n[entity b]\nkey = b\n\
                [entity link]\nkey = a, b, n\nwithin = a, b\n\
                [metric t_links]\ntype = gauge\nhelp = h\nlive = link\n\
                [event t.open]\nopen = a\n[event t.also]\nopen = b\n[event t.link]\nopen = link\n\
                [event t.end]\nclose = a, b\n";
    let catalog = Arc::new(read_catalog("t.ini", text).unwrap());
    for links in [1, 2, 9] {
        let mut engine = engine_with(&[Arc::clone(&catalog)], EngineSettings::from(&Settings::default()));
        for (a, b) in [(1, 1), (2, 2)] {
            engine.apply(&format!(r#"{{"event":"t.open","a":{a}}}"#), 0.0).unwrap();
            engine.apply(&format!(r#"{{"event":"t.also","b":{b}}}"#), 0.0).unwrap();
        }
        for n in 0..links {
            // Of b=1 there is one alone, and it is within a=1, too.
            for (a, b) in
                [(1, 2), (1, if n == 0 { 1 } else { 2 })].into_iter().take(if n == 0 { 2 } else { 1 })
            {
                engine.apply(&format!(r#"{{"event":"t.link","a":{a},"b":{b},"n":{n}}}"#), 0.0).unwrap();
            }
        }
        engine.apply(r#"{"event":"t.end","a":1,"b":1}"#, 0.0).unwrap();
        assert!(exposition(&mut engine).contains("t_links 0\n"), "{}", exposition(&mut engine));
        let open: usize = engine.counts(0.0)[0].kinds.iter().map(|kind| kind.open).sum();
        assert_eq!(open, 2, "a=2 and b=2");
        engine.apply(r#"{"event":"t.open","a":1}"#, 0.0).unwrap();
        engine.apply(r#"{"event":"t.end","a":2,"b":2}"#, 0.0).unwrap();
    }
}

proptest! {
    #[test]
    fn live_gauges_equal_open_entities_and_a_rejected_event_changes_nothing(events in events()) {
        let (mut engine, mut model) = (engine(), Model::default());
        for event in &events {
            let before = exposition(&mut engine);
            let applied = engine.apply(&line(event), 1.0);
            prop_assert_eq!(applied.is_ok(), model.apply(event), "{:?}: {:?}", event, applied);
            let text = exposition(&mut engine);
            if applied.is_err() {
                prop_assert_eq!(&text, &before);
            }
            for (metric, open) in [
                ("signaling_hub_sessions", model.sessions.len()),
                ("signaling_hub_rooms", model.rooms.len()),
                ("signaling_room_sessions", model.in_room.len()),
                ("signaling_call_sessions", model.in_call.len()),
            ] {
                prop_assert_eq!(sum(&text, metric) as usize, open, "{} after {:?}", metric, event);
            }
            let open: usize = engine.counts(1.0).iter().flat_map(|counts| &counts.kinds).map(|kind| kind.open).sum();
            prop_assert_eq!(open, model.sessions.len() + model.rooms.len() + model.in_room.len() + model.in_call.len());
        }
    }

    #[test]
    fn a_close_leaves_nothing_owned_behind(events in events()) {
        let mut engine = engine();
        for event in &events {
            let _ = engine.apply(&line(event), 1.0);
        }
        for room in 0..3 {
            let _ = engine.apply(&line(&Event::CloseRoom(room)), 1.0);
        }
        let text = exposition(&mut engine);
        prop_assert!(!text.contains("signaling_room_sessions") && !text.contains("signaling_call_sessions{"), "{}", text);
    }

    #[test]
    fn no_line_panics(line in "\\{\"event\":\"(signaling|vlog|edumeet)\\.[a-z_.]{0,20}\"(,\"[a-z_]{1,8}\":(\"[a-z]{0,3}\"|[0-9e.-]{1,5}|null|\\{\\}))*\\}") {
        let _ = engine().apply(&line, 1.0);
    }
}

/// A catalog whose events do several things to entities at once.
const SEVERAL: &str = "
[system]
name = t
title = t
[entity a]
key = a
labels = colour
[entity b]
key = b
within = a
[metric t_a]
type = gauge
help = h
labels = colour
live = a
[metric t_b]
type = gauge
help = h
labels = colour, a
live = b
owner = a
[metric t_total]
type = counter
help = h
labels = a
[metric t_seconds]
type = counter
help = h
[event t.open]
open = a
[event t.both]
open = a, b
inc = t_total
[event t.child]
open = b
[event t.again]
close = a
open = a
add = t_seconds from elapsed
[event t.swap]
close = a
open = b
[event t.fresh]
reset = t
open = a
[event t.paint]
update = a
";

fn several(entities_max: usize) -> Engine {
    let catalog = Arc::new(read_catalog("t.ini", SEVERAL).unwrap());
    engine_with(
        &[catalog],
        EngineSettings { startup: vec![], entities_max, ..EngineSettings::from(&Settings::default()) },
    )
}

fn reason(applied: Result<(), Rejection>) -> Result<(), Reason> {
    applied.map_err(|rejection| rejection.reason)
}

fn check(steps: &[(&str, Result<(), Reason>)], expected: &str) {
    let mut engine = several(100);
    for (index, (line, result)) in steps.iter().enumerate() {
        assert_eq!(reason(engine.apply(line, index as f64)), *result, "{line}");
    }
    let text = exposition(&mut engine);
    let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(values.join("\n"), expected);
}

#[test]
fn an_event_may_open_a_parent_and_its_child() {
    check(
        &[(r#"{"event":"t.both","a":"1","b":"2","colour":"red"}"#, Ok(()))],
        "t_a{colour=\"red\"} 1\nt_b{colour=\"red\",a=\"1\"} 1\nt_seconds 0\nt_total{a=\"1\"} 1",
    );
}

#[test]
fn an_event_may_close_and_open_the_same_key() {
    check(
        &[
            (r#"{"event":"t.again","a":"1","colour":"red"}"#, Err(Reason::NotOpen)),
            (r#"{"event":"t.open","a":"1","colour":"red"}"#, Ok(())),
            (r#"{"event":"t.child","a":"1","b":"2"}"#, Ok(())),
            (r#"{"event":"t.again","a":"1","colour":"blue"}"#, Ok(())),
        ],
        "t_a{colour=\"blue\"} 1\nt_a{colour=\"red\"} 0\nt_seconds 2",
    );
}

#[test]
fn what_an_event_has_closed_is_no_parent_for_what_it_opens() {
    check(
        &[
            (r#"{"event":"t.open","a":"1","colour":"red"}"#, Ok(())),
            (r#"{"event":"t.swap","a":"1","b":"2"}"#, Err(Reason::NotOpen)),
        ],
        "t_a{colour=\"red\"} 1\nt_seconds 0",
    );
}

#[test]
fn a_reset_makes_room_for_what_follows_it() {
    check(
        &[
            (r#"{"event":"t.both","a":"1","b":"2","colour":"red"}"#, Ok(())),
            (r#"{"event":"t.fresh","a":"1","colour":"blue"}"#, Ok(())),
        ],
        "t_a{colour=\"blue\"} 1\nt_seconds 0",
    );
}

#[test]
fn the_call_that_a_session_begins_takes_no_place_under_the_limit() {
    let settings = EngineSettings { entities_max: 5, ..EngineSettings::from(&Settings::default()) };
    let mut engine = engine_with(&catalog::load(None).unwrap().all, settings);
    let joined = r#"{"event":"signaling.call.joined","backend":"b","room":"r","session":"s"}"#;
    let lines = [
        r#"{"event":"signaling.backend.added","backend":"b"}"#,
        r#"{"event":"signaling.session.joined","backend":"b","session":"s","clienttype":"client"}"#,
        r#"{"event":"signaling.room.opened","backend":"b","room":"r"}"#,
        r#"{"event":"signaling.room.joined","backend":"b","room":"r","session":"s"}"#,
        joined,
    ];
    for line in lines {
        assert_eq!(engine.apply(line, 1.0), Ok(()), "{line}");
    }
    let second = r#"{"event":"signaling.backend.added","backend":"c"}"#;
    assert_eq!(reason(engine.apply(second, 1.0)), Err(Reason::EntityLimit));
}

#[test]
fn a_reset_makes_room_in_a_full_system() {
    let mut engine = several(1);
    for (line, result) in [
        (r#"{"event":"t.open","a":"1","colour":"red"}"#, Ok(())),
        (r#"{"event":"t.open","a":"2","colour":"red"}"#, Err(Reason::EntityLimit)),
        (r#"{"event":"t.fresh","a":"2","colour":"red"}"#, Ok(())),
    ] {
        assert_eq!(reason(engine.apply(line, 1.0)), result, "{line}");
    }
}

#[test]
fn an_update_moves_the_live_gauge() {
    check(
        &[
            (r#"{"event":"t.open","a":"1","colour":"red"}"#, Ok(())),
            (r#"{"event":"t.open","a":"2","colour":"red"}"#, Ok(())),
            (r#"{"event":"t.paint","a":"1","colour":"blue"}"#, Ok(())),
            (r#"{"event":"t.paint","a":"1"}"#, Ok(())),
            (r#"{"event":"t.child","a":"1","b":"1"}"#, Ok(())),
        ],
        "t_a{colour=\"blue\"} 1\nt_a{colour=\"red\"} 1\nt_b{colour=\"blue\",a=\"1\"} 1\nt_seconds 0",
    );
}

/// An engine with the built-in catalogs that has applied these lines, and looks for the names of addresses.
fn naming(lines: &[&str]) -> Engine {
    let privacy = Privacy { numeric: false, quiet: true, ..Privacy::default() };
    let settings = EngineSettings { privacy, ..EngineSettings::from(&Settings::default()) };
    let mut engine = engine_with(&catalog::load(None).unwrap().all, settings);
    for line in lines {
        assert_eq!(engine.apply(line, 1.0), Ok(()), "{line}");
    }
    engine
}

#[test]
fn a_name_comes_piece_by_piece_and_each_series_is_shown_once_meanwhile() {
    let mut engine = naming(&[
        r#"{"event":"edumeet.room.opened","room_id":"r"}"#,
        r#"{"event":"edumeet.peer.joined","room_id":"r","peer_id":"p"}"#,
        r#"{"event":"edumeet.transport.connected","peer_id":"p","transport_id":"1","pid":1,"proto":"udp","local_addr":"l","remote_addr":"10.0.0.1:5"}"#,
    ]);
    for id in ["a", "b", "c", "d", "e"] {
        let of = format!("\"id\":\"{id}\"");
        let created = format!(
            "{{\"event\":\"edumeet.producer.created\",\"transport_id\":\"1\",{of},\"kind\":\"k\",\"codec\":\"{id}\"}}"
        );
        let stats = format!(
            "{{\"event\":\"edumeet.producer.stats\",{of},\"type\":\"t\",\"byte_count\":10,\"score\":1}}"
        );
        for line in [created, stats] {
            assert_eq!(engine.apply(&line, 1.0), Ok(()), "{line}");
        }
    }
    engine.begin_naming(IpAddr::from([10, 0, 0, 1]), "host");
    let mut named = Vec::new();
    while engine.is_busy() {
        let text = exposition(&mut engine);
        let scores = text.lines().filter(|line| line.starts_with("mediasoup_producer_score{"));
        assert_eq!(scores.clone().count(), 5, "{text}");
        named.push(scores.filter(|line| line.contains("\"host:5\"")).count());
        engine.go_on(&mut |_| {});
    }
    named.dedup();
    assert_eq!(named, [0, 2, 5]);
}

#[test]
fn names_of_addresses_merge_series_that_become_one() {
    let mut engine = naming(&[
        r#"{"event":"edumeet.room.opened","room_id":"r"}"#,
        r#"{"event":"edumeet.peer.joined","room_id":"r","peer_id":"p"}"#,
        r#"{"event":"edumeet.transport.connected","peer_id":"p","transport_id":"1","pid":1,"proto":"udp","local_addr":"l","remote_addr":"10.0.0.1:5"}"#,
        r#"{"event":"edumeet.transport.connected","peer_id":"p","transport_id":"2","pid":1,"proto":"udp","local_addr":"l","remote_addr":"10.0.0.2:5"}"#,
        r#"{"event":"edumeet.producer.created","transport_id":"1","id":"a","kind":"k","codec":"c"}"#,
        r#"{"event":"edumeet.producer.created","transport_id":"2","id":"b","kind":"k","codec":"c"}"#,
        r#"{"event":"edumeet.producer.stats","id":"a","type":"t","byte_count":10,"score":1}"#,
        r#"{"event":"edumeet.producer.stats","id":"b","type":"t","byte_count":100,"score":1}"#,
    ]);
    for ip in engine.take_wanted_names() {
        engine.begin_naming(ip, "host");
        engine.finish(&mut |_| {});
    }
    let stats = r#"{"event":"edumeet.producer.stats","id":"a","type":"t","byte_count":15,"score":1}"#;
    assert_eq!(engine.apply(stats, 1.0), Ok(()));
    let text = exposition(&mut engine);
    assert!(text.contains("remote_addr=\"host:5\"") && !text.contains("10.0.0"), "{text}");
    assert!((sum(&text, "mediasoup_producer_byte_count_bytes") - 115.0).abs() < 0.1, "{text}");
    for id in ["a", "b"] {
        assert_eq!(
            engine.apply(&format!("{{\"event\":\"edumeet.producer.closed\",\"id\":\"{id}\"}}"), 1.0),
            Ok(())
        );
    }
    assert!(!exposition(&mut engine).contains("mediasoup_producer"));
}

/// Members hold a group together; jobs are abandoned; files have totals of two kinds and an age by their
/// name.
const GROUPS: &str = "
[system]
name = s
title = s
[entity group]
key = group
owned = no
when_empty = close
[entity member]
key = group, member
within = group
[entity file]
key = file
labels = name
[metric s_members]
type = gauge
help = h
labels = group
live = member
owner = group
[metric s_bytes_total]
type = counter
help = h
labels = name, direction
owner = file
[metric s_free_bytes_total]
type = counter
help = h
labels = direction
[metric s_age]
type = gauge_age
help = h
labels = name
owner = file
[metric s_viewed_total]
type = counter
help = h
[metric s_size]
type = gauge
help = h
[event s.joined]
ensure = group
open = member
[event s.left]
close = member
[event s.moved]
close = member
ensure = group
open = member
[event s.started]
ensure = group
open = member
abandon = s
[event s.opened]
optional = name
ensure = file
[event s.named]
update = file
[event s.heard]
of = file
mark = s_age
[event s.sent]
of = file
follow = s_bytes_total{direction=\"in\"} from in, s_bytes_total{direction=\"out\"} from out
[event s.flowed]
follow = s_free_bytes_total from total
[event s.stopped]
remove = s_free_bytes_total
[event s.viewed]
inc = s_viewed_total
[event s.sized]
set = s_size from size
";

/// Applies lines to the catalog of groups, a second apart, and returns the exposition.
fn groups_after(settings: EngineSettings, lines: &[&str]) -> String {
    let catalog = Arc::new(read_catalog("s.ini", &GROUPS.replace("gauge_age", "age")).unwrap());
    let mut engine = engine_with(&[catalog], settings);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(reason(engine.apply(line, index as f64)), Ok(()), "{line}");
    }
    exposition(&mut engine)
}

fn plain_settings() -> EngineSettings {
    EngineSettings { startup: vec![], ..EngineSettings::from(&Settings::default()) }
}

#[test]
fn a_group_that_an_event_empties_and_fills_again_stays() {
    for line in [
        r#"{"event":"s.moved","group":"g","member":"1"}"#,
        r#"{"event":"s.started","group":"g","member":"1"}"#,
    ] {
        let joined = r#"{"event":"s.joined","group":"g","member":"1"}"#;
        let left = r#"{"event":"s.left","group":"g","member":"1"}"#;
        let text = groups_after(plain_settings(), &[joined, line]);
        assert!(text.contains("s_members{group=\"g\"} 1"), "{line}\n{text}");
        let text = groups_after(plain_settings(), &[joined, line, left]);
        assert!(!text.contains("s_members{"), "{line}\n{text}");
    }
}

#[test]
fn one_entity_has_several_totals_of_a_metric() {
    let opened = r#"{"event":"s.opened","file":"1","name":"f"}"#;
    let first = r#"{"event":"s.sent","file":"1","in":1000,"out":10}"#;
    let second = r#"{"event":"s.sent","file":"1","in":1004,"out":14}"#;
    let text = groups_after(plain_settings(), &[opened, first, second]);
    assert!(text.contains("direction=\"in\"} 1004") && text.contains("direction=\"out\"} 14"), "{text}");
}

#[test]
fn a_total_that_was_counted_is_not_counted_again_after_a_restart_that_resets() {
    let settings = EngineSettings { restart_resets: true, ..plain_settings() };
    let lines = [
        r#"{"event":"s.flowed","total":1000,"direction":"in"}"#,
        r#"{"event":"s.started","group":"g","member":"1"}"#,
        r#"{"event":"s.flowed","total":1010,"direction":"in"}"#,
    ];
    let text = groups_after(settings, &lines);
    assert!(text.contains("s_free_bytes_total{direction=\"in\"} 10\n"), "{text}");
}

#[test]
fn a_series_that_was_removed_makes_room_for_the_total_of_another() {
    let settings = EngineSettings { series_max: 1, ..plain_settings() };
    let lines = [
        r#"{"event":"s.flowed","total":1,"direction":"in"}"#,
        r#"{"event":"s.stopped","direction":"in"}"#,
        r#"{"event":"s.flowed","total":2,"direction":"out"}"#,
    ];
    let text = groups_after(settings, &lines);
    assert!(text.contains("s_free_bytes_total{direction=\"out\"} 2\n"), "{text}");
}

#[test]
fn an_age_goes_on_under_the_name_that_its_entity_has_now() {
    for named in
        [r#"{"event":"s.named","file":"1","name":"f"}"#, r#"{"event":"s.opened","file":"1","name":"f"}"#]
    {
        let opened = r#"{"event":"s.opened","file":"1"}"#;
        let heard = r#"{"event":"s.heard","file":"1"}"#;
        let text = groups_after(plain_settings(), &[opened, heard, named]);
        assert!(text.contains("s_age{name=\"f\"} 999\n") && !text.contains("s_age{name=\"\"}"), "{text}");
    }
}

#[test]
fn a_restart_repeats_those_start_up_events_alone_that_open_what_is_gone() {
    let startup = [
        r#"{"event":"s.joined","group":"g","member":"m"}"#,
        r#"{"event":"s.opened","file":"1","name":"f"}"#,
        r#"{"event":"s.viewed"}"#,
        r#"{"event":"s.sized","size":0}"#,
    ];
    let settings = EngineSettings { startup: startup.map(str::to_owned).into(), ..plain_settings() };
    let lines = [
        r#"{"event":"s.left","group":"g","member":"m"}"#,
        r#"{"event":"s.sized","size":7}"#,
        r#"{"event":"s.started","group":"g","member":"other"}"#,
    ];
    let text = groups_after(settings, &lines);
    for expected in ["s_members{group=\"g\"} 2\n", "s_viewed_total 1\n", "s_size 7\n"] {
        assert!(text.contains(expected), "{expected}{text}");
    }
}

#[test]
fn many_ways_to_one_ancestor_cost_no_time() {
    let mut text = "[system]\nname = t\ntitle = t\n".to_owned();
    let mut opens = String::new();
    for layer in 0..40 {
        for side in ["a", "b"] {
            let within = if layer == 0 { String::new() } else { format!("within = a{0}, b{0}\n", layer - 1) };
            text += &format!("[entity {side}{layer}]\nkey = k\n{within}");
            opens += &format!("open = {side}{layer}\n");
        }
    }
    text += &format!(
        "[event t.all]\n{opens}[event t.end]\nclose = a0, b0\n[event t.again]\nclose = a39\nopen = a39\n"
    );
    let catalog = |text: &str| Arc::new(read_catalog("t.ini", text).unwrap());
    let mut engine = engine_with(&[catalog(&text)], plain_settings());
    for event in ["t.all", "t.again"] {
        assert_eq!(engine.apply(&format!("{{\"event\":\"{event}\",\"k\":\"1\"}}"), 1.0), Ok(()));
    }
    let other = [catalog(&text.replace("title = t", "title = other"))];
    assert!(engine.configure(&other, plain_settings(), 0.0).is_empty());
    assert_eq!(engine.apply(r#"{"event":"t.end","k":"1"}"#, 1.0), Ok(()));
}

proptest! {
    /// Whatever the values are, a series shows those of its entity, of the entity's ancestors, and of the line.
    #[test]
    fn labels_come_from_an_entity_and_its_ancestors(
        values in prop::collection::vec("[a-z\"\\\\\n\t\u{1}é😀]{0,40}", 8),
    ) {
        let json: Vec<String> = values.iter().map(|value| serde_json::to_string(value).unwrap()).collect();
        let [name, agent, proto, local, remote, kind, codec, of] = std::array::from_fn(|index| &*json[index]);
        let mut engine = engine();
        for line in [
            r#"{"event":"edumeet.room.opened","room_id":"r"}"#.to_owned(),
            format!(
                r#"{{"event":"edumeet.peer.joined","room_id":"r","peer_id":"p","display_name":{name},"user_agent":{agent}}}"#
            ),
            format!(
                r#"{{"event":"edumeet.transport.connected","peer_id":"p","transport_id":"t","pid":1,"proto":{proto},"local_addr":{local},"remote_addr":{remote}}}"#
            ),
            format!(
                r#"{{"event":"edumeet.producer.created","transport_id":"t","id":"i","kind":{kind},"codec":{codec}}}"#
            ),
            format!(r#"{{"event":"edumeet.producer.stats","id":"i","byte_count":1,"score":5,"type":{of}}}"#),
        ] {
            prop_assert_eq!(engine.apply(&line, 1.0), Ok(()), "{}", line);
        }
        let [name, agent, proto, local, remote, kind, codec, of] = std::array::from_fn(|index| &*values[index]);
        let labels = series::text::of(&[
            ("pid", "1"), ("room_id", "r"), ("peer_id", "p"), ("display_name", name), ("user_agent", agent),
            ("transport_id", "t"), ("proto", proto), ("local_addr", local), ("remote_addr", remote),
            ("id", "i"), ("kind", kind), ("codec", codec), ("type", of),
        ]);
        let expected = format!("mediasoup_producer_score{{{}}} 5\n", String::from_utf8(labels).unwrap());
        let text = exposition(&mut engine);
        prop_assert!(text.contains(&expected), "{}\n{}", expected, text);
    }
}

#[test]
fn an_object_is_no_value_of_a_field_that_the_event_uses() {
    let mut engine = engine();
    let joined = r#"{"event":"signaling.session.joined","session":"s","backend":"b","clienttype":"c""#;
    for (rest, expected) in [
        (r#","country":{}}"#, Err(Reason::BadValue)),
        (r#","country":["DE"]}"#, Err(Reason::BadValue)),
        (r#","country":"\ud800"}"#, Err(Reason::BadValue)),
        (r#","agent":{}}"#, Ok(())),
    ] {
        assert_eq!(reason(engine.apply(&format!("{joined}{rest}"), 1.0)), expected, "{rest}");
    }
    let said = |engine: &mut Engine, line: &str| engine.apply(line, 1.0).unwrap_err().to_string();
    let not_text = said(&mut engine, &format!("{joined},\"country\":[]}}"));
    assert!(not_text.contains("country: expected a string, a number or a boolean"), "{not_text}");
    let not_number = said(&mut engine, r#"{"event":"signaling.client.rtt","rtt":[1]}"#);
    assert!(not_number.contains("rtt: expected a number"), "{not_number}");
}

/// The built-in catalogs with their additions at the end of the steps, from where they were taken.
fn catalogs_of_steps() -> Vec<Arc<Catalog>> {
    let owned = catalog::load(None).unwrap().all.into_iter().map(|catalog| Arc::into_inner(catalog).unwrap());
    let with_steps = owned.map(|mut catalog| {
        for plan in &mut catalog.events {
            for Addition { metric, set, amount } in std::mem::take(&mut plan.additions) {
                let alternatives = vec![AmountSource::Number(amount)];
                let amount = Some(Amount { alternatives, needed: None, range: AmountRange::Any });
                let (verb, fixed) = (Verb::Add, Box::default());
                let change = Change { verb, metric, set, amount, owner: None, condition: None, fixed };
                plan.steps.push(Step::Change(change));
            }
        }
        Arc::new(catalog)
    });
    with_steps.collect()
}

/// Every event of the built-in catalogs without optional fields, and then with all of them.
fn every_event() -> Vec<String> {
    let catalogs = catalog::load(None).unwrap().all;
    let plans = || catalogs.iter().flat_map(|catalog| &catalog.events);
    let line = |plan: &EventPlan, is_taken: fn(&FieldUse) -> bool| {
        let fields = plan.fields.iter().filter(|field| is_taken(&field.used));
        let fields: Vec<String> = fields.map(|field| format!(",\"{}\":1", field.name)).collect();
        format!("{{\"event\":\"{}\"{}}}", plan.name, fields.concat())
    };
    let required = plans().map(|plan| line(plan, |used| *used == FieldUse::Required));
    let all = plans().map(|plan| line(plan, |_| true));
    required.chain(all).collect()
}

#[test]
fn additions_do_what_steps_would() {
    let settings = || EngineSettings::from(&Settings::default());
    let mut engines = [engine(), engine_with(&catalogs_of_steps(), settings())];
    let mut applied = 0;
    for line in every_event().iter().chain(&every_event()) {
        let [flat, stepped] = engines.each_mut().map(|engine| engine.apply(line, 1.0));
        assert_eq!(flat, stepped, "{line}");
        applied += usize::from(flat.is_ok());
        let [flat, stepped] = engines.each_mut().map(exposition);
        assert_eq!(flat, stepped, "{line}");
    }
    assert!(applied > 100, "{applied}");
}
