//! The whole state as one image: catalogs and rules first, since the rest is read by them.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::sessions::Sessions;
use super::{State, note_lost};
use crate::catalog::{self, CatalogText};
use crate::engine::{Engine, NOBODY, Rules};
use crate::format::{self, Corrupt, Reader};
use crate::state::boot::Boot;

#[derive(Serialize, Deserialize)]
struct Head<'a> {
    rules: Cow<'a, Rules>,
    catalogs: Cow<'a, [CatalogText]>,
    boot: Option<Cow<'a, Boot>>,
}

impl State {
    /// The state as bytes.
    pub(crate) fn save(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let head = Head {
            rules: Cow::Borrowed(self.engine.rules()),
            catalogs: Cow::Borrowed(&self.texts),
            boot: self.boot.as_ref().map(Cow::Borrowed),
        };
        format::put(&mut out, &head);
        self.sessions.save(&mut out);
        self.engine.save(&mut out);
        out
    }

    /// The state that was saved.
    pub(crate) fn restore(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut image = Reader::new(bytes);
        let Head { rules, catalogs, boot } = image.take()?;
        let (catalogs, faults) = catalog::read_good(&catalogs);
        note_lost(&faults, &mut |text| log::error!("{text}"));
        let sessions = Sessions::restore(&mut image)?;
        let mut engine = Engine::default();
        // Start-up events have done what they do; only the rule itself is taken.
        engine.prepare(&catalogs.all, rules.into_owned());
        engine.restore(&mut image, |opener| opener == NOBODY || sessions.get(opener).is_some())?;
        image.end()?;
        Ok(State { engine, sessions, texts: Arc::clone(&catalogs.texts), boot: boot.map(Cow::into_owned) })
    }
}
