//! The lines that are not acknowledged yet, in the order of their numbers, and how many of them are sent.

use std::collections::VecDeque;

use super::input::Block;

/// Blocks of lines, numbered from the latest acknowledgement on.
#[derive(Debug, Default)]
pub(super) struct Unacked {
    /// The latest acknowledgement.
    acked: u64,
    blocks: VecDeque<Block>,
    lines: u64,
    bytes: usize,
    /// How many of the blocks are sent.
    sent: usize,
}

impl Unacked {
    pub(super) fn push(&mut self, block: Block) {
        self.lines += block.lines;
        self.bytes += block.bytes.len();
        self.blocks.push_back(block);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// The next block to send; it counts as sent.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let block = self.blocks.get(self.sent)?;
        self.sent += 1;
        Some(&block.bytes)
    }

    pub(super) fn are_sent(&self) -> bool {
        self.sent == self.blocks.len()
    }

    /// Converts the number of a line in the session to its number in the input.
    pub(super) fn input_number(&self, number: u64) -> Option<u64> {
        let mut before = self.acked;
        self.blocks.iter().find_map(|block| {
            let from = before + 1;
            before += block.lines;
            (from..=before).contains(&number).then(|| block.first + number - from)
        })
    }

    /// Handles an acknowledgement. Returns how many lines it covers. It is an error if that is more than
    /// there are.
    pub(super) fn acknowledge(&mut self, number: u64) -> Result<u64, String> {
        let count = number.checked_sub(self.acked).filter(|count| *count <= self.lines).ok_or_else(|| {
            format!(
                "expected an acknowledgement of {} to {}, found {number}",
                self.acked,
                self.acked + self.lines
            )
        })?;
        let mut left = count;
        while left > 0 {
            let Some(block) = self.blocks.front_mut() else { break };
            if block.lines <= left {
                left -= block.lines;
                self.bytes -= block.bytes.len();
                self.blocks.pop_front();
                self.sent = self.sent.saturating_sub(1);
            } else {
                let end = memchr::memchr_iter(b'\n', &block.bytes).nth(left as usize - 1);
                let end = end.map_or(block.bytes.len(), |end| end + 1);
                block.bytes.drain(..end);
                block.first += left;
                block.lines -= left;
                self.bytes -= end;
                left = 0;
            }
        }
        self.lines -= count;
        self.acked = number;
        Ok(count)
    }

    /// Resumes at the position that the exporter reports on a new connection; later lines are sent again.
    /// Returns how many lines it had taken without acknowledging them. It is an error if that is more than
    /// there are.
    pub(super) fn resume(&mut self, number: u64) -> Result<u64, String> {
        self.sent = 0;
        if number < self.acked {
            // The exporter has lost its state. Acknowledged lines are not kept here, so only the others can
            // follow.
            self.acked = number;
        }
        self.acknowledge(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unacked() -> Unacked {
        let mut unacked = Unacked::default();
        unacked.push(Block { first: 1, lines: 2, bytes: b"a\nb\n".to_vec() });
        unacked.push(Block { first: 5, lines: 3, bytes: b"c\nd\ne\n".to_vec() });
        unacked
    }

    fn next(unacked: &mut Unacked) -> Option<String> {
        unacked.next().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    #[test]
    fn acknowledged_lines_go_and_the_rest_is_sent_again() {
        let mut unacked = unacked();
        assert_eq!(next(&mut unacked).as_deref(), Some("a\nb\n"));
        assert_eq!(next(&mut unacked).as_deref(), Some("c\nd\ne\n"));
        assert!(next(&mut unacked).is_none() && unacked.are_sent());
        assert_eq!(unacked.acknowledge(3), Ok(3));
        assert_eq!((unacked.lines(), unacked.bytes(), unacked.input_number(4)), (2, 4, Some(6)));
        assert_eq!(unacked.resume(4), Ok(1));
        assert_eq!(unacked.input_number(5), Some(7));
        assert_eq!(next(&mut unacked).as_deref(), Some("e\n"));
        assert_eq!(unacked.acknowledge(5), Ok(1));
        assert!(unacked.is_empty() && unacked.are_sent());
    }

    #[test]
    fn an_exporter_that_lost_its_state_gets_the_remaining_lines() {
        let mut unacked = unacked();
        unacked.acknowledge(2).unwrap();
        assert_eq!(unacked.resume(0), Ok(0));
        assert_eq!(unacked.input_number(1), Some(5));
        assert_eq!(next(&mut unacked).as_deref(), Some("c\nd\ne\n"));
        assert!(
            unacked.acknowledge(4).unwrap_err().contains("expected an acknowledgement of 0 to 3, found 4")
        );
    }
}
