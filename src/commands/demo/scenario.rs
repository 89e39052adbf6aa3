//! The demo's scenario: actors that come, do things for a while, and go. Pure: the same seed plays the same events.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::config::duration;
use crate::config::ini::{self, InlineComments, Section};
use crate::protocol::shorthand::EventSpec;

/// A kind of actor.
struct Kind {
    name: String,
    every: f64,
    first: usize,
    most: usize,
    lasts: (f64, f64),
    within: Option<usize>,
    vars: Vec<(String, String)>,
    start: Vec<String>,
    /// Mean seconds between two, and the event.
    whiles: Vec<(f64, String)>,
    /// Weight and events.
    end: Vec<(u32, String)>,
}

/// One actor on the stage.
struct Actor {
    kind: usize,
    vars: BTreeMap<String, String>,
    children: Vec<u64>,
    parent: Option<u64>,
    /// Growing totals, by the place of their text.
    totals: BTreeMap<String, i64>,
}

/// What happens next: milliseconds, a running number that keeps the order, and what.
type Cue = Reverse<(u64, u64, What)>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Arrive(usize),
    While(u64, usize),
    Leave(u64),
}

/// The play.
pub(super) struct Scenario {
    kinds: Vec<Kind>,
    random: fastrand::Rng,
    actors: BTreeMap<u64, Actor>,
    cues: BinaryHeap<Cue>,
    next: u64,
    /// Events of the beginning.
    opening: Vec<String>,
}

impl Scenario {
    /// Reads a scenario and sets the stage.
    pub(super) fn new(text: &str, seed: u64) -> Result<Self, String> {
        let document = ini::parse(text, InlineComments::AsWritten, |_| true)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let mut kinds: Vec<Kind> = Vec::new();
        for section in &document.sections {
            let kind = read_kind(section, &kinds).map_err(|what| format!("[{}] {what}", section.name))?;
            kinds.push(kind);
        }
        let mut scenario = Scenario {
            kinds,
            random: fastrand::Rng::with_seed(seed),
            actors: BTreeMap::new(),
            cues: BinaryHeap::new(),
            next: 0,
            opening: Vec::new(),
        };
        for kind in 0..scenario.kinds.len() {
            for _ in 0..scenario.kinds[kind].first {
                let lines = scenario.arrive(kind, 0);
                scenario.opening.extend(lines);
            }
            scenario.cue_arrival(kind, 0);
        }
        Ok(scenario)
    }

    /// The next events and when they happen, in scenario time from the beginning.
    pub(super) fn next(&mut self) -> Option<(Duration, Vec<String>)> {
        if !self.opening.is_empty() {
            return Some((Duration::ZERO, std::mem::take(&mut self.opening)));
        }
        let Reverse((at, _, what)) = self.cues.pop()?;
        let lines = match what {
            What::Arrive(kind) => {
                self.cue_arrival(kind, at);
                self.arrive(kind, at)
            }
            What::While(id, index) => self.carry_on(id, index, at),
            What::Leave(id) => self.leave(id),
        };
        Some((Duration::from_millis(at), lines))
    }

    fn cue(&mut self, at: u64, what: What) {
        self.next += 1;
        self.cues.push(Reverse((at, self.next, what)));
    }

    /// A random time with this mean, in milliseconds.
    fn pause(&mut self, mean: f64) -> u64 {
        (2.0 * self.random.f64() * mean * 1_000.0) as u64 + 1
    }

    fn cue_arrival(&mut self, kind: usize, now: u64) {
        let pause = self.pause(self.kinds[kind].every);
        self.cue(now + pause, What::Arrive(kind));
    }

    fn arrive(&mut self, kind: usize, now: u64) -> Vec<String> {
        if self.actors.values().filter(|actor| actor.kind == kind).count() >= self.kinds[kind].most {
            return Vec::new();
        }
        let parent = match self.kinds[kind].within {
            None => None,
            Some(within) => {
                let ids: Vec<u64> =
                    self.actors.iter().filter(|(_, actor)| actor.kind == within).map(|(id, _)| *id).collect();
                let Some(id) = self.random.choice(ids) else { return Vec::new() };
                Some(id)
            }
        };
        self.next += 1;
        let id = self.next;
        let mut vars = parent.map_or_else(BTreeMap::new, |parent| self.actors[&parent].vars.clone());
        vars.insert("id".to_owned(), format!("{}-{id}", self.kinds[kind].name));
        if let Some(parent) = parent.and_then(|parent| self.actors.get_mut(&parent)) {
            parent.children.push(id);
        }
        self.actors.insert(id, Actor { kind, vars, children: Vec::new(), parent, totals: BTreeMap::new() });
        for (name, text) in self.kinds[kind].vars.clone() {
            let value = self.fill(id, &text);
            if let Some(actor) = self.actors.get_mut(&id) {
                actor.vars.insert(name, value);
            }
        }
        let (from, to) = self.kinds[kind].lasts;
        let stays = ((from + (to - from) * self.random.f64()) * 1_000.0) as u64;
        self.cue(now + stays, What::Leave(id));
        for index in 0..self.kinds[kind].whiles.len() {
            let pause = self.pause(self.kinds[kind].whiles[index].0);
            self.cue(now + pause, What::While(id, index));
        }
        let start = self.kinds[kind].start.clone();
        start.iter().map(|event| self.fill(id, event)).collect()
    }

    fn carry_on(&mut self, id: u64, index: usize, now: u64) -> Vec<String> {
        let Some(actor) = self.actors.get(&id) else { return Vec::new() };
        let (mean, event) = self.kinds[actor.kind].whiles[index].clone();
        let pause = self.pause(mean);
        self.cue(now + pause, What::While(id, index));
        vec![self.fill(id, &event)]
    }

    fn leave(&mut self, id: u64) -> Vec<String> {
        let Some(actor) = self.actors.get(&id) else { return Vec::new() };
        let (kind, parent) = (actor.kind, actor.parent);
        // Those within it leave in good order first, as real ones would.
        let mut lines: Vec<String> = Vec::new();
        for child in actor.children.clone() {
            lines.extend(self.leave(child));
        }
        let weights: u32 = self.kinds[kind].end.iter().map(|(weight, _)| weight).sum();
        if weights > 0 {
            let mut pick = self.random.u32(0..weights);
            let end = self.kinds[kind].end.iter().find(|(weight, _)| {
                let chosen = pick < *weight;
                pick = pick.saturating_sub(*weight);
                chosen
            });
            let events = end.map(|(_, events)| events.clone()).unwrap_or_default();
            lines.extend(events.split(" & ").map(|event| self.fill(id, event)));
        }
        self.actors.remove(&id);
        if let Some(parent) = parent.and_then(|parent| self.actors.get_mut(&parent)) {
            parent.children.retain(|child| *child != id);
        }
        lines
    }

    /// Replaces what is in braces.
    fn fill(&mut self, id: u64, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (inner, behind) = after.split_once('}').unwrap_or((after, ""));
            out.push_str(before);
            let value = self.choose(id, inner);
            out.push_str(&value);
            rest = behind;
        }
        out + rest
    }

    fn choose(&mut self, id: u64, inner: &str) -> String {
        if let Some(value) = self.actors.get(&id).and_then(|actor| actor.vars.get(inner)) {
            return value.clone();
        }
        if inner.contains('|') {
            let choices: Vec<&str> = inner.split('|').collect();
            return self.random.choice(choices).unwrap_or_default().to_owned();
        }
        let growing = inner.strip_prefix('+');
        let Some((from, to)) = growing.unwrap_or(inner).split_once("..") else { return inner.to_owned() };
        if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
            let number = self.random.i64(from..=to);
            let Some(actor) = self.actors.get_mut(&id).filter(|_| growing.is_some()) else {
                return number.to_string();
            };
            let total = actor.totals.entry(inner.to_owned()).or_default();
            *total += number;
            return total.to_string();
        }
        match (from.parse::<f64>(), to.parse::<f64>()) {
            (Ok(from), Ok(to)) => format!("{:.4}", from + (to - from) * self.random.f64()),
            _ => inner.to_owned(),
        }
    }
}

fn read_kind(section: &Section, before: &[Kind]) -> Result<Kind, String> {
    let name = section.name.strip_prefix("actor ").ok_or("expected [actor NAME]")?.to_owned();
    let seconds = |text: &str| duration::parse(text.trim()).map(|duration| duration.as_secs_f64());
    let text = |key: &'static str| section.repeated(key).next().map(|entry| entry.value.as_str());
    let number = |key: &'static str, default: usize| {
        text(key).map_or(Ok(default), |text| text.parse().map_err(|_| format!("{key}: expected a number")))
    };
    let (from, to) =
        text("lasts").and_then(|text| text.split_once("..")).ok_or("lasts: expected FROM..TO")?;
    let within = match text("within") {
        None => None,
        Some(name) => Some(
            before
                .iter()
                .position(|kind| kind.name == name)
                .ok_or("within: expected an actor named before")?,
        ),
    };
    let split = |value: &str| {
        value
            .split_once(' ')
            .map(|(a, b)| (a.to_owned(), b.trim().to_owned()))
            .ok_or("expected a word and a text")
    };
    let events = |text: &str| text.split(" & ").try_for_each(|event| EventSpec::parse(event).map(|_| ()));
    let mut kind = Kind {
        every: seconds(text("every").ok_or("every: missing")?)?,
        first: number("first", 0)?,
        most: number("most", 1)?,
        lasts: (seconds(from)?, seconds(to)?),
        within,
        vars: Vec::new(),
        start: section.repeated("start").map(|entry| entry.value.clone()).collect(),
        whiles: Vec::new(),
        end: Vec::new(),
        name,
    };
    for entry in section.repeated("var") {
        kind.vars.push(split(&entry.value)?);
    }
    for entry in section.repeated("while") {
        let (mean, event) = split(&entry.value)?;
        kind.whiles.push((seconds(&mean)?, event));
    }
    for entry in section.repeated("end") {
        let (weight, event) = split(&entry.value)?;
        kind.end.push((weight.parse().map_err(|_| "end: expected WEIGHT EVENT")?, event));
    }
    kind.start
        .iter()
        .chain(kind.whiles.iter().map(|(_, event)| event))
        .chain(kind.end.iter().map(|(_, event)| event))
        .try_for_each(|event| events(event))?;
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use crate::config::Settings;
    use crate::engine::{Engine, Rules};

    /// The first ten minutes of the play, through the real catalogs.
    #[test]
    fn the_scenario_plays_by_the_catalogs_and_the_same_each_time() {
        let play = || {
            let mut scenario = Scenario::new(super::super::SCENARIO, 1).unwrap();
            let mut lines = Vec::new();
            while let Some((at, events)) = scenario.next() {
                if at > Duration::from_secs(600) {
                    break;
                }
                lines.extend(events.iter().map(|event| EventSpec::parse(event).unwrap().to_line()));
            }
            lines
        };
        let lines = play();
        assert!(lines.len() > 20_000 && lines == play(), "{} events", lines.len());
        let mut engine = Engine::default();
        engine.configure(&catalog::load(None).unwrap().all, Rules::from(&Settings::default()), 0.0);
        for line in &lines {
            assert_eq!(engine.apply(line, 1.0), Ok(()), "{line}");
        }
    }
}
