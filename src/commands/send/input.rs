//! Standard input as blocks of whole lines. Blank lines are left out, and those that are part of the conversation
//! itself, a hello or a bye, are refused here.

use std::io::{self, BufRead, BufReader, Read};

use crossbeam_channel::{Receiver, SendError, Sender, bounded};

use super::unknown::Unknown;
use super::warn;
use crate::limits;
use crate::protocol::control_line::ControlLine;
use crate::state::is_blank;

/// What comes in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Lines.
    Block(Block),
    /// A line that is not sent, with its number and the reason.
    Refused(u64, &'static str),
    /// Nothing more can be read.
    Failed(String),
}

/// Whole lines that follow each other in the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The number of its first line in the input, from 1.
    pub(super) first: u64,
    /// How many lines it has.
    pub(super) lines: u64,
    /// The lines with their ends.
    pub(super) bytes: Vec<u8>,
}

/// What waits for the session.
const QUEUE: usize = 4;

/// Reads standard input on a thread of its own, since reading may wait for ever.
pub(super) fn read_standard_input(mut unknown: Unknown) -> Receiver<Input> {
    let (sender, inputs) = bounded(QUEUE);
    std::thread::spawn(move || {
        // Nobody who listens: the session has ended before the input.
        let input = BufReader::with_capacity(limits::BATCH_BYTES, io::stdin());
        let _ = read(input, &sender, &mut |line| unknown.look(line, &mut warn));
    });
    inputs
}

/// `look` sees each line that is sent.
fn read(
    mut input: BufReader<impl Read>,
    out: &Sender<Input>,
    look: &mut dyn FnMut(&str),
) -> Result<(), SendError<Input>> {
    let mut line = Vec::new();
    let mut block = Block { first: 1, lines: 0, bytes: Vec::new() };
    for number in 1_u64.. {
        line.clear();
        let read = (&mut input).take(limits::SEND_LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
        let failed = match read {
            Err(error) => Some(format!("standard input: {error}")),
            Ok(count) if count as u64 > limits::SEND_LINE_BYTES_MAX => {
                Some(format!("line {number}: expected at most {} bytes", limits::SEND_LINE_BYTES_MAX))
            }
            Ok(_) => None,
        };
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
        // Whatever is there goes out at once, so that a slow source is not held back.
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
    fn what_has_no_end_is_not_kept_whole() {
        let long = "x".repeat(limits::SEND_LINE_BYTES_MAX as usize + 1);
        let [first, Input::Failed(what)] = &inputs(&format!("a\n{long}"))[..] else { panic!() };
        assert_eq!(first, &block(1, 1, "a\n"));
        assert!(what.contains("line 2: expected at most"), "{what}");
    }
}
