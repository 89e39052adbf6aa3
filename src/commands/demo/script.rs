//! Turns the script of the demo into lines of the feed. The same seed gives the same lines; this file holds
//! no clock and no socket.

use std::collections::HashMap;

use crate::protocol::shorthand::EventSpec;

/// Its first lines explain the language.
const SCRIPT: &str = include_str!("script.txt");

/// The lines of this much time are made at once.
const PASS_SECONDS: f64 = 60.0;

/// A recurring sequence of events.
struct Episode {
    /// Mean seconds between two starts.
    every: f64,
    next: f64,
    lines: Vec<Line>,
}

struct Line {
    delay: &'static str,
    times: u32,
    event: &'static str,
}

/// An endless sequence of lines, each with its time in seconds. Those before 0 are sent at the start.
pub(crate) struct Script {
    episodes: Vec<Episode>,
    random: fastrand::Rng,
    /// The end of the current pass.
    end: f64,
    count: u32,
    /// Latest first.
    lines: Vec<(f64, String)>,
}

impl Script {
    pub(crate) fn new(seed: u64) -> Self {
        let mut episodes: Vec<Episode> = Vec::new();
        for text in SCRIPT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (time, mut event) =
                text.trim_start().split_once(' ').expect("a line holds a time and an event");
            let (mut delay, mut times) = ("0", 1);
            if text.starts_with(' ') {
                delay = time;
                if let Some((count, repeated)) = event.split_once("x ")
                    && let Ok(count) = count.parse()
                {
                    (times, event) = (count, repeated);
                }
            } else {
                let every = if time == "once" { f64::INFINITY } else { number(time) };
                episodes.push(Episode { every, next: -PASS_SECONDS, lines: Vec::new() });
            }
            let episode = episodes.last_mut().expect("a script begins with an episode");
            episode.lines.push(Line { delay, times, event });
        }
        let random = fastrand::Rng::with_seed(seed);
        Script { episodes, random, end: -PASS_SECONDS, count: 0, lines: Vec::new() }
    }

    /// Makes the lines of all episodes that start in the next pass.
    fn begin_pass(&mut self) {
        self.end += PASS_SECONDS;
        self.lines.reverse();
        for episode in &mut self.episodes {
            while episode.next < self.end {
                self.count += 1;
                let mut chosen = HashMap::new();
                let mut at = episode.next;
                for line in &episode.lines {
                    for n in 1..=line.times {
                        at += number(&choose(line.delay, &mut self.random));
                        let event = fill(line.event, (self.count, n), &mut chosen, &mut self.random);
                        let event = EventSpec::parse(&event).expect("a script holds events");
                        self.lines.push((at, event.to_line()));
                    }
                }
                episode.next += episode.every * (0.5 + self.random.f64());
            }
        }
        // The sort is stable: events at the same time keep the order of the script.
        self.lines.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        self.lines.reverse();
    }
}

impl Iterator for Script {
    type Item = (f64, String);

    fn next(&mut self) -> Option<Self::Item> {
        while self.lines.last().is_none_or(|(at, _)| *at >= self.end) {
            self.begin_pass();
        }
        self.lines.pop()
    }
}

fn number(text: &str) -> f64 {
    text.parse().expect("times and ranges of a script are numbers")
}

/// Replaces what is in braces.
fn fill(
    text: &'static str,
    (id, n): (u32, u32),
    chosen: &mut HashMap<&'static str, String>,
    random: &mut fastrand::Rng,
) -> String {
    let mut out = String::new();
    for (index, part) in text.split(['{', '}']).enumerate() {
        match (part, part.strip_prefix('*')) {
            _ if index % 2 == 0 => out.push_str(part),
            ("id", _) => out.push_str(&id.to_string()),
            ("n", _) => out.push_str(&n.to_string()),
            (_, Some(choices)) => out.push_str(&choose(choices, random)),
            (choices, None) => out.push_str(chosen.entry(part).or_insert_with(|| choose(choices, random))),
        }
    }
    out
}

/// Chooses from `a|b` or `FROM..TO`.
fn choose(choices: &str, random: &mut fastrand::Rng) -> String {
    let Some((from, to)) = choices.split_once("..") else {
        return random.choice(choices.split('|').collect::<Vec<_>>()).unwrap_or_default().to_owned();
    };
    match (from.parse::<i64>(), to.parse::<i64>()) {
        (Ok(from), Ok(to)) => random.i64(from..=to).to_string(),
        _ => format!("{:.4}", number(from) + (number(to) - number(from)) * random.f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use crate::config::Settings;
    use crate::engine::{Engine, EngineSettings};

    #[test]
    fn the_script_follows_the_catalogs_and_is_reproducible() {
        let ten_minutes = || Script::new(1).take_while(|(at, _)| *at < 600.0).collect::<Vec<_>>();
        let lines = ten_minutes();
        assert!(lines.len() > 20_000 && lines == ten_minutes(), "{} lines", lines.len());
        let mut engine = Engine::default();
        engine.configure(&catalog::load(None).unwrap().all, EngineSettings::from(&Settings::default()), 0.0);
        for (_, line) in &lines {
            assert_eq!(engine.apply(line, 1.0), Ok(()), "{line}");
        }
    }
}
