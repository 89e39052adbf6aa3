//! `demo`: runs the daemon and sends it a lively feed of all systems through its real socket.

pub(crate) mod script;

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::configuration::Overrides;
use crate::daemon::supervise;
use script::Script;

const SEED: u64 = 20_240;

/// Serves, and plays until the process ends, `speed` times faster than real time.
pub(crate) fn run(overrides: Overrides, speed: f64) -> Result<(), String> {
    supervise::serve(Overrides { is_demo: true, ..overrides }, move |socket| {
        let player = thread::Builder::new().name("demo".to_owned());
        let played = player.spawn(move || {
            // At a stop the exporter closes the connection.
            if let Err(error) = play(&socket, speed)
                && error.kind() != ErrorKind::BrokenPipe
            {
                log::info!("the demo has stopped: {error}");
            }
        });
        if let Err(error) = played {
            log::error!("the demo cannot start: {error}");
        }
    })
}

fn play(socket: &Path, speed: f64) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    let started = Instant::now();
    for (at, line) in Script::new(SEED) {
        let due = Duration::from_secs_f64(at.max(0.0) / speed);
        thread::sleep(due.saturating_sub(started.elapsed()));
        stream.write_all(format!("{line}\n").as_bytes())?;
    }
    Ok(())
}
