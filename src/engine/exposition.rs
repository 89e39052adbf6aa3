//! Renders what a scrape gets, in the Prometheus text format 0.0.4: families sorted by name, series by
//! labels.

use super::Engine;
use super::system::System;
use crate::catalog::model::OWN_METRICS;
use crate::faults::unknown;

/// A family under one of its names: a metric with an alias has two.
pub(super) struct ExposedFamily {
    name: String,
    system: usize,
    metric: usize,
    /// The `# HELP` and `# TYPE` lines.
    head: String,
}

/// All families of the systems, exposed or not, sorted by name.
pub(super) fn sorted_families(systems: &[System], aliases: bool) -> Vec<ExposedFamily> {
    let mut families = Vec::new();
    for (system, state) in systems.iter().enumerate() {
        for (metric, def) in state.catalog.metrics.iter().enumerate() {
            let alias = def.alias.iter().filter(|_| aliases);
            for name in std::iter::once(&def.name).chain(alias) {
                let help = def.help.replace('\\', "\\\\").replace('\n', "\\n");
                let head = format!("# HELP {name} {help}\n# TYPE {name} {}\n", def.kind.prometheus_type());
                families.push(ExposedFamily { name: name.clone(), system, metric, head });
            }
        }
    }
    families.sort_by(|a, b| a.name.cmp(&b.name));
    families
}

impl Engine {
    /// Appends the exposition at `now` (Unix seconds). `systems` restricts it to some systems by name; an
    /// unknown name is an error. If `systems` is empty, all are rendered. `families` (sorted by name) are
    /// merged among them: the exporter's own, which always come along.
    pub(crate) fn render(
        &mut self,
        systems: &[String],
        families: &[(String, Vec<u8>)],
        now: f64,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let known: Vec<&str> = self.system_names().chain([OWN_METRICS]).collect();
        if let Some(name) = systems.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("{name:?}: {}", unknown("system", name, &known)));
        }
        let mut families = families.iter().peekable();
        for exposed in &self.exposition {
            while let Some((_, text)) = families.next_if(|(name, _)| *name < exposed.name) {
                out.extend_from_slice(text);
            }
            let system = &mut self.systems[exposed.system];
            let wanted = systems.is_empty() || systems.contains(&system.catalog.name);
            let family = &mut system.families[exposed.metric];
            if system.exposed && wanted && !family.is_empty() {
                out.extend_from_slice(exposed.head.as_bytes());
                family.render(&exposed.name, now, out);
            }
        }
        for (_, text) in families {
            out.extend_from_slice(text);
        }
        Ok(())
    }
}
