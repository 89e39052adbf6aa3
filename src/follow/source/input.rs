//! Lines of standard input. Where they came from is gone once they are read, so there is no place to go back to.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;

use super::super::batch::{Gatherer, Stop};
use super::super::line_buffer::LineBuffer;
use super::wait;
use crate::format::position::Place;
use crate::limits;

/// Reads to the end.
pub(in crate::follow) fn follow(input: impl Read + AsFd, out: &mut Gatherer) -> Result<(), Stop> {
    let mut input = BufReader::with_capacity(limits::LOG_READ_BYTES, input);
    let mut buffer = LineBuffer::default();
    loop {
        wait(input.get_ref().as_fd(), out)?;
        let read = input.fill_buf().map_err(|error| Stop::Failed(format!("standard input: {error}")))?;
        let count = read.len();
        let mut lines = |lines: &[u8], _: &dyn Fn(usize) -> u64| out.lines(lines, |_| Place::Input);
        if count == 0 {
            buffer.finish(&mut lines)?;
            return out.finish();
        }
        buffer.take(read, &mut lines)?;
        input.consume(count);
        // Whether there is more cannot be seen, so what is found is not kept back.
        out.pause()?;
    }
}
