//! Gives addresses in labels their names, once these are known. Thousands of series may have an address: the work goes
//! on piece by piece, and scrapes see how far it has come. No line is applied meanwhile.

use std::net::IpAddr;

use super::Engine;
use super::system::System;
use crate::catalog::model::MetricIndex;

/// An address that gets its name.
pub(super) struct Naming {
    ip: IpAddr,
    name: Box<str>,
    /// Indices of systems and of their metrics that are left; the last one is in progress.
    metrics: Vec<(usize, MetricIndex)>,
    /// Series of that metric that have the address, the next piece last. `None`: they are still looked for.
    pieces: Option<Vec<Vec<u32>>>,
}

impl Engine {
    /// Stores the name of an address, and begins to replace the address by it in all series.
    pub(crate) fn begin_naming(&mut self, ip: IpAddr, name: &str) {
        debug_assert!(!self.is_busy, "one at a time");
        self.rdns.learn(ip, name);
        if self.settings.privacy.deidentify || self.settings.privacy.numeric {
            return;
        }
        let systems = self.catalogs.iter().enumerate();
        let metrics = systems.flat_map(|(system, catalog)| {
            let shows = |metric: &MetricIndex| !catalog.metrics[*metric].addresses().is_empty();
            (0..catalog.metrics.len()).filter(shows).map(move |metric| (system, metric))
        });
        let metrics = metrics.collect();
        self.is_busy = true;
        self.naming = Some(Box::new(Naming { ip, name: name.into(), metrics, pieces: None }));
    }

    /// Looks for the address in a few series, or gives a few the name. Returns whether there is more to do.
    pub(super) fn name_piece(&mut self) -> bool {
        let Some(mut naming) = self.naming.take() else { return false };
        let Some(&(system, metric)) = naming.metrics.last() else { return false };
        let system = &mut self.systems[system];
        let labels = system.catalog.metrics[metric].addresses();
        if let Some(pieces) = &mut naming.pieces {
            let piece = pieces.pop().unwrap_or_default();
            system.rename_address(metric, piece, &labels, naming.ip, &naming.name);
            if pieces.is_empty() {
                naming.metrics.pop();
                naming.pieces = None;
            }
        } else if system.families[metric].index_addresses(&labels) {
            naming.pieces = Some(system.families[metric].take_address(naming.ip));
        }
        self.naming = Some(naming);
        true
    }
}

impl System {
    fn rename_address(
        &mut self,
        metric: MetricIndex,
        slots: Vec<u32>,
        labels: &[usize],
        ip: IpAddr,
        name: &str,
    ) {
        let merged = self.families[metric].rename_address(slots, labels, ip, name);
        for new_owned in self.entities.redirect(metric as u16, &merged) {
            self.families[metric].own(new_owned);
        }
        for (from, _) in merged {
            self.families[metric].remove(from);
        }
    }
}
