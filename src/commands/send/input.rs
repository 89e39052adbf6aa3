//! Splits standard input into blocks of whole lines. Blank lines are dropped, and control lines (a hello or a
//! bye) are refused, because `client` sends them itself.

use std::io::{self, BufRead, BufReader, Read};

use crossbeam_channel::{Receiver, SendError, Sender, bounded};

use super::unknown::Unknown;
use super::warn;
use crate::limits;
use crate::protocol::control_line::ControlLine;
use crate::state::is_blank;

/// A part of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    Block(Block),
    /// A line that is not sent, with its number and the reason.
    Refused(u64, &'static str),
    /// Reading has failed; nothing follows.
    Failed(String),
}

/// Consecutive whole lines of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The number of its first line in the input, from 1.
    pub(super) first: u64,
    pub(super) lines: u64,
    /// The lines with their line endings.
    pub(super) bytes: Vec<u8>,
}

/// Parts of the input that may wait for the session.
const QUEUE: usize = 4;

/// Reads standard input on a thread of its own, since reading may block forever.
pub(super) fn read_standard_input(mut unknown: Unknown) -> Receiver<Input> {
    let (sender, inputs) = bounded(QUEUE);
    std::thread::spawn(move || {
        // An error means that the session ended before the input did.
        let input = BufReader::with_capacity(limits::BATCH_BYTES, io::stdin());
        let _ = read(input, &sender, &mut |line| unknown.look(line, &mut warn));
    });
    inputs
}

/// Calls `look` for each line that is sent.
fn read(
    mut input: BufReader<impl Read>,
    out: &Sender<Input>,
    look: &mut dyn FnMut(&str),
) -> Result<(), SendError<Input>> {
    let mut line = Vec::new();
    let mut block = Block { first: 1, lines: 0, bytes: Vec::new() };
    for number in 1_u64.. {
        let failed = read_line(&mut input, "standard input", number, &mut line).err();
        let refused = if failed.is_some() { None } else { refusal(&line) };
        let sent = failed.is_none() && refused.is_none() && !is_blank(&line);
        if sent {
            if let Ok(text) = std::str::from_utf8(&line) {
                look(text.trim_end());
            }
            if block.lines == 0 {
                block.first = number;
            }
            block.bytes.extend_from_slice(&line);
            if line.last() != Some(&b'\n') {
                block.bytes.push(b'\n');
            }
            block.lines += 1;
        }
        // A block ends where no further whole line is buffered, so that the lines of a slow source are not
        // delayed.
        let more = sent && block.bytes.len() < limits::BATCH_BYTES && input.buffer().contains(&b'\n');
        if block.lines > 0 && !more {
            let next = Block { first: 0, lines: 0, bytes: Vec::new() };
            out.send(Input::Block(std::mem::replace(&mut block, next)))?;
        }
        if let Some(why) = refused {
            out.send(Input::Refused(number, why))?;
        }
        if let Some(what) = failed {
            return out.send(Input::Failed(what));
        }
        if line.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Reads the line of this number with its end. It is empty where the input has ended.
pub(in crate::commands) fn read_line(
    input: &mut dyn BufRead,
    name: &str,
    number: u64,
    line: &mut Vec<u8>,
) -> Result<(), String> {
    line.clear();
    let count = input
        .take(limits::SEND_LINE_BYTES_MAX + 1)
        .read_until(b'\n', line)
        .map_err(|error| format!("{name}: {error}"))?;
    if count as u64 > limits::SEND_LINE_BYTES_MAX {
        return Err(format!("line {number}: expected at most {} bytes", limits::SEND_LINE_BYTES_MAX));
    }
    Ok(())
}

fn refusal(line: &[u8]) -> Option<&'static str> {
    let text = std::str::from_utf8(line).ok()?;
    if !text.contains("hello") && !text.contains("bye") {
        return None;
    }
    ControlLine::read(text.trim_end()).map(|_| "malformed: expected an event; send says hello and bye itself")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(text: &str) -> Vec<Input> {
        let (sender, inputs) = crossbeam_channel::unbounded();
        read(BufReader::new(text.as_bytes()), &sender, &mut |_| {}).unwrap();
        drop(sender);
        inputs.iter().collect()
    }

    fn block(first: u64, lines: u64, text: &str) -> Input {
        Input::Block(Block { first, lines, bytes: text.into() })
    }

    #[test]
    fn lines_keep_their_numbers() {
        assert_eq!(inputs("a\nb\n\n \nc"), [block(1, 2, "a\nb\n"), block(5, 1, "c\n")]);
        assert_eq!(inputs(""), []);
        let [first, Input::Refused(2, why), last] = &inputs("a\n{\"bye\":true}\nb\n")[..] else { panic!() };
        assert_eq!((first, last), (&block(1, 1, "a\n"), &block(3, 1, "b\n")));
        assert!(why.contains("expected an event"));
    }

    #[test]
    fn an_endless_line_is_not_kept_in_memory() {
        let long = "x".repeat(limits::SEND_LINE_BYTES_MAX as usize + 1);
        let [first, Input::Failed(what)] = &inputs(&format!("a\n{long}"))[..] else { panic!() };
        assert_eq!(first, &block(1, 1, "a\n"));
        assert!(what.contains("line 2: expected at most"), "{what}");
    }
}
