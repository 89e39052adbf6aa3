//! A saved state and the records after it give the same state as all records together.

use std::borrow::Cow;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;
use crate::config::Settings;
pub(crate) use crate::internals::fuzz::observable;

/// What a test does to a state. Few names, so that steps concern the same sessions and entities.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Configure(u8),
    Hello { session: u8, owner: bool },
    Lines { session: Option<u8>, lines: Vec<(prop::sample::Index, u32)>, bye: bool },
    Rejected { session: Option<u8> },
    Left(u8),
    Abandon(u8),
    Forget(u8),
    Named(u8),
    Booted(u8),
    Scanned,
}

/// Steps, each with the seconds by which the clock moves before it.
pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<(f64, Step)>> {
    let session = || 0_u8..4;
    let lines = prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 1..12);
    let step = prop_oneof![
        1 => (0_u8..4).prop_map(Step::Configure),
        4 => (session(), prop::bool::weighted(0.8)).prop_map(|(session, owner)| Step::Hello { session, owner }),
        16 => (prop::option::weighted(0.7, session()), lines, prop::bool::weighted(0.05))
            .prop_map(|(session, lines, bye)| Step::Lines { session, lines, bye }),
        1 => prop::option::of(session()).prop_map(|session| Step::Rejected { session }),
        2 => session().prop_map(Step::Left),
        1 => session().prop_map(Step::Abandon),
        1 => session().prop_map(Step::Forget),
        1 => (0_u8..4).prop_map(Step::Named),
        1 => (0_u8..2).prop_map(Step::Booted),
        1 => Just(Step::Scanned),
    ];
    let seconds = prop_oneof![8 => 0.0..100.0, 1 => Just(86_400.0), 1 => Just(-86_400.0)];
    prop::collection::vec((seconds, step), 1..most)
}

/// A state under test, and the records that made it.
pub(crate) struct Life {
    pub(crate) state: State,
    records: Vec<Vec<u8>>,
    catalogs: Vec<Arc<Catalog>>,
    now: f64,
}

fn names(session: u8) -> (String, String) {
    (format!("producer{}", session % 2), format!("instance{}", session / 2))
}

/// A catalog that uses what the built-in ones do not.
const LOCAL: &str = "
[system]
name = t
title = t
[entity a]
key = a
labels = colour
abandoned = t.lost
[entity group]
key = a
owned = no
when_empty = close
[entity part]
key = a, n
within = group
[entity lasting]
key = a
labels = colour
owned = no
[metric t_lasting]
type = gauge
help = h
labels = colour
live = lasting
[metric t_parts]
type = gauge
help = h
labels = a
live = part
owner = group
[metric t_a]
type = gauge
help = h
labels = colour
live = a
[metric t_total]
type = counter
help = h
labels = colour
[metric t_seconds]
type = histogram
help = h
labels = colour
buckets = 1, 2
[metric t_age]
type = age
help = h
labels = a
owner = a
[event t.on]
optional = colour
open = a
mark = t_age
[event t.off]
close = a
observe = t_seconds from elapsed
[event t.lost]
close = a
inc = t_total{colour=\"lost\"}
[event t.seen]
optional = colour
of = a
update = a
mark = t_age
[event t.counted]
follow = t_total from n
sub = t_level from n
[metric t_level]
type = gauge
help = h
[event t.grouped]
ensure = group
open = part
[event t.ungrouped]
close = part
[event t.lasts]
optional = colour
ensure = lasting
[event t.level]
set_existing = t_level from n
remove = t_total if n=1
[event t.reset]
reset = t
[event t.restarted]
abandon = t
inc = t_total{colour=\"restarts\"}
";

/// Settings and catalogs of which each variant adds and removes something.
fn configuration(variant: u8) -> (EngineSettings, Vec<CatalogText>) {
    let mut settings = EngineSettings::from(&Settings::default());
    settings.privacy.numeric = false;
    let mut texts = catalog::load(None).unwrap().texts.to_vec();
    match variant {
        1 => settings.series_max = 3,
        2 => {
            let lines = [r#"{"event":"signaling.server_started"}"#, r#"{"event":"t.on","a":0}"#];
            settings.startup = lines.map(str::to_owned).to_vec();
            settings.restart_resets = true;
        }
        3 => {
            texts.truncate(2);
            settings.entities_max = 4;
        }
        _ => {}
    }
    if variant != 1 {
        texts.push(CatalogText { file: Cow::Borrowed("local.ini"), text: Cow::Borrowed(LOCAL) });
    }
    (settings, texts)
}

fn number(seed: u32, index: usize) -> u32 {
    (seed.wrapping_mul(2_654_435_761).rotate_left(index as u32 * 5) >> 7) % 4
}

impl Life {
    fn begin() -> Self {
        let mut life = Life::of(State::default());
        life.step(0.0, &Step::Configure(0), &mut |_| {});
        life
    }

    pub(crate) fn of(state: State) -> Self {
        let catalogs = catalog::read_texts(&state.texts).unwrap().all;
        Life { state, records: Vec::new(), catalogs, now: 1e9 }
    }

    fn record(&mut self, change: &Record<'_>, record: &mut dyn FnMut(&Record<'_>)) {
        record(change);
        let mut bytes = Vec::new();
        change.write(&mut bytes);
        self.records.push(bytes);
        self.state.apply(change, &mut |_| {}).unwrap();
    }

    /// An event of any catalog. Its fields have few different values.
    fn line(&self, which: prop::sample::Index, seed: u32) -> String {
        if seed.is_multiple_of(31) {
            return "no event".to_owned();
        }
        let plans: Vec<_> = self.catalogs.iter().flat_map(|catalog| &catalog.events).collect();
        // Every other event is one of the latest catalog, where there are few, so that more happens to each
        // thing.
        let plans = if seed.is_multiple_of(2) { plans } else { plans[plans.len() - 12..].to_vec() };
        let plan = which.get(&plans);
        let mut line = format!("{{\"event\":\"{}\"", plan.name);
        for (index, field) in plan.fields.iter().enumerate() {
            let number = number(seed, index);
            match &*field.name {
                "remote" | "address" | "ip" => {
                    line.push_str(&format!(",\"{}\":\"10.0.0.{number}:80\"", field.name));
                }
                _ if number == 3 && field.used != crate::catalog::model::FieldUse::Required => {}
                name => line.push_str(&format!(",\"{name}\":{number}")),
            }
        }
        line + "}"
    }

    /// Does a step as the feed would. `record` sees each record before it is applied.
    pub(crate) fn step(&mut self, seconds: f64, step: &Step, record: &mut dyn FnMut(&Record<'_>)) {
        self.now += seconds;
        let at = self.now;
        let next_line = |state: &State, session: u8| {
            let (producer, instance) = names(session);
            let id = state.sessions.find(&producer, &instance)?;
            Some((producer, instance, state.sessions.get(id)?.position + 1))
        };
        match step {
            Step::Configure(variant) => {
                let (settings, texts) = configuration(*variant);
                self.catalogs = catalog::read_texts(&texts).unwrap().all;
                let (settings, catalogs) = (Cow::Owned(settings), Cow::Owned(texts));
                self.record(&Record::Configured { at, settings, catalogs }, record);
            }
            Step::Hello { session, owner } => {
                let (producer, instance) = names(*session);
                let (producer, instance) = (producer.as_str(), instance.as_str());
                self.record(&Record::Hello { at, producer, instance, owner: *owner, uid: Some(1) }, record);
            }
            Step::Lines { session, lines, bye } => {
                let position = session.and_then(|session| next_line(&self.state, session));
                let position = position.as_ref().map(|(producer, instance, first)| Position {
                    producer,
                    instance,
                    line: *first,
                });
                let mut block: String =
                    lines.iter().map(|(which, seed)| self.line(*which, *seed) + "\n").collect();
                if *bye {
                    block.push_str("{\"bye\":true}\n");
                }
                self.record(&Record::Lines { at, position, block: block.as_bytes() }, record);
            }
            Step::Rejected { session } => {
                let position = session.and_then(|session| next_line(&self.state, session));
                let position = position.as_ref().map(|(producer, instance, first)| Position {
                    producer,
                    instance,
                    line: *first,
                });
                self.record(&Record::Rejected { position, reason: Some(Reason::TooLong) }, record);
            }
            Step::Left(session) => {
                let (producer, instance) = names(*session);
                let (producer, instance) = (producer.as_str(), instance.as_str());
                self.record(&Record::Disconnected { producer, instance }, record);
            }
            Step::Booted(number) => {
                let boot = Cow::Owned(crate::state::boot::Boot::Id(number.to_string()));
                self.record(&Record::Started { at, boot }, record);
            }
            Step::Scanned => {
                let block = b"{\"event\":\"vlog.storage.reconciled\",\"status\":1}\n";
                self.record(&Record::Scanned { at, block }, record);
            }
            Step::Abandon(session) | Step::Forget(session) => {
                let (producer, instance) = names(*session);
                let (producer, instance) = (producer.as_str(), instance.as_str());
                self.record(&Record::Abandoned { at, producer, instance }, record);
                if matches!(step, Step::Forget(_)) {
                    self.record(&Record::Forgotten { producer, instance }, record);
                }
            }
            Step::Named(number) => {
                let ip = IpAddr::from([10, 0, 0, *number]);
                self.record(&Record::Named { ip, name: &format!("host{number}.example") }, record);
            }
        }
    }
}

fn read(image: &[u8], fallback: Catalogs) -> Result<State, crate::format::Corrupt> {
    State::read_v1(image, fallback, &mut |_| {})
}

fn restored(image: &[u8]) -> State {
    read(image, Catalogs::default()).unwrap()
}

fn replay(state: &mut State, records: &[Vec<u8>]) {
    for bytes in records {
        let change = Record::read_v1(bytes).unwrap();
        state.apply(&change, &mut |_| {}).unwrap();
    }
}

/// Does what the feed does: other things may happen between a line that begins what takes longer and the next.
fn replay_in_pieces(state: &mut State, records: &[Vec<u8>], pieces: &[usize]) {
    let mut pieces = pieces.iter().cycle();
    for bytes in records {
        let mut change = Record::read_v1(bytes).unwrap();
        loop {
            let begun = state.begin(&change, &mut |_| {}).unwrap();
            let Record::Lines { at, position, block } = change else { break };
            // The rest of a block waits; another record may come at any time.
            if begun.bytes == block.len() {
                break;
            }
            while state.go_on(&mut |_| {}) {}
            let position = position.map(|Position { producer, instance, .. }| {
                let id = state.sessions.find(producer, instance).unwrap();
                Position { producer, instance, line: state.sessions.get(id).unwrap().position + 1 }
            });
            change = Record::Lines { at, position, block: &block[begun.bytes..] };
        }
        for _ in 0..*pieces.next().unwrap() {
            state.go_on(&mut |_| {});
        }
    }
}

proptest! {
    #[test]
    fn pieces_make_the_same_state_as_one_go(steps in steps(40), pieces in prop::collection::vec(0_usize..9, 1..20)) {
        let mut life = Life::begin();
        for (seconds, step) in &steps {
            life.step(*seconds, step, &mut |_| {});
        }
        let mut other = State::default();
        replay_in_pieces(&mut other, &life.records, &pieces);
        while other.go_on(&mut |_| {}) {}
        prop_assert_eq!(observable(&mut other), observable(&mut life.state));
    }

    #[test]
    fn a_saved_state_and_the_records_after_it_give_the_same_state(steps in steps(40), cut in any::<prop::sample::Index>()) {
        let mut life = Life::begin();
        for (seconds, step) in &steps {
            life.step(*seconds, step, &mut |_| {});
        }
        let (before, after) = life.records.split_at(cut.index(life.records.len() + 1));
        let mut original = State::default();
        replay(&mut original, before);
        let mut copy = restored(&original.write());
        prop_assert_eq!(observable(&mut copy), observable(&mut original));
        replay(&mut copy, after);
        prop_assert_eq!(observable(&mut copy), observable(&mut life.state));
        prop_assert_eq!(copy.write().len(), life.state.write().len());
    }

    #[test]
    fn a_damaged_image_is_an_error_or_a_state_but_no_panic(steps in steps(12), at in any::<prop::sample::Index>(), change in 1_u8..) {
        let mut life = Life::begin();
        for (seconds, step) in &steps {
            life.step(*seconds, step, &mut |_| {});
        }
        let mut image = life.state.write();
        let at = at.index(image.len());
        image[at] ^= change;
        if let Ok(mut state) = read(&image, Catalogs::default()) {
            observable(&mut state);
            let mut life = Life::of(state);
            for (seconds, step) in &steps {
                life.step(*seconds, step, &mut |_| {});
            }
        }
        prop_assert!(read(&image[..at], Catalogs::default()).is_err());
    }
}

#[test]
fn lines_out_of_place_are_no_part_of_the_state() {
    let mut life = Life::begin();
    life.step(0.0, &Step::Hello { session: 0, owner: true }, &mut |_| {});
    let position = Some(Position { producer: "producer0", instance: "instance0", line: 2 });
    let change = Record::Lines { at: 0.0, position, block: b"{}\n" };
    let misfit = life.state.apply(&change, &mut |_| {}).unwrap_err();
    assert_eq!(misfit.0, "line 2 of producer0 instance0: expected line 1 of a known session");
}

/// Gives the state a catalog that only a later version can read.
fn with_a_catalog_of_another_version(state: &mut State) {
    let former: Vec<CatalogText> = state.texts.to_vec();
    let other = |text: &CatalogText| CatalogText {
        text: if text.file == "local.ini" {
            Cow::Owned(format!("{}\n[event t.later]\nlater = on\n", text.text))
        } else {
            text.text.clone()
        },
        ..text.clone()
    };
    state.texts = former.iter().map(other).collect();
}

#[test]
fn a_stored_catalog_that_cannot_be_read_costs_what_no_longer_fits_alone() {
    let mut life = Life::begin();
    life.step(0.0, &Step::Hello { session: 0, owner: true }, &mut |_| {});
    let today = life.state.configuration().unwrap().0;
    let position = Some(Position { producer: "producer0", instance: "instance0", line: 1 });
    let block = b"{\"event\":\"signaling.session.joined\",\"backend\":\"b\",\"session\":\"s\",\"clienttype\":\"client\"}\n{\"event\":\"t.on\",\"a\":0}\n";
    life.state.apply(&Record::Lines { at: 0.0, position, block }, &mut |_| {}).unwrap();
    let before = observable(&mut life.state);
    let counted = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("t_")).map(str::to_owned).collect()
    };
    assert!(!counted(&before).is_empty(), "{before}");
    with_a_catalog_of_another_version(&mut life.state);

    let mut without = restored(&life.state.write());
    let text = observable(&mut without);
    assert!(text.contains("signaling_hub_sessions{backend=\"b\",clienttype=\"client\"} 1\n"), "{text}");
    assert!(text.contains("position: 2"), "{text}");
    assert!(counted(&text).is_empty(), "{text}");

    // If this run has a catalog of the same file, everything that it describes is kept.
    let mut with = read(&life.state.write(), today).unwrap();
    assert_eq!(counted(&observable(&mut with)), counted(&before));

    // The same catalogs in a record of the journal.
    let settings = Cow::Owned(with.engine.settings().clone());
    let record = Record::Configured { at: 0.0, settings, catalogs: Cow::Borrowed(&life.state.texts) };
    let mut said = Vec::new();
    let mut report = |diagnostic: Diagnostic<'_>| {
        if let Diagnostic::Message(text) = diagnostic {
            said.push(text);
        }
    };
    with.apply(&record, &mut report).unwrap();
    assert!(said.iter().any(|text| text.contains("cannot be read by this version")), "{said:?}");
    assert_eq!(counted(&observable(&mut with)), counted(&before));
}

#[test]
fn a_run_that_said_goodbye_is_not_waited_for_when_its_connection_ends() {
    let mut life = Life::begin();
    life.step(0.0, &Step::Hello { session: 0, owner: true }, &mut |_| {});
    let position = Some(Position { producer: "producer0", instance: "instance0", line: 1 });
    life.state.apply(&Record::Lines { at: 0.0, position, block: b"{\"bye\":true}\n" }, &mut |_| {}).unwrap();
    let left = Record::Disconnected { producer: "producer0", instance: "instance0" };
    life.state.apply(&left, &mut |_| {}).unwrap();
    let (_, session) = life.state.sessions.iter().next().unwrap();
    assert_eq!(session.presence, Presence::Expired);
}

#[test]
fn which_series_overflow_when_gauges_are_counted_anew_does_not_depend_on_a_restart() {
    let mut life = Life::begin();
    let (mut settings, texts) = configuration(0);
    (settings.series_max, settings.restart_resets) = (1, true);
    let configured =
        Record::Configured { at: 1e9, settings: Cow::Owned(settings), catalogs: Cow::Owned(texts) };
    life.step(0.0, &Step::Hello { session: 0, owner: true }, &mut |_| {});
    let lines = |state: &mut State, line: u64, block: &[u8]| {
        let position = Some(Position { producer: "producer0", instance: "instance0", line });
        state.apply(&Record::Lines { at: 1e9, position, block }, &mut |_| {}).unwrap();
    };
    let block = b"{\"event\":\"t.on\",\"a\":0,\"colour\":\"x\"}\n{\"event\":\"t.on\",\"a\":1,\"colour\":\"y\"}\n{\"event\":\"t.off\",\"a\":0}\n";
    lines(&mut life.state, 1, block);
    let mut copy = restored(&life.state.write());
    for state in [&mut life.state, &mut copy] {
        lines(state, 4, b"{\"event\":\"t.on\",\"a\":2,\"colour\":\"z\"}\n");
        state.apply(&configured, &mut |_| {}).unwrap();
        let block = b"{\"event\":\"t.restarted\"}\n";
        state.apply(&Record::Lines { at: 1e9, position: None, block }, &mut |_| {}).unwrap();
    }
    assert_eq!(observable(&mut copy), observable(&mut life.state));
}

#[test]
fn start_up_events_that_a_reboot_forgets_are_forgotten_in_an_image_too() {
    let mut life = Life::begin();
    for step in [Step::Configure(2), Step::Booted(0), Step::Booted(1)] {
        life.step(0.0, &step, &mut |_| {});
    }
    let mut copy = restored(&life.state.write());
    for state in [&mut life.state, &mut copy] {
        let block = b"{\"event\":\"t.reset\"}\n";
        state.apply(&Record::Lines { at: 1e9, position: None, block }, &mut |_| {}).unwrap();
    }
    assert_eq!(observable(&mut copy), observable(&mut life.state));
}

#[test]
fn the_time_of_the_latest_event_is_that_of_a_producers_event() {
    let mut life = Life::begin();
    let latest = |state: &State, system: &str| {
        state.engine.last_events().find(|(name, _)| *name == system).map(|(_, at)| at)
    };
    let lines = |line: Option<u64>, at: f64, text: &str| {
        let position = line.map(|line| Position { producer: "producer0", instance: "instance0", line });
        let mut bytes = Vec::new();
        Record::Lines { at, position, block: (text.to_owned() + "\n").as_bytes() }.write(&mut bytes);
        bytes
    };
    life.step(0.0, &Step::Hello { session: 0, owner: true }, &mut |_| {});
    life.step(0.0, &Step::Configure(2), &mut |_| {});
    assert_eq!(latest(&life.state, "signaling"), Some(0.0), "a start-up event");
    let scan = b"{\"event\":\"vlog.storage.reconciled\",\"status\":1}\n";
    life.state.apply(&Record::Scanned { at: 2e9, block: scan }, &mut |_| {}).unwrap();
    assert_eq!(latest(&life.state, "vlog"), Some(0.0), "a directory scan");
    assert_eq!(latest(&life.state, "recording"), None, "a system that is not shown");

    let started = r#"{"event":"recording.started","backend":"b","recording":"1","time":1999999990}"#;
    replay(&mut life.state, &[lines(Some(1), 2e9, started), lines(Some(2), 2e9 + 1.0, started)]);
    assert_eq!(latest(&life.state, "recording"), Some(2e9), "a rejected line");
    life.step(9.0, &Step::Abandon(0), &mut |_| {});
    assert_eq!(life.state.engine.counts(0.0)[0].kinds[0].abandoned, 1);
    assert_eq!(latest(&life.state, "recording"), Some(2e9), "an abandonment");

    // The start-up events that a restart repeats are not its producer's.
    let restarted = r#"{"event":"t.restarted"}"#;
    replay(&mut life.state, &[lines(None, 2e9 + 2.0, restarted)]);
    assert_eq!(latest(&life.state, "t"), Some(2e9 + 2.0));
    assert_eq!(latest(&life.state, "signaling"), Some(0.0));
    // A clock that was put back tells the truth now.
    replay(&mut life.state, &[lines(None, 1e9, restarted)]);
    assert_eq!(latest(&life.state, "t"), Some(1e9));

    life.step(0.0, &Step::Configure(1), &mut |_| {});
    life.step(0.0, &Step::Configure(2), &mut |_| {});
    assert_eq!(latest(&life.state, "recording"), Some(2e9), "a reload");
    assert_eq!(latest(&restored(&life.state.write()), "recording"), Some(2e9), "a restart");
}
