//! The lines on their way to standard error. A thread writes them, so that no role waits for whoever reads them:
//! a pipe may be full, a terminal stopped, a disk may not answer. What does not fit into the queue is left out
//! and counted.
//!
//! Until that thread runs, lines are written at once. What a line looks like is `mod`'s to say.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::limits;

#[derive(Default)]
pub(super) struct Output {
    queue: OnceLock<Sender<String>>,
    /// Bytes of the lines in the queue and of the one that is being written.
    queued_bytes: AtomicUsize,
    left_out: AtomicU64,
}

impl Output {
    /// Writes a line, now or by the thread.
    pub(super) fn write(&self, line: String) {
        let Some(queue) = self.queue.get() else { return write(&mut std::io::stderr(), &line) };
        let bytes = line.len();
        if self.queued_bytes.fetch_add(bytes, Ordering::AcqRel) + bytes > limits::LOG_QUEUE_BYTES_MAX {
            self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.left_out.fetch_add(1, Ordering::Relaxed);
        } else {
            // Its receiver lives as long as the thread, which does not end.
            let _ = queue.send(line);
        }
    }

    /// Queues the lines from now on. What is returned is for [`Self::run`].
    pub(super) fn queue(&self) -> Receiver<String> {
        let (sender, lines) = unbounded();
        let _ = self.queue.set(sender);
        lines
    }

    /// The thread: writes the lines. `note` makes a line that says how many were left out.
    pub(super) fn run(&self, lines: &Receiver<String>, mut out: impl Write, note: impl Fn(u64) -> String) {
        for line in lines {
            write(&mut out, &line);
            let left_out = self.left_out.swap(0, Ordering::Relaxed);
            if left_out > 0 {
                write(&mut out, &note(left_out));
            }
            self.queued_bytes.fetch_sub(line.len(), Ordering::AcqRel);
        }
    }

    /// Whether every line is written.
    pub(super) fn is_written(&self) -> bool {
        self.queued_bytes.load(Ordering::Acquire) == 0
    }
}

fn write(out: &mut impl Write, line: &str) {
    // The process goes on if standard error is closed.
    let _ = out.write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::Arc;

    #[test]
    fn what_nobody_reads_is_left_out_and_counted() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let output = Arc::new(Output::default());
        let lines = output.queue();
        let thread = std::thread::spawn({
            let output = Arc::clone(&output);
            move || output.run(&lines, writer, |count| format!("{count} left out\n"))
        });
        let line = "x".repeat(limits::LOG_QUEUE_BYTES_MAX / 8 - 1) + "\n";
        for _ in 0..20 {
            output.write(line.clone());
        }
        assert!(!output.is_written());
        let (mut read, mut buffer) = (Vec::new(), vec![0; 65_536]);
        while !output.is_written() {
            let count = reader.read(&mut buffer).unwrap();
            read.extend_from_slice(&buffer[..count]);
            if read.len() >= 8 * line.len() + "12 left out\n".len() {
                break;
            }
        }
        let text = String::from_utf8(read).unwrap();
        let shown: Vec<&str> = text.lines().filter(|line| !line.starts_with('x')).collect();
        assert_eq!((shown, text.lines().count()), (vec!["12 left out"], 9));
        drop(reader);
        // A closed pipe ends nothing.
        output.write(line);
        while !output.is_written() {
            std::thread::yield_now();
        }
        assert!(!thread.is_finished());
    }
}
