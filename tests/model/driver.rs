//! Plays one exporter's life step by step, in the process and in the model, and compares what both say: every reply to a
//! session, and the page. Steps wait for each other, so that the order in which lines apply is known; within a step the
//! process is as concurrent as it likes.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::generator::{Scope, Sent, line};
use crate::line::{Line, Value};
use crate::page;
use crate::process::Process;
use crate::rules::RunId;
use crate::support::session::{Session, ack};
use crate::support::{PATIENCE, value, wait_until};
use crate::tables::farm;
use crate::world::{Model, Settings, Standing};

/// Producers, and whether they own what they open.
const PRODUCERS: [(&str, bool); 4] =
    [("talk", true), ("vlog:api", true), ("sfu \"1\"", true), ("watcher", false)];
/// How many steps are told when something differs.
const TAPE_MAX: usize = 30;

/// What has been played.
#[derive(Debug, Default)]
pub struct Played {
    pub exporters: u64,
    pub steps: u64,
    pub events: u64,
    pub rejections: u64,
    pub abandonments: u64,
    pub hellos: u64,
    pub restarts: u64,
    pub kills: u64,
    pub reloads: u64,
    pub jumps: u64,
    pub pages: u64,
}

/// A run of a producer, as its client sees it.
struct Client {
    producer: &'static str,
    owner: bool,
    instance: String,
    /// How many lines it has sent.
    position: u64,
    session: Option<Session>,
}

pub struct Driver<'a> {
    seed: u64,
    random: Rng,
    model: Model,
    process: Process,
    library: PathBuf,
    plain: Vec<Option<UnixStream>>,
    clients: BTreeMap<RunId, Client>,
    next_run: RunId,
    tape: VecDeque<String>,
    played: &'a mut Played,
}

/// Settings from the seed: each exporter has its own.
fn settings(random: &mut Rng) -> Settings {
    let text = |name: &str, text: &str| (name.to_owned(), Value::Text(text.to_owned()));
    let line = |event: &str, fields| Line { event: event.to_owned(), time: None, fields };
    let configured = line("recording.backend_configured", vec![text("backend", "https://a.example/")]);
    let limit = ("limit".to_owned(), Value::Number("7".to_owned()));
    let added = line("signaling.backend.added", vec![text("backend", "https://b.example/"), limit]);
    Settings {
        resets: random.u8(..4) == 0,
        aliases: random.bool(),
        short_grace: random.u8(..3) == 0,
        entities_max: (random.u8(..3) == 0).then(|| random.usize(3..12)),
        enabled: (random.u8(..4) == 0).then(|| vec!["recording", "signaling", "vlog", "edumeet"]),
        expect: if random.bool() { vec!["talk", "watcher", "nobody"] } else { Vec::new() },
        startup: if random.bool() { vec![configured, added] } else { Vec::new() },
    }
}

impl<'a> Driver<'a> {
    pub fn new(seed: u64, library: &Path, played: &'a mut Played) -> Self {
        let mut random = Rng::with_seed(seed);
        let settings = settings(&mut random);
        let now = 1_700_000_000.0 + f64::from(random.u32(..100_000_000));
        let process = Process::start(&settings.text(), library, now);
        let tape = VecDeque::from([format!("start at {now} with {settings:?}")]);
        played.exporters += 1;
        Driver {
            seed,
            random,
            model: Model::new(settings, now),
            process,
            library: library.to_owned(),
            plain: vec![None, None, None],
            clients: BTreeMap::new(),
            next_run: 1,
            tape,
            played,
        }
    }

    /// Plays so many steps, or until the deadline, and compares now and then.
    pub fn play(mut self, steps: usize, deadline: Instant) {
        self.compare(false);
        for step in 1..=steps {
            if Instant::now() > deadline {
                break;
            }
            self.step();
            self.played.steps += 1;
            if step % 5 == 0 {
                self.compare(false);
            }
        }
        self.compare(false);
        self.count();
    }

    fn count(&mut self) {
        for state in self.model.states.values() {
            self.played.events += state.events.values().sum::<u64>();
            self.played.abandonments += state.abandoned.values().sum::<u64>();
        }
        self.played.rejections += self.model.rejected.values().sum::<u64>();
    }

    fn step(&mut self) {
        match self.random.u8(..100) {
            0..35 => self.feed_plain(),
            35..70 => self.feed_session(),
            70..77 => self.begin(),
            77..84 => self.come_back(),
            84..88 => self.cut(),
            88..90 => self.bye(),
            90..92 => self.torn(),
            92..94 => self.restart(true),
            94..96 => self.restart(false),
            96..98 => self.reload(),
            _ => self.jump(),
        }
    }

    fn note(&mut self, what: impl Into<String>) {
        if self.tape.len() == TAPE_MAX {
            self.tape.pop_front();
        }
        self.tape.push_back(what.into());
    }

    /// Makes lines that the model has applied.
    fn lines(&mut self, scope: Scope) -> Vec<Sent> {
        let count = self.random.usize(1..8);
        let lines: Vec<Sent> = (0..count).map(|_| line(&mut self.model, &mut self.random, scope)).collect();
        let who = scope.by.map_or("plain".to_owned(), |run| format!("run {run}"));
        for line in &lines {
            let text: String = String::from_utf8_lossy(&line.bytes).trim_end().chars().take(250).collect();
            let verdict = line.verdict.err().unwrap_or("good");
            self.note(format!("{who}: {text}: {verdict}"));
        }
        lines
    }

    fn feed_plain(&mut self) {
        let which = self.random.usize(..self.plain.len());
        let lines = self.lines(Scope { by: None, restarts: true });
        let mut bytes: Vec<u8> = lines.into_iter().flat_map(|line| line.bytes).collect();
        if self.random.u8(..10) == 0 && self.plain[which].is_some() {
            bytes.extend(b"\n{\"hello\":\"late\",\"instance\":\"x\"}\n");
            self.model.reject("malformed");
            self.note("plain: a hello that comes late");
        }
        let connect = || UnixStream::connect(&self.process.socket).unwrap();
        self.plain[which].get_or_insert_with(connect).write_all(&bytes).unwrap();
        if self.random.u8(..6) == 0 {
            self.note("plain: the connection ends");
            self.plain[which] = None;
        }
        self.see();
    }

    /// A scrape shows what was written before it was asked for, so what follows comes after it.
    fn see(&self) {
        self.process.metrics("/metrics");
    }

    fn choose(&mut self, which: impl Fn(&Client, Standing) -> bool) -> Option<RunId> {
        let standing = |run: &RunId| self.model.runs.get(run).map(|run| run.standing);
        let fits =
            |(run, client): &(&RunId, &Client)| standing(run).is_some_and(|standing| which(client, standing));
        let runs: Vec<RunId> = self.clients.iter().filter(fits).map(|(run, _)| *run).collect();
        self.random.choice(runs)
    }

    fn feed_session(&mut self) {
        let Some(run) = self.choose(|client, _| client.session.is_some()) else { return self.begin() };
        let lines = self.lines(Scope { by: Some(run), restarts: true });
        self.send(run, &lines, 0);
        self.hear(run, &lines, 0);
    }

    /// Writes lines, but for the first of them that have been taken already.
    fn send(&mut self, run: RunId, lines: &[Sent], taken: usize) {
        let client = self.clients.get_mut(&run).unwrap();
        client.position += lines.len() as u64;
        let bytes: Vec<u8> = lines[taken..].iter().flat_map(|line| line.bytes.clone()).collect();
        client.session.as_mut().unwrap().stream.write_all(&bytes).unwrap();
    }

    /// Waits until the lines are acknowledged, and compares what is said of those behind the first ones.
    fn hear(&mut self, run: RunId, lines: &[Sent], taken: usize) {
        let client = self.clients.get_mut(&run).unwrap();
        let first = client.position - lines.len() as u64 + 1;
        let replies = client.session.as_mut().unwrap().wait_for_ack(client.position);
        let expected: Vec<(u64, String)> = (first..)
            .zip(lines)
            .skip(taken)
            .filter_map(|(number, line)| Some((number, line.verdict.err()?.to_owned())))
            .collect();
        let told: Vec<(u64, String)> = replies.iter().map(|reply| rejection(reply)).collect();
        if told != expected {
            fail(&[format!("replies to run {run}: model {expected:?}, program {replies:?}")]);
        }
    }

    /// A run that is new says hello.
    fn begin(&mut self) {
        let (producer, owner) = PRODUCERS[self.random.usize(..PRODUCERS.len())];
        let runs = self
            .clients
            .values()
            .filter(|client| client.producer == producer && client.session.is_some())
            .count();
        if runs >= 3 {
            return;
        }
        let run = self.next_run;
        self.next_run += 1;
        let client = Client { producer, owner, instance: format!("i{run}"), position: 0, session: None };
        self.clients.insert(run, client);
        self.model.hello(run, producer, owner);
        self.hello(run);
        // Whoever it ends has been heard out by now, but not all of them in one turn.
        self.compare(true);
    }

    /// Says hello and returns how many lines are known.
    fn hello(&mut self, run: RunId) -> u64 {
        let client = self.clients.get_mut(&run).unwrap();
        let mut hello = serde_json::json!({"hello": client.producer, "instance": client.instance});
        if !client.owner {
            hello["owner"] = false.into();
        }
        let (session, position) = Session::begin_with(&self.process.socket, &hello.to_string());
        let before = client.session.replace(session);
        let known = client.position;
        let producer = client.producer;
        if let Some(mut before) = before {
            before.wait_for_end();
        }
        self.note(format!("run {run} of {producer} says hello, known are {position}"));
        self.played.hellos += 1;
        if position > known {
            fail(&[format!("run {run} has sent {known} lines, the program knows {position}")]);
        }
        position
    }

    /// A run whose connection has ended, or has not, says the same hello again.
    fn come_back(&mut self) {
        let Some(run) = self.choose(|_, _| true) else { return self.begin() };
        let (producer, owner) = (self.clients[&run].producer, self.clients[&run].owner);
        let known = self.clients[&run].position;
        self.model.hello(run, producer, owner);
        let position = self.hello(run);
        if position != known {
            fail(&[format!("run {run} has {known} acknowledged lines, the program knows {position}")]);
        }
        self.compare(true);
    }

    /// A connection ends, after lines that nobody waits for, and perhaps in the middle of one.
    fn cut(&mut self) {
        let Some(run) = self.choose(|client, _| client.session.is_some()) else { return };
        let lines = self.lines(Scope { by: Some(run), restarts: true });
        self.send(run, &lines, 0);
        self.end_connection(run);
        let at_once = !self.model.settings.short_grace && self.random.bool();
        if at_once && self.clients[&run].owner {
            // Another run begins before anything has shown that this one has ended.
            let producer = self.clients[&run].producer;
            let next = self.next_run;
            self.next_run += 1;
            let client =
                Client { producer, owner: true, instance: format!("i{next}"), position: 0, session: None };
            self.clients.insert(next, client);
            self.model.hello(next, producer, true);
            self.hello(next);
        }
        self.away();
    }

    fn end_connection(&mut self, run: RunId) {
        let session = self.clients.get_mut(&run).unwrap().session.take().unwrap();
        if self.random.bool() {
            (&session.stream).write_all(b"{\"event\":\"proxy.command.re").unwrap();
        }
        session.stream.shutdown(Shutdown::Write).unwrap();
        drop(session);
        self.note(format!("run {run}: its connection ends"));
        self.model.disconnect(run);
    }

    /// Those who own what they open.
    fn all_connected(&self) -> Vec<RunId> {
        let connected = |client: &Client| client.owner && client.session.is_some();
        self.clients.iter().filter(|(_, client)| connected(client)).map(|(run, _)| *run).collect()
    }

    /// Somebody is away: with a short grace, until it is over.
    fn away(&mut self) {
        if self.model.settings.short_grace {
            self.model.grace_over();
        }
        self.compare(true);
    }

    fn bye(&mut self) {
        let Some(run) = self.choose(|client, _| client.session.is_some()) else { return };
        let mut client = self.clients.remove(&run).unwrap();
        self.note(format!("run {run}: bye"));
        let session = client.session.as_mut().unwrap();
        session.send("{\"bye\":true}");
        let mut replies = Vec::new();
        while let Some(reply) = session.reply() {
            replies.push(reply);
        }
        if replies.last().and_then(|reply| ack(reply)) != Some(client.position) {
            fail(&[format!("run {run} has sent {} lines and said bye: {replies:?}", client.position)]);
        }
        self.model.bye(run);
        self.compare(true);
    }

    /// A plain connection ends in the middle of a line.
    fn torn(&mut self) {
        let mut stream = UnixStream::connect(&self.process.socket).unwrap();
        stream.write_all(b"{\"event\":\"vlog.video.viewed\"}").unwrap();
        drop(stream);
        self.note("plain: a torn line");
        self.model.reject("truncated");
        self.compare(true);
    }

    /// The exporter is stopped or killed, perhaps while lines of a session are on their way, and started again.
    fn restart(&mut self, gently: bool) {
        if self.model.settings.short_grace {
            // Which of several graces that begin with the start ends first is open, and so is who abandons a child of another's.
            while let Some(run) = self.all_connected().get(1).copied() {
                self.end_connection(run);
                self.away();
            }
        }
        self.note(if gently { "restart" } else { "kill" });
        *(if gently { &mut self.played.restarts } else { &mut self.played.kills }) += 1;
        let under_way = self.random.bool() && !self.model.settings.short_grace;
        let speaker = if under_way { self.choose(|client, _| client.session.is_some()) } else { None };
        let mut lines = Vec::new();
        if let Some(run) = speaker {
            lines = self.lines(Scope { by: Some(run), restarts: false });
            self.send(run, &lines, 0);
        }
        self.process.end(gently);
        self.plain.fill_with(|| None);
        for client in self.clients.values_mut() {
            client.session = None;
        }
        if speaker.is_none() && self.random.u8(..4) == 0 {
            self.shift();
        }
        self.process.start_again(&self.library);
        self.model.restarted();
        if let Some(run) = speaker {
            let (producer, owner, sent) =
                (self.clients[&run].producer, self.clients[&run].owner, self.clients[&run].position);
            self.model.hello(run, producer, owner);
            let position = self.hello(run);
            let before = sent - lines.len() as u64;
            if position < before {
                fail(&[format!("run {run} has {before} acknowledged lines, the program knows {position}")]);
            }
            let taken = (position - before) as usize;
            if taken < lines.len() {
                self.clients.get_mut(&run).unwrap().position = before;
                self.send(run, &lines, taken);
                self.hear(run, &lines, taken);
            }
        }
        self.away();
    }

    /// The operator's catalog comes, changes, goes, or has a fault.
    fn reload(&mut self) {
        self.played.reloads += 1;
        let catalogs = self.process.directory.path().join("catalogs");
        if self.random.u8(..4) == 0 {
            let faulty = catalogs.join("faulty.ini");
            std::fs::write(&faulty, "[system]\nname = faulty\n[event faulty.x]\ninc = nothing\n").unwrap();
            self.note("reload with a faulty catalog");
            self.process.signal("HUP");
            self.wait_for("lifecycle_exporter_config_last_reload_successful", 0.0);
            self.compare(false);
            std::fs::remove_file(faulty).unwrap();
        }
        let edition = self.random.u8(..3);
        let file = catalogs.join("farm.ini");
        if edition == 0 {
            let _ = std::fs::remove_file(file);
        } else {
            std::fs::write(file, farm(edition).1).unwrap();
        }
        self.note(format!("reload with edition {edition} of the catalog"));
        self.model.now += 1.0;
        self.process.set_clock(self.model.now);
        self.process.signal("HUP");
        self.wait_for("lifecycle_exporter_config_last_reload_success_timestamp_seconds", self.model.now);
        self.model.catalog(edition);
        self.compare(false);
    }

    fn wait_for(&self, series: &str, expected: f64) {
        let reached = || value(&self.process.metrics("/metrics"), series) == Some(expected);
        wait_until(reached, || format!("{series} is not {expected}:\n{}", self.process.log()));
    }

    fn jump(&mut self) {
        self.shift();
        self.compare(false);
    }

    /// The time of day goes on, or is put forward or back.
    fn shift(&mut self) {
        self.played.jumps += 1;
        let seconds = match self.random.u8(..6) {
            0 => -f64::from(self.random.u16(1..600)),
            1 => -f64::from(self.random.u32(1..300_000)),
            2 => f64::from(self.random.u32(1..300_000)),
            _ => f64::from(self.random.u16(1..600)),
        };
        self.model.now += seconds;
        self.process.set_clock(self.model.now);
        self.note(format!("the clock goes {seconds} s to {}", self.model.now));
    }

    /// Compares the page. What only a wait for the end of a connection or of a grace shows may take its time.
    fn compare(&mut self, patient: bool) {
        self.played.pages += 1;
        let expected = self.model.page();
        let systems: Vec<_> = self.model.states.values().map(|state| &*state.system).collect();
        let deadline = Instant::now() + if patient { PATIENCE / 2 } else { Duration::ZERO };
        let differences = loop {
            let actual = page::read(&self.process.metrics("/metrics"));
            let differences = page::differences(&expected, &actual, &systems);
            if differences.is_empty() || Instant::now() >= deadline {
                break differences;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        };
        if !differences.is_empty() {
            fail(&differences);
        }
    }
}

fn fail(differences: &[String]) -> ! {
    let shown = differences.len().min(12);
    panic!("{} differences:\n{}", differences.len(), differences[..shown].join("\n"));
}

impl Drop for Driver<'_> {
    /// Whatever failed: how to see it again, and what led to it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let tape: Vec<String> = self.tape.iter().cloned().collect();
            println!("MODEL_SEED={} fails at step {} of all. The last steps:", self.seed, self.played.steps);
            println!("{}\nThe program's log:\n{}", tape.join("\n"), self.process.log());
            println!(
                "The runs: {:?}",
                self.model.runs.iter().map(|(id, run)| (id, run.producer, run.standing)).collect::<Vec<_>>()
            );
        }
    }
}

/// The number and the reason of a rejection. It has to say more in words.
fn rejection(reply: &str) -> (u64, String) {
    let reply: serde_json::Value = serde_json::from_str(reply).unwrap_or_default();
    assert!(reply["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{reply} has no detail");
    (reply["rejected"].as_u64().unwrap_or(0), reply["reason"].as_str().unwrap_or_default().to_owned())
}
