//! Text as a configuration and as a catalog. A configuration reads the same with a comment before it. A
//! catalog that loads counts every line of its events once, its live gauges count what is open, and what it
//! shows can be parsed.

use lifecycle_exporter::internals::fuzz::{Catalog, Replica, configuration};

use super::exposition;
use super::input::Input;

/// What stands before this byte is the text, what follows it makes lines.
const END_OF_TEXT: u8 = 0xff;
/// Lines that a catalog is fed.
const LINES_MAX: usize = 64;
const START: f64 = 1e9;

pub(crate) fn check(bytes: &[u8]) {
    let (text, rest) = match bytes.iter().position(|byte| *byte == END_OF_TEXT) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[][..]),
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    check_configuration(text);
    match Catalog::read(text) {
        Ok(catalog) => check_catalog(text, &catalog, Input(rest)),
        Err(faults) => check_faults("own.ini", &faults),
    }
}

fn check_configuration(text: &str) {
    let (settings, faults) = configuration("own.conf", text);
    check_faults("own.conf", &faults);
    // A line says what it says, whatever stands around it.
    let (other, more) = configuration("own.conf", &format!("# a comment\n{text}\n\n"));
    assert_eq!((settings, faults.len()), (other, more.len()));
}

fn check_faults(file: &str, faults: &[String]) {
    for fault in faults {
        assert!(fault.starts_with(&format!("{file}: ")), "{fault:?}: expected the file");
        assert!(!fault.contains('\n'), "{fault:?}: expected one line");
    }
}

fn check_catalog(text: &str, catalog: &Catalog, mut input: Input<'_>) {
    let (events, mut state) = (catalog.events(), Replica::new(catalog, START));
    let (mut fed, mut rejections) = (0, 0);
    let mut at = START;
    while !input.is_empty() && fed < LINES_MAX {
        at += input.seconds();
        let mut line = Vec::new();
        input.line(&events, at, &mut line);
        let is_blank = line.iter().all(|byte| b" \t\r\n".contains(byte));
        let told = state.lines(at, None, &line);
        let rejected = told.iter().filter(|told| told.starts_with("rejected ")).count();
        assert!(rejected <= usize::from(!is_blank), "{told:?}");
        (fed, rejections) = (fed + usize::from(!is_blank), rejections + rejected);
        check_gauges(&mut state, at);
    }
    let (applied, rejected) = state.counted();
    assert_eq!(rejected, rejections as u64);
    let read = fed as u64;
    // The events with which an `abandon` ends what is open are applied, too.
    let abandons = |line: &str| line.starts_with("abandon") && !line.starts_with("abandoned");
    let more = text.lines().any(abandons);
    assert!(
        applied + rejected == read || (more && applied + rejected > read),
        "{applied} + {rejected}, {read}"
    );
}

fn check_gauges(state: &mut Replica, at: f64) {
    let samples = exposition::samples(&state.render(at));
    for gauge in state.live_gauges() {
        let values = samples.iter().filter(|(name, ..)| *name == gauge.metric).map(|(.., value)| *value);
        let values: Vec<f64> = values.collect();
        assert!(values.iter().all(|value| *value >= 0.0), "{}: {values:?}", gauge.metric);
        // Counts are small, so they are whole.
        let sum = values.iter().sum::<f64>() as usize;
        assert!(gauge.owned || sum == gauge.open, "{}: {sum} of {}", gauge.metric, gauge.open);
    }
}
