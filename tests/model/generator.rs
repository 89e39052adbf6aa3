//! Makes lines: mostly valid ones that find something open, and faulty ones with one fault each, since the contract does
//! not say which of two faults is named. Everything comes from the seed and from the model's state.

use fastrand::Rng;

use crate::line::{AMOUNT_MAX, DAY, LABEL_MAX, Line, Value};
use crate::rules::{RunId, State};
use crate::tables::{Effect, Event, Kind};
use crate::world::Model;

/// A line as it goes over the wire, and what has to come of it. The model has applied it already.
pub struct Sent {
    pub bytes: Vec<u8>,
    pub verdict: Result<(), &'static str>,
}

/// What may be played at this moment.
#[derive(Clone, Copy)]
pub struct Scope {
    pub by: Option<RunId>,
    /// A line that is sent twice must not depend on who is connected.
    pub restarts: bool,
}

/// The next line for this connection.
pub fn line(model: &mut Model, random: &mut Rng, scope: Scope) -> Sent {
    if random.u8(..) < 10 {
        return garbage(model, random);
    }
    loop {
        let Some(mut line) = event(model, random, scope) else { continue };
        let outcome = model.attempt(&line, scope.by);
        match outcome {
            Err(reasons) if reasons.len() > 1 => continue,
            Ok(_) if random.u8(..) < 50 => {
                twist(model, random, &mut line);
                if model.attempt(&line, scope.by).is_err_and(|reasons| reasons.len() > 1) {
                    continue;
                }
            }
            _ => {}
        }
        let verdict = model.apply(&line, scope.by);
        let mut bytes = line.json().into_bytes();
        bytes.extend(if random.u8(..) < 8 { &b"\r\n"[..] } else { b"\n" });
        return Sent { bytes, verdict };
    }
}

/// A line that is no event of any system.
fn garbage(model: &mut Model, random: &mut Rng) -> Sent {
    let (text, reason): (&[u8], _) = match random.u8(..9) {
        0 => (b"nonsense", "malformed"),
        1 => (b"[\"event\"]", "malformed"),
        2 => (b"{\"event\":\"proxy.session.created\",\"session\":\"s1\"", "malformed"),
        3 => (b"{\"event\":\"signaling.mcu.message\",\"type\":\"\xff\"}", "malformed"),
        4 => (b"{\"event\":\"signaling.mcu.message\",\"type\":\"a\",\"other\":\"\xff\"}", "malformed"),
        5 => (b"{\"event\":\"signaling.mcu.message\",\"type\":\"a\",\"type\":\"b\"}", "malformed"),
        6 => (b"{\"event\":\"nobody.did.this\"}", "unknown_event"),
        7 => (b"{\"event\":\"unheard\"}", "unknown_event"),
        _ => (b"", "too_long"),
    };
    let mut bytes = text.to_vec();
    if reason == "too_long" {
        let long = "x".repeat(random.usize(65_600..200_000));
        bytes = format!("{{\"event\":\"vlog.video.viewed\",\"x\":\"{long}\"}}").into_bytes();
    }
    bytes.push(b'\n');
    model.reject(reason);
    Sent { bytes, verdict: Err(reason) }
}

/// An event that fits what is open, more often than not.
fn event(model: &Model, random: &mut Rng, scope: Scope) -> Option<Line> {
    let systems: Vec<_> = model.states.values().collect();
    let state = systems[random.usize(..systems.len())];
    let weight = |event: &Event| match &event.effects[..] {
        [effect, ..] if effect.verb == "abandon" => usize::from(scope.restarts),
        effects if effects.iter().any(|effect| effect.meets().is_some()) => 8,
        _ => 2,
    };
    let all: usize = state.system.events.values().map(weight).sum();
    let mut lot = random.usize(..all);
    let chosen = state.system.events.iter().find(|(_, event)| {
        let found = lot < weight(event);
        lot = lot.saturating_sub(weight(event));
        found
    });
    let (name, event) = chosen?;
    let mut line = Line { event: name.clone(), ..Line::default() };
    if let Some(first) = event.effects.first().filter(|effect| effect.meets().is_some()) {
        let kind = first.object;
        if ["open", "ensure"].contains(&first.verb) {
            for parent in &state.system.entities[kind].within {
                aim(state, parent, &mut line, random)?;
            }
        } else {
            aim(state, kind, &mut line, random)?;
        }
    }
    line.fields.retain(|(name, _)| event.fields().any(|field| field == name));
    let numbers = event.numbers();
    for field in event.fields() {
        let left_out = event.optional.contains(&field) && random.bool();
        if left_out || line.value(field).is_some() {
            continue;
        }
        let value =
            if numbers.contains(&field) { number(name, field, random) } else { text(name, field, random) };
        line.set(field, value);
    }
    name_worker(state, &mut line, random);
    random.shuffle(&mut line.fields);
    Some(line)
}

/// Gives the line the key of an entity that is open, more often than not. `None`: there is none.
fn aim(state: &State, kind: &'static str, line: &mut Line, random: &mut Rng) -> Option<()> {
    if random.u8(..) < 16 {
        return Some(());
    }
    let open = state.entities.keys().filter(|id| id.0 == kind);
    let id = random.choice(open.collect::<Vec<_>>())?;
    for (field, text) in state.system.entities[kind].key.iter().zip(&id.1) {
        line.set(field, Value::Text(text.clone()));
    }
    Some(())
}

/// A worker has one name for all its life: what becomes of its age under a former name is left open.
fn name_worker(state: &State, line: &mut Line, random: &mut Rng) {
    let worker = line.text("worker_id");
    let known = state.entities.contains_key(&("worker", vec![worker.clone()]));
    if !worker.is_empty() && line.value("worker_name").is_some() {
        line.set("worker_name", Value::Text(format!("Worker {worker}")));
    }
    if line.event == "vlog.worker.heartbeat" && !(known && random.bool()) {
        line.set("worker_name", Value::Text(format!("Worker {worker}")));
    }
}

fn number(event: &str, field: &str, random: &mut Rng) -> Value {
    // No observation lies on a bound that is computed, where the last digit would decide.
    let shift = if event.starts_with("signaling") { 0.125 } else { 0.0 };
    let number = match (field, random.u8(..20)) {
        ("limit", _) => f64::from(random.u8(..4)),
        ("status", _) => f64::from(random.i8(-1..2)),
        (_, 0) => 0.0,
        (_, 1) => AMOUNT_MAX,
        (_, 2..6) => f64::from(random.u32(..)) + shift,
        _ => f64::from(random.u16(..2_000)) / 4.0 + shift,
    };
    Value::Number(if random.u8(..10) == 0 { format!("{number:e}") } else { number.to_string() })
}

fn text(event: &str, field: &str, random: &mut Rng) -> Value {
    const ANY: [&str; 6] = ["a", "b", "two words", "quote \" slash \\ line \n", "ünïcödé …", "a,b=\"c\"}"];
    let pool: &[&str] = match (event, field) {
        (_, "backend") => &["https://a.example/", "https://b.example/", "ü \"q\" \\ x"],
        (_, "type" | "kind" | "media") => &["audio", "video", "screen"],
        (_, "direction") => &["incoming", "outgoing"],
        ("vlog.worker.heartbeat", "result") => &["success", "success", "odd"],
        (_, "status") => &["ready", "idle", "busy"],
        (_, "endpoint") => &[
            "/",
            "/api/health",
            "/api/12/x?q=1/2",
            "/x/550e8400-e29b-41d4-a716-446655440000/y",
            "/x/a-rather-long-slug-of-words",
            "/x/a-short-slug",
            "/x/averylongwordwithouthyphens",
        ],
        (_, "worker_name") => {
            &["w 1", "ä/ö", "plain-name_1", "", "worker-89012345678901234567890123456789012345678901234"]
        }
        (_, "recording" | "request" | "job" | "video" | "id" | "target" | "url") => {
            &["1", "2", "3", "4", "5.0"]
        }
        (_, "session" | "room" | "publisher" | "subscriber" | "worker_id") => &["1", "2", "3", "4"],
        (_, "room_id" | "peer_id" | "transport_id") => &["1", "2", "3"],
        _ => &ANY,
    };
    let text = pool[random.usize(..pool.len())];
    match random.u8(..12) {
        0 if text.parse::<f64>().is_ok() => Value::Number(text.to_owned()),
        1 if pool.len() == ANY.len() && text == "a" => Value::Bool(true),
        2 if text == "b" => Value::Number("-1.50e3".to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

/// Makes one thing of a valid line special: its time, a field that is long, that lacks, that is of the wrong kind.
fn twist(model: &Model, random: &mut Rng, line: &mut Line) -> Option<()> {
    let state = &model.states[line.event.split('.').next().unwrap()];
    let event = &state.system.events[&line.event];
    let (mut keys, numbers) = (state.system.keys(event), event.numbers());
    keys.retain(|key| event.fields().any(|field| field == *key));
    let field = |fields: Vec<&'static str>, random: &mut Rng| random.choice(fields);
    let now = model.now;
    match random.u8(..14) {
        0..4 => {
            let offset = match random.u8(..4) {
                0 => f64::from(random.u16(..400)) / 4.0,
                1 => -f64::from(random.u16(..400)) / 4.0,
                2 => DAY + 1.0 + f64::from(random.u32(..)),
                _ => -DAY - 1.0 - f64::from(random.u32(..1_000_000_000)),
            };
            line.time = Some(Value::Number(format!("{:.2}", now + offset)));
        }
        4 => line.time = Some(Value::Text("noon".to_owned())),
        5 => line.set(field(event.required.clone(), random)?, Value::Null),
        6 => {
            let name = field(event.required.clone(), random)?;
            line.fields.retain(|(field, _)| field != name);
        }
        7 => line.set(field(numbers.into_iter().collect(), random)?, Value::Text("many".to_owned())),
        8 => line
            .set(field(numbers.into_iter().collect(), random)?, Value::Number("9007199254740994".to_owned())),
        9 => {
            let counter = |metric| state.system.metrics[metric].kind == Kind::Counter;
            let counted = event.effects.iter().filter(|effect| effect.changes().is_some_and(counter));
            let amounts = counted
                .filter_map(|effect| effect.value.split('|').next())
                .filter(|field| numbers.contains(field));
            line.set(field(amounts.collect(), random)?, Value::Number("-0.5".to_owned()));
        }
        10 => line.set(field(keys.into_iter().collect(), random)?, Value::Text(String::new())),
        11 => line.set(field(keys.into_iter().collect(), random)?, Value::Text("k".repeat(LABEL_MAX + 1))),
        12 => {
            let texts = event.fields().filter(|name| !numbers.contains(name));
            line.set(field(texts.collect(), random)?, Value::Other("[1]"));
        }
        _ => {
            // A field of that name is a part of a key elsewhere: whether it is one here, where nothing is met, is open.
            let elsewhere = |name: &str| {
                keys.is_empty() && state.system.entities.values().any(|entity| entity.key.contains(&name))
            };
            let shown = |name: &str| {
                let metrics = event.effects.iter().filter_map(Effect::changes);
                let carried = event
                    .effects
                    .iter()
                    .filter_map(Effect::meets)
                    .flat_map(|kind| &state.system.entities[kind].carries);
                carried
                    .copied()
                    .chain(metrics.flat_map(|metric| &state.system.metrics[metric].labels).copied())
                    .any(|label| label == name)
            };
            let plain = |name: &str| !state.system.transforms.contains_key(name);
            let labels = event.fields().filter(|name| !keys.contains(name) && !numbers.contains(name));
            let labels = labels.filter(|name| shown(name) && plain(name) && !elsewhere(name));
            let unit = if random.bool() { "é" } else { "x…" };
            line.set(
                field(labels.collect(), random)?,
                Value::Text(unit.repeat(random.usize(LABEL_MAX / 4..LABEL_MAX))),
            );
        }
    }
    Some(())
}
