//! A state that was saved and restored shows the same, and answers what comes later in the same way, as the
//! one that went on; so does one that read all records again.

use lifecycle_exporter::internals::fuzz::Replica;

use super::input::Input;
use super::play::{self, Play, Step};

/// Each costs the reading of its catalog, which takes longer than all else.
const COPIES_MAX: usize = 2;

pub(crate) fn check(bytes: &[u8]) {
    let mut original = play::begin();
    let mut copies: Vec<Replica> = Vec::new();
    let mut play = Play::new(Input(bytes));
    while let Some(step) = play.next() {
        if let Step::Saved = step {
            if copies.len() < COPIES_MAX {
                let mut copy = restored(&original);
                assert_eq!(copy.observe(), original.observe(), "right after it was restored");
                copies.push(copy);
            }
            continue;
        }
        let told = play.step(&step, &mut original);
        for copy in &mut copies {
            assert_eq!(play.step(&step, copy), told);
        }
    }
    let mut replayed = play::begin();
    for record in &original.records()[1..] {
        replayed.replay(record).expect("a record that was applied can be read and fits again");
    }
    copies.push(replayed);
    let (shown, bytes) = (original.observe(), original.save().len());
    for mut copy in copies {
        assert_eq!(copy.observe(), shown);
        assert_eq!(copy.save().len(), bytes);
    }
}

fn restored(state: &Replica) -> Replica {
    Replica::restore(&state.save()).expect("what was saved can be restored")
}
