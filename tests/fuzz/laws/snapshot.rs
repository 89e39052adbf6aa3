//! An image, whatever it holds, is refused or gives a state: one that can be shown, goes on, and is the same
//! when it is saved and restored. A snapshot gives the state of its image or is set aside.

use lifecycle_exporter::internals::fuzz::Replica;

use super::files::{directory, first_line, push_frame};
use super::input::Input;
use super::play::{self, Play, Step};

/// An image takes no more than this many times as many bytes when it is saved again, beside what the
/// defaults of an empty one take.
const GROWTH_MAX: usize = 16;

pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.byte() % 4 {
        0 => check_file(input.0.to_vec(), None),
        1 => {
            let (chunk, image) = (usize::from(input.byte()).max(1), input.0);
            let state = Replica::restore(image).ok();
            check_file(file(image, chunk), state);
        }
        2 => check_image(input.0),
        _ => {
            let image = damaged(&mut input);
            check_image(&image);
        }
    }
}

fn check_image(image: &[u8]) {
    let Ok(mut state) = Replica::restore(image) else { return };
    let shown = state.observe();
    let saved = state.save();
    assert!(saved.len() <= 4_096 + image.len() * GROWTH_MAX, "{} of {} bytes", saved.len(), image.len());
    let mut again = Replica::restore(&saved).expect("what was saved can be restored");
    assert_eq!(again.observe(), shown);
    // It goes on, whatever stood in the image.
    let mut play = Play::new(Input(&image[image.len() / 2..]));
    while let Some(step) = play.next() {
        play.step(&step, &mut state);
    }
    state.observe();
}

/// A snapshot of generation 1 in pieces of this many bytes.
fn file(image: &[u8], chunk: usize) -> Vec<u8> {
    let mut start = vec![1];
    start.extend_from_slice(&1e9_f64.to_le_bytes());
    let mut length = image.len();
    while length >= 0x80 {
        start.push(length as u8 | 0x80);
        length >>= 7;
    }
    start.push(length as u8);
    let mut file = first_line("snapshot");
    push_frame(&mut file, &start);
    image.chunks(chunk).for_each(|piece| push_frame(&mut file, piece));
    file
}

/// Starts with this snapshot. `state`: what its image holds, if the file is whole.
fn check_file(file: Vec<u8>, state: Option<Replica>) {
    let directory = directory();
    let path = directory.path().join("snapshot.1");
    std::fs::write(&path, &file).expect("a file in a directory of our own");
    let Ok(mut recovered) = Replica::recover(directory.path()) else {
        assert_eq!(std::fs::read(&path).ok(), Some(file), "the start failed, and the file was changed");
        return;
    };
    if let Some(mut state) = state {
        assert_eq!(recovered.observe(), state.observe());
    } else {
        let aside = std::fs::read(directory.path().join("snapshot.1.damaged")).ok();
        assert!(aside.as_ref() == Some(&file) || path.exists(), "the file is gone");
        if aside.is_some() {
            assert_eq!(recovered.observe(), Replica::default().observe());
        }
    }
}

/// An image as it is saved, with a few of its bytes changed.
fn damaged(input: &mut Input<'_>) -> Vec<u8> {
    let changes = input.bytes();
    let mut state = play::begin();
    let mut play = Play::new(Input(input.0));
    while let Some(step) = play.next() {
        if !matches!(step, Step::Saved) {
            play.step(&step, &mut state);
        }
    }
    let mut image = state.save();
    // The catalog in it is text that another target changes; here the rest is changed.
    let begin = play::CATALOG.len().min(image.len() / 2);
    for change in changes.chunks_exact(3) {
        let at = begin + usize::from(u16::from_le_bytes([change[0], change[1]])) % (image.len() - begin);
        image[at] ^= change[2];
    }
    image
}
