//! The records: everything that changes state. The feed makes them, the journal stores them, and the same
//! records make the same state.

use std::borrow::Cow;
use std::net::IpAddr;

use super::boot::Boot;
use crate::catalog::CatalogText;
use crate::engine::EngineSettings;
use crate::format::{self, Corrupt, v1};
use crate::protocol::rejection::Reason;

/// One change, with everything that its result depends on. `at` is when it happened, Unix seconds.
#[derive(Debug, PartialEq)]
pub(crate) enum Record<'a> {
    /// Catalogs and settings for all later records.
    Configured { at: f64, settings: Cow<'a, EngineSettings>, catalogs: Cow<'a, [CatalogText]> },
    /// A session has begun or come back. `owner`: it owns the entities that it opens.
    Hello { at: f64, producer: &'a str, instance: &'a str, owner: bool, uid: Option<u32> },
    /// Whole lines of one producer, with their newlines. Without a position, they belong to no session.
    Lines { at: f64, position: Option<Position<'a>>, block: &'a [u8] },
    /// A line was rejected before it was complete. A reason that only another version knows is `None`.
    Rejected { position: Option<Position<'a>>, reason: Option<Reason> },
    /// The connection of a session has ended, but not because the exporter stops.
    Disconnected { producer: &'a str, instance: &'a str },
    /// The session expires, and what it has open is abandoned.
    Abandoned { at: f64, producer: &'a str, instance: &'a str },
    /// The position of a session is no longer kept.
    Forgotten { producer: &'a str, instance: &'a str },
    /// Reverse DNS has found the name of an address.
    Named { ip: IpAddr, name: &'a str },
    /// The exporter has started, in this boot of the machine.
    Started { at: f64, boot: Cow<'a, Boot> },
    /// Whole lines of what a directory scan has found, with their newlines.
    Scanned { at: f64, block: &'a [u8] },
}

/// The number of a line in its session, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position<'a> {
    pub(crate) producer: &'a str,
    pub(crate) instance: &'a str,
    pub(crate) line: u64,
}

impl<'a> Record<'a> {
    /// Appends the record in the format on disk.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Record::Configured { at, ref settings, ref catalogs } => {
                let catalogs = catalogs.iter().map(CatalogText::to_v1).collect();
                format::put(out, &v1::Record::Configured { at, settings: settings.to_v1(), catalogs });
            }
            Record::Hello { at, producer, instance, owner, uid } => {
                format::put(out, &v1::Record::Hello { at, producer, instance, owner, uid });
            }
            Record::Lines { at, position, block } => {
                let position = position.map(Position::to_v1);
                format::put(out, &v1::Record::Lines { at, position, lines: block });
            }
            Record::Rejected { position, reason } => {
                let (position, reason) = (position.map(Position::to_v1), reason.map_or("", Reason::name));
                format::put(out, &v1::Record::Rejected { position, reason });
            }
            Record::Disconnected { producer, instance } => {
                format::put(out, &v1::Record::Disconnected { producer, instance });
            }
            Record::Abandoned { at, producer, instance } => {
                format::put(out, &v1::Record::Abandoned { at, producer, instance });
            }
            Record::Forgotten { producer, instance } => {
                format::put(out, &v1::Record::Forgotten { producer, instance });
            }
            Record::Named { ip, name } => format::put(out, &v1::Record::Named { ip, name }),
            Record::Started { at, ref boot } => {
                format::put(out, &v1::Record::Started { at, boot: boot.to_v1() });
            }
            Record::Scanned { at, block } => format::put(out, &v1::Record::Scanned { at, lines: block }),
        }
    }

    /// Reads a record that version 1 has written.
    pub(crate) fn read_v1(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        Ok(match format::read(bytes)? {
            v1::Record::Configured { at, settings, catalogs } => Record::Configured {
                at,
                settings: Cow::Owned(EngineSettings::from_v1(&settings)),
                catalogs: catalogs.iter().map(CatalogText::from_v1).collect(),
            },
            v1::Record::Hello { at, producer, instance, owner, uid } => {
                Record::Hello { at, producer, instance, owner, uid }
            }
            v1::Record::Lines { at, position, lines } => {
                Record::Lines { at, position: position.as_ref().map(Position::from_v1), block: lines }
            }
            v1::Record::Rejected { position, reason } => Record::Rejected {
                position: position.as_ref().map(Position::from_v1),
                reason: Reason::named(reason),
            },
            v1::Record::Disconnected { producer, instance } => Record::Disconnected { producer, instance },
            v1::Record::Abandoned { at, producer, instance } => Record::Abandoned { at, producer, instance },
            v1::Record::Forgotten { producer, instance } => Record::Forgotten { producer, instance },
            v1::Record::Named { ip, name } => Record::Named { ip, name },
            v1::Record::Started { at, boot } => {
                Record::Started { at, boot: Cow::Owned(Boot::from_v1(&boot)) }
            }
            v1::Record::Scanned { at, lines } => Record::Scanned { at, block: lines },
        })
    }
}

impl<'a> Position<'a> {
    fn to_v1(self) -> v1::Position<'a> {
        let Position { producer, instance, line } = self;
        v1::Position { producer, instance, line }
    }

    fn from_v1(position: &v1::Position<'a>) -> Self {
        let v1::Position { producer, instance, line } = *position;
        Position { producer, instance, line }
    }
}
