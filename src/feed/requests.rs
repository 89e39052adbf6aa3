//! What other roles ask of the feed: a scrape, a reload, what a scan or a look-up has found.

use std::io;
use std::time::Instant;

use nix::sys::epoll::EpollTimeout;

use super::mailbox::{Control, Reload, Scrape};
use super::{Feed, Round};
use crate::clock;
use crate::engine::Rules;
use crate::journal::Journal;
use crate::limits;
use crate::metrics::{self, FeedStats};
use crate::protocol::shorthand::EventSpec;
use crate::scan::{ScanReport, ScanState, ScanStatus};
use crate::state::record::Record;

impl Feed {
    pub(super) fn answer(&mut self) -> io::Result<Round> {
        // Emptied before the queue is, so that no request is missed.
        let _ = self.parts.control.wake.read();
        while let Ok(control) = self.parts.control.queue.try_recv() {
            match control {
                Control::Scrape(scrape) => {
                    self.catch_up()?;
                    self.scrape(&scrape);
                }
                Control::Status(reply) => {
                    // A worker that has given up waiting is no concern here.
                    let _ = reply.send(self.status());
                }
                Control::Scanned(report) => self.scanned(&report),
                Control::Named(ip, Some(name)) => self.record_own(&Record::Named { ip, name: &name }, ""),
                Control::Named(_, None) => {}
                Control::Reload(reload) => self.reload(&reload),
                Control::Stop => return Ok(Round::Stop),
            }
        }
        Ok(Round::Go)
    }

    /// A scrape shows what was written before it was asked for, unless producers are far ahead.
    fn catch_up(&mut self) -> io::Result<()> {
        let until = Instant::now() + limits::SCRAPE_CATCH_UP_MAX;
        while self.poll_once(EpollTimeout::ZERO)?.0 > 0 && Instant::now() < until {}
        Ok(())
    }

    fn scrape(&mut self, scrape: &Scrape) {
        let now = clock::unix_seconds();
        let blocks = if scrape.systems.is_empty() {
            let own = metrics::encode_engine(&self.state.engine, &self.figures(), &self.scans, now);
            metrics::merge(own, scrape.blocks.clone())
        } else {
            Vec::new()
        };
        // As much as last time, so that the text need not move while it grows.
        let mut text = Vec::with_capacity(self.text_bytes);
        let result = self.state.engine.render(&scrape.systems, &blocks, now, &mut text);
        self.text_bytes = text.len() + text.len() / 16;
        // A worker that has given up waiting is no concern here.
        let _ = scrape.reply.send(result.map(|()| text));
    }

    fn figures(&self) -> FeedStats {
        let producers = self.producers().into_iter();
        let journal = self.journal.as_ref();
        FeedStats {
            connections: self.open,
            producers: producers.map(|(name, producer)| (name.to_owned(), producer.connected)).collect(),
            journal_bytes: journal.map_or(0, Journal::bytes),
            journal_errors: journal.map_or(0, Journal::errors),
            snapshot_at: journal.map_or(0.0, Journal::snapshot_at),
        }
    }

    fn scanned(&mut self, report: &ScanReport) {
        let Some(state) = self.scans.get_mut(&report.name) else { return };
        ScanState::note(state, report);
        let Some(events) = report.system.as_deref().and_then(|system| self.state.engine.scan_events(system))
        else {
            return;
        };
        let templates = match report.status {
            ScanStatus::Succeeded => &events.succeeded,
            ScanStatus::Partial => &events.partial,
            ScanStatus::Failed => &events.failed,
        };
        for template in templates.clone() {
            let words = template
                .replace("{bytes}", &report.bytes.to_string())
                .replace("{files}", &report.files.to_string())
                .replace("{duration}", &report.duration_seconds.to_string());
            let Ok(event) = EventSpec::parse(&words) else { continue };
            let block = format!("{}\n", event.to_line());
            let entry = Record::Lines { at: report.ended, place: None, block: block.as_bytes() };
            self.record_own(&entry, &format!("[scan {}]: {words}: ", report.name));
        }
    }

    pub(super) fn reload(&mut self, reload: &Reload) {
        self.take_settings(reload);
        self.configure(&reload.catalogs, Rules::from(&*reload.settings));
    }
}
