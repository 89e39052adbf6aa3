//! Converts the state to and from an image, the format on disk that `format` describes.

use std::sync::Arc;

use super::State;
use super::boot::Boot;
use super::sessions::Sessions;
use crate::catalog::{self, CatalogText, Catalogs};
use crate::engine::{Engine, EngineSettings, Place, UNOWNED};
use crate::format::{self, Corrupt, Reader, v1};

/// An image of the state that is written piece by piece. Nothing may change the state meanwhile.
#[derive(Default)]
pub(crate) struct ImageWriter {
    bytes: Vec<u8>,
    has_head: bool,
    place: Place,
}

impl ImageWriter {
    /// An image of probably so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        ImageWriter { bytes: Vec::with_capacity(bytes), ..ImageWriter::default() }
    }

    /// Writes a piece. Says whether there are more.
    pub(crate) fn write_piece(&mut self, state: &State) -> bool {
        if !std::mem::replace(&mut self.has_head, true) {
            state.write_head(&mut self.bytes);
        }
        state.engine.write_piece(&mut self.place, &mut self.bytes)
    }

    /// The image, once there are no more pieces.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl State {
    /// Returns the image of the state.
    pub(crate) fn write(&self) -> Vec<u8> {
        debug_assert!(!self.is_busy(), "what was begun is not in an image");
        let mut image = ImageWriter::default();
        while image.write_piece(self) {}
        image.into_bytes()
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        let mut head = v1::Head {
            settings: Vec::new(),
            catalogs: self.texts.iter().map(CatalogText::to_v1).collect(),
            boot: self.boot.as_ref().map(Boot::to_v1),
            rejected: Vec::new(),
            times_ignored: 0,
            names: Vec::new(),
            sessions: self.sessions.len() as u32,
            systems: 0,
        };
        self.engine.write_head(&mut head);
        format::put(out, &head);
        self.sessions.write(out);
    }

    /// Reads an image that version 1 has written. `fallback` holds the catalogs of this run; they replace
    /// stored ones that this version cannot read. `log` gets messages for the log.
    pub(crate) fn read_v1(
        bytes: &[u8],
        fallback: Catalogs,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, Corrupt> {
        let mut image = Reader::new(bytes);
        let head: v1::Head<'_> = image.take()?;
        let texts: Vec<CatalogText> = head.catalogs.iter().map(CatalogText::from_v1).collect();
        let catalogs = readable_catalogs(&texts, &fallback, log);
        let sessions = Sessions::read_v1(head.sessions, &mut image)?;
        let mut engine = Engine::default();
        // The stored state contains the effect of the start-up events, so they are not applied again.
        engine.replace_configuration(&catalogs.all, EngineSettings::from_v1(&head.settings));
        let known = |owner| owner == UNOWNED || sessions.get(owner).is_some();
        engine.read_v1(&head, &mut image, known)?.into_iter().for_each(log);
        image.end()?;
        let boot = head.boot.as_ref().map(Boot::from_v1);
        Ok(State { engine, sessions, texts: Arc::clone(&catalogs.texts), boot, fallback })
    }
}

/// Reads catalogs. One that this version cannot read is replaced by the fallback for the same file, if there
/// is one.
pub(super) fn readable_catalogs(
    texts: &[CatalogText],
    fallback: &Catalogs,
    log: &mut dyn FnMut(String),
) -> Catalogs {
    let (catalogs, faults) = catalog::read_good(texts);
    if faults.is_empty() {
        return catalogs;
    }
    let faults = faults.iter().collect::<Vec<_>>().join("; ");
    log(format!(
        "a stored catalog cannot be read by this version, so the current one of the same file replaces it, \
         if there is one: {faults}"
    ));
    let chosen = texts.iter().filter_map(|text| {
        let of_file = |other: &&CatalogText| other.file == text.file;
        if catalogs.texts.contains(text) { Some(text) } else { fallback.texts.iter().find(of_file) }
    });
    catalog::read_good(&chosen.cloned().collect::<Vec<_>>()).0
}

impl CatalogText {
    /// Converts the text to version 1.
    pub(super) fn to_v1(&self) -> v1::CatalogText<'_> {
        v1::CatalogText { file: &self.file, text: &self.text }
    }

    /// Converts the text from version 1.
    pub(super) fn from_v1(written: &v1::CatalogText<'_>) -> Self {
        CatalogText { file: written.file.to_owned().into(), text: written.text.to_owned().into() }
    }
}
