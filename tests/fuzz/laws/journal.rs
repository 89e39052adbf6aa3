//! A journal gives the records before its first damage, and nothing of what stands behind. What was good stays
//! in the directory, and the next start finds the same.

use lifecycle_exporter::internals::fuzz::Replica;

use super::files::{directory, first_line, push_frame, split_frame};
use super::input::Input;
use super::play::{self, Play, Step};

/// Of the first journal, which follows nothing.
const START: [u8; 2] = [1, 0];

pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let file = match input.byte() % 4 {
        0 => input.0.to_vec(),
        1 => written(input),
        2 => {
            let mut file = first_line("journal");
            push_frame(&mut file, input.bytes());
            file.extend_from_slice(input.0);
            file
        }
        _ => framed(input),
    };
    let directory = directory();
    let path = directory.path().join("journal.1");
    std::fs::write(&path, &file).expect("a file in a directory of our own");

    let is_newer = || {
        let line = std::str::from_utf8(&file[..file.len().min(64)]).map_err(|error| error.valid_up_to());
        let line = line.unwrap_or_else(|end| std::str::from_utf8(&file[..end]).expect("valid so far"));
        let version =
            line.split_once('\n').and_then(|(line, _)| line.strip_prefix("lifecycle-exporter journal "));
        version.and_then(|version| version.parse::<u32>().ok()).is_some_and(|version| version > 1)
    };
    let mut recovered = match Replica::recover(directory.path()) {
        Ok(recovered) => recovered,
        Err(error) => {
            assert!(is_newer(), "{error}");
            assert_eq!(std::fs::read(&path).ok(), Some(file), "a newer version's file was changed");
            return;
        }
    };
    let (good, mut expected) = good_part(&file);
    let shown = recovered.observe();
    assert_eq!(shown, expected.observe());
    let kept = std::fs::read(&path).expect("the file is still there");
    assert!(kept.starts_with(&file[..good]), "what was good is gone");
    let mut again = Replica::recover(directory.path()).expect("the directory was readable before");
    assert_eq!(again.observe(), shown, "at the next start");
}

/// A journal as the exporter writes it, with one piece changed.
fn written(mut input: Input<'_>) -> Vec<u8> {
    let (at, change, keep) = (input.byte(), input.byte(), input.byte());
    // Most go without a catalog, which takes longer to read than all else: what is rejected counts as well.
    let with_catalog = input.byte() % 8 == 7;
    let mut state = if with_catalog { play::begin() } else { Replica::default() };
    let mut play = Play::new(input);
    while let Some(step) = play.next() {
        if with_catalog || !matches!(step, Step::Configure(..)) {
            play.step(&step, &mut state);
        }
    }
    let mut file = first_line("journal");
    push_frame(&mut file, &START);
    let begin = file.len();
    for record in state.records() {
        push_frame(&mut file, record);
    }
    // A place by its share of the file, so that the same input changes the same kind of place in longer ones.
    let place = |share: u8| (file.len() - 1) * usize::from(share) / 255;
    let (at, keep) = (place(at), place(keep));
    file[at] ^= change;
    if keep > begin {
        file.truncate(keep);
    }
    file
}

/// Frames of the input's bytes, and bytes between them.
fn framed(mut input: Input<'_>) -> Vec<u8> {
    let mut file = first_line("journal");
    push_frame(&mut file, &START);
    while !input.is_empty() {
        match input.byte() % 4 {
            0 => file.extend_from_slice(input.bytes()),
            _ => push_frame(&mut file, input.bytes()),
        }
    }
    file
}

/// The bytes before the first damage, and the state that they make.
fn good_part(file: &[u8]) -> (usize, Replica) {
    let mut state = Replica::default();
    let Some(rest) = file.strip_prefix(first_line("journal").as_slice()) else { return (0, state) };
    let Some((start, mut rest)) = split_frame(rest) else { return (0, state) };
    if start != START {
        return (0, state);
    }
    while let Some((payload, behind)) = split_frame(rest) {
        if state.replay(payload).is_err() {
            break;
        }
        rest = behind;
    }
    (file.len() - rest.len(), state)
}
