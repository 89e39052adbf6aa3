//! The state of one system: its open entities and the series of its metrics. Changes come from `apply`.

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use super::entities::{Entities, EntityId, SeriesRef};
use crate::catalog::model::{Catalog, MetricKind};
use crate::series::{Family, Shape};

#[derive(Debug)]
pub(super) struct System {
    pub(super) catalog: Arc<Catalog>,
    pub(super) entities: Entities,
    /// One for each metric of the catalog.
    pub(super) families: Vec<Family>,
    /// Running totals of series that no entity is the source of.
    pub(super) totals: HashMap<SeriesRef, f64, DefaultHashBuilder>,
    /// Events applied, for each event of the catalog.
    pub(super) applied: Vec<u64>,
    /// Entities abandoned by their producer, for each kind of the catalog.
    pub(super) abandoned: Vec<u64>,
    /// Whether its metrics are shown.
    pub(super) shown: bool,
}

impl System {
    pub(super) fn new(catalog: Arc<Catalog>, series_max: usize, hasher: &DefaultHashBuilder) -> Self {
        let families = catalog.metrics.iter().map(|metric| {
            let shape = match &metric.kind {
                MetricKind::Counter | MetricKind::Gauge | MetricKind::Live(_) => Shape::Number,
                MetricKind::Histogram(bounds) => Shape::Histogram(bounds.clone()),
                MetricKind::Age => Shape::Age,
            };
            Family::new(shape, &metric.labels, series_max, hasher.clone())
        });
        System {
            families: families.collect(),
            entities: Entities::new(catalog.entities.len(), hasher.clone()),
            totals: HashMap::with_hasher(hasher.clone()),
            applied: vec![0; catalog.events.len()],
            abandoned: vec![0; catalog.entities.len()],
            shown: false,
            catalog,
        }
    }

    /// Shows the system: metrics without labels exist from here on.
    pub(super) fn show(&mut self, hasher: &DefaultHashBuilder) {
        use std::hash::BuildHasher;
        self.shown = true;
        let hash = hasher.hash_one([0_u8; 0].as_slice());
        for (metric, family) in self.catalog.metrics.iter().zip(&mut self.families) {
            if metric.labels.is_empty() && metric.kind != MetricKind::Age {
                family.place(b"", hash);
            }
        }
    }

    /// That server has been restarted: all entities are closed and all series forgotten.
    pub(super) fn reset(&mut self, hasher: &DefaultHashBuilder) {
        self.entities.clear();
        self.totals.clear();
        self.families.iter_mut().for_each(Family::clear);
        self.show(hasher);
    }

    /// Closes an entity and all within it, children first.
    pub(super) fn close(&mut self, id: EntityId) {
        if self.entities.has_children(id) {
            self.entities.family_of(id).into_iter().for_each(|id| self.close_one(id));
        } else {
            self.close_one(id);
        }
    }

    fn close_one(&mut self, id: EntityId) {
        let left = self.entities.close(id);
        for series in &left.counted {
            self.families[series.metric as usize].add(series.slot, -1.0);
        }
        for series in &left.more().owned {
            self.families[series.metric as usize].disown(series.slot);
        }
    }

    /// How many series there are.
    pub(super) fn series(&self) -> usize {
        self.families.iter().map(Family::len).sum()
    }
}
