//! The producer's side of a reliable session: sends lines, receives acknowledgements and rejections, and
//! after a broken connection resumes at the position that the exporter reports.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use crossbeam_channel::{Receiver, never, select};

use super::input::Input;
use super::unacked::Unacked;
use crate::limits;
use crate::link::{Link, Phase, Reply, Retry, is_refusal, refused, unreachable};

/// A session with the exporter.
pub(super) struct Client {
    path: PathBuf,
    instance: String,
    unacked: Unacked,
    link: Option<Link>,
    /// Whether it was ever connected, and whether the exporter has ever answered.
    was_connected: bool,
    was_answered: bool,
    /// Connections that the exporter has closed without an answer.
    refusals: u32,
    said_bye: bool,
    retry: Retry,
    /// When the latest line was acknowledged, or a line arrived while none was waiting.
    progress_at: Instant,
    rejected: u64,
    acked: u64,
    progress: Option<Progress>,
    input: Option<String>,
}

impl Client {
    /// Connects. It is an error if the first attempt fails.
    pub(super) fn connect(path: PathBuf, progress: bool) -> Result<Self, String> {
        let now = Instant::now();
        let mut client = Client {
            path,
            instance: format!("{:016x}", fastrand::u64(..)),
            unacked: Unacked::default(),
            link: None,
            was_connected: false,
            was_answered: false,
            refusals: 0,
            said_bye: false,
            retry: Retry::new(),
            progress_at: now,
            rejected: 0,
            acked: 0,
            progress: progress.then(|| Progress::new(now)),
            input: None,
        };
        match client.dial() {
            // It may be one that is just ending.
            Err(error) if !is_refusal(&error) => Err(unreachable(&client.path, &error)),
            _ => Ok(client),
        }
    }

    fn dial(&mut self) -> io::Result<()> {
        // A name belongs to one user.
        let producer = format!("send:{}", nix::unistd::geteuid());
        let dialed = Link::dial(&self.path, &producer, &self.instance);
        self.refusals += u32::from(dialed.as_ref().is_err_and(is_refusal));
        let mut link = dialed?;
        // The exporter cannot know an instance that was just created: its session starts at 0.
        if !std::mem::replace(&mut self.was_connected, true) {
            link.phase = Phase::Open;
        }
        self.link = Some(link);
        Ok(())
    }

    /// Sends all input. Returns once all of it is acknowledged.
    pub(super) fn send(mut self, inputs: &Receiver<Input>) -> Result<(), String> {
        let mut ended = false;
        let result = loop {
            self.send_waiting(ended);
            if ended && self.is_over() {
                break Ok(());
            }
            if let Err(error) = self.check_patience() {
                break Err(error);
            }
            let wants = !ended && self.unacked.bytes() < limits::SEND_BYTES_MAX;
            let (none, no_replies) = (never(), never());
            let inputs = if wants { inputs } else { &none };
            let replies = self.link.as_ref().map_or(&no_replies, |link| &link.replies).clone();
            let is_quiet = self.link.is_some() && self.progress.is_none();
            let wait = if is_quiet { limits::ROLE_IDLE_MAX } else { limits::SEND_TICK };
            select! {
                recv(inputs) -> input => match input {
                    Ok(Input::Block(block)) => self.take_block(block),
                    Ok(Input::Refused(number, why)) => self.tell_rejected(Some(number), why),
                    Ok(Input::Failed(what)) => self.input = Some(what),
                    Err(_) => ended = true,
                },
                recv(replies) -> reply => match reply.map(|reply| self.take(&reply)) {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break Err(error),
                    Err(_) => {
                        self.link = None;
                        self.refusals += u32::from(!self.was_answered);
                    }
                },
                default(wait) => {}
            }
            if self.link.is_none() && !(ended && self.is_over()) {
                self.redial();
            }
            if let Some(progress) = &mut self.progress {
                progress.show(self.acked, false);
            }
        };
        if let Some(progress) = &mut self.progress {
            progress.show(self.acked, true);
        }
        match (result, self.input, self.rejected) {
            (Err(error), _, _) | (Ok(()), Some(error), _) => Err(error),
            (Ok(()), None, 0) => Ok(()),
            (Ok(()), None, 1) => Err("1 line was rejected".to_owned()),
            (Ok(()), None, rejected) => Err(format!("{rejected} lines were rejected")),
        }
    }

    /// Whether the session is complete. After its bye it waits for the exporter to close the connection, so
    /// that it is not listed as a producer that is away. Without a connection it does not say bye.
    fn is_over(&self) -> bool {
        let is_open = self.link.as_ref().is_some_and(Link::is_open);
        let is_answered =
            !is_open || (self.said_bye && self.progress_at.elapsed() >= limits::SEND_BYE_TIMEOUT);
        self.unacked.is_empty() && self.was_answered && is_answered
    }

    fn take_block(&mut self, block: super::input::Block) {
        if self.unacked.is_empty() {
            self.progress_at = Instant::now();
        }
        self.unacked.push(block);
    }

    /// Sends what is not sent yet on this connection, and the bye after the last line.
    fn send_waiting(&mut self, ended: bool) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_open()) else { return };
        let mut is_written = true;
        while is_written && let Some(block) = self.unacked.next() {
            is_written = link.write(block);
        }
        if is_written && ended && !self.said_bye && self.unacked.are_sent() {
            self.said_bye = link.say_bye();
        }
    }

    fn take(&mut self, reply: &Reply) -> Result<(), String> {
        if let Some(number) = reply.rejected {
            let number = self.unacked.input_number(number);
            if number.is_none() {
                return Err(format!("the exporter refused the session: {}: {}", reply.reason, reply.detail));
            }
            self.tell_rejected(number, &format!("{}: {}", reply.reason, reply.detail));
        }
        let Some(number) = reply.ack else { return Ok(()) };
        let Some(link) = &mut self.link else { return Ok(()) };
        self.was_answered = true;
        let count = if link.phase == Phase::Handshake {
            link.phase = Phase::Open;
            self.said_bye = false;
            let count = self.unacked.resume(number)?;
            if count > 0 {
                tell(&format!(
                    "the connection broke; {count} lines were taken without a reply, so rejections among \
                     them are unknown"
                ));
            }
            count
        } else {
            self.unacked.acknowledge(number)?
        };
        self.retry.reset();
        if count > 0 {
            self.acked += count;
            self.progress_at = Instant::now();
        }
        Ok(())
    }

    fn redial(&mut self) {
        if self.retry.is_due() {
            let _ = self.dial();
        }
    }

    fn check_patience(&self) -> Result<(), String> {
        if self.refusals >= limits::SEND_REFUSALS_MAX {
            return Err(refused(&self.path));
        }
        let patience = if self.was_answered { limits::SEND_ACK_TIMEOUT } else { limits::SEND_REPLY_TIMEOUT };
        if (self.unacked.is_empty() && self.was_answered) || self.progress_at.elapsed() < patience {
            return Ok(());
        }
        let (path, seconds) = (self.path.display(), patience.as_secs());
        if self.was_answered {
            Err(format!(
                "{path}: no line was acknowledged for {seconds} s; {} lines are unacknowledged and may \
                 or may not count (is the exporter running, and can it write its state?)",
                self.unacked.lines()
            ))
        } else {
            Err(format!(
                "{path}: no answer for {seconds} s; can the exporter write its state? (journalctl -u \
                 lifecycle-exporter)"
            ))
        }
    }

    fn tell_rejected(&mut self, number: Option<u64>, why: &str) {
        self.rejected += 1;
        let number = number.map_or(String::new(), |number| format!("line {number}: "));
        tell(&format!("{number}{why}"));
    }
}

fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints how many lines are acknowledged, and the rate.
struct Progress {
    began: Instant,
    shown_at: Instant,
    on_terminal: bool,
}

impl Progress {
    fn new(now: Instant) -> Self {
        Progress { began: now, shown_at: now, on_terminal: io::stderr().is_terminal() }
    }

    fn show(&mut self, acked: u64, last: bool) {
        if !last && self.shown_at.elapsed() < limits::SEND_PROGRESS_EVERY {
            return;
        }
        self.shown_at = Instant::now();
        let seconds = self.began.elapsed().as_secs_f64().max(1e-3);
        let rate = acked as f64 / seconds;
        let (begin, end) = match (self.on_terminal, last) {
            (true, false) => ("\r", ""),
            (true, true) => ("\r", "\n"),
            (false, _) => ("", "\n"),
        };
        let _ = write!(io::stderr(), "{begin}{acked} lines acknowledged, {rate:.0} a second{end}");
    }
}
