//! `demo`: the daemon, and a lively feed of all systems through its real socket, so that numbers move at once.

mod scenario;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::daemon::configuration::Overrides;
use crate::daemon::supervise;
use crate::protocol::shorthand::EventSpec;
use scenario::Scenario;

/// Facts about systems belong into files: this one says what the demo plays.
const SCENARIO: &str = include_str!("scenario.ini");
const SEED: u64 = 20_240;

/// Serves, and plays until the process ends. `speed` is times real time.
pub(crate) fn run(overrides: Overrides, speed: f64) -> Result<(), String> {
    let scenario = Scenario::new(SCENARIO, SEED)?;
    supervise::serve(overrides, move |socket| {
        let player = thread::Builder::new().name("demo".to_owned());
        let played = player.spawn(move || {
            if let Err(error) = play(scenario, &socket, speed) {
                log::info!("the demo has ended: {error}");
            }
        });
        if let Err(error) = played {
            log::error!("the demo cannot be played: {error}");
        }
    })
}

fn play(mut scenario: Scenario, socket: &Path, speed: f64) -> Result<(), String> {
    let mut stream = UnixStream::connect(socket).map_err(|error| error.to_string())?;
    let started = Instant::now();
    while let Some((at, events)) = scenario.next() {
        let mut lines = String::new();
        for event in events {
            lines.push_str(&EventSpec::parse(&event)?.to_line());
            lines.push('\n');
        }
        let due = at.div_f64(speed);
        thread::sleep(due.saturating_sub(started.elapsed()));
        stream.write_all(lines.as_bytes()).map_err(|error| error.to_string())?;
    }
    Ok(())
}
