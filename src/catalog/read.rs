//! Reads a catalog's text into a checked [`Catalog`].
//!
//! A fault names file, section, key and what was expected. All faults are found at once; a fault that only
//! follows from another one is left out. `sections` reads single sections, `plan` the effects of events; this
//! file checks what sections say of each other.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use super::fault::{CatalogError, Fault, Names, fault};
use super::is_built_in;
use super::lines::{check_patterns, read_line};
use super::model::{Catalog, EntityDef, EntityIndex, FieldUse, Find, MetricDef, MetricKind, ScanEvents};
use super::model::{EventPlan, LineDef, Step, Then, Transform};
use super::plan::{self, Context};
use super::sections::{
    ABANDONED, SCAN_KEYS, check_event_keys, check_metric_name, check_scan_keys, is_name, read_entity,
    read_label, read_metric, read_system, single,
};
use crate::config::ini::{self, Entry, InlineComments, Section};
use crate::faults::{Faults, meant};
use crate::limits;
use crate::protocol::shorthand::EventSpec;

/// Reads one catalog. Errors name `file`; there is at most one for each section.
pub(crate) fn read_catalog(file: &str, text: &str) -> Result<Catalog, Faults> {
    let document = ini::parse(text, InlineComments::Stripped, |_| true)
        .map_err(|errors| errors.iter().map(|error| format!("{file}: {error}")).collect::<Faults>())?;
    let mut reader = Reader { file, is_built_in: is_built_in(text), errors: Vec::new() };
    let catalog = reader.read(&document.sections);
    match catalog {
        Some(catalog) if reader.errors.is_empty() => Ok(catalog),
        _ => Err(reader.errors.into_iter().collect()),
    }
}

/// Reads a catalog and collects its faults.
struct Reader<'a> {
    file: &'a str,
    is_built_in: bool,
    errors: Vec<CatalogError>,
}

impl Reader<'_> {
    /// Notes the fault of a section, unless it follows from another one.
    fn note(&mut self, section: &str, fault: Fault) {
        if !fault.follows && self.errors.len() <= limits::FAULTS_MAX {
            self.errors.push(CatalogError {
                file: self.file.to_owned(),
                section: section.to_owned(),
                key: fault.key,
                what: fault.what,
            });
        }
    }

    /// Returns the value of a result, and notes its fault.
    fn good<T>(&mut self, section: &str, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.note(section, fault)).ok()
    }

    /// Returns the catalog as far as it has no faults.
    fn read(&mut self, sections: &[Section]) -> Option<Catalog> {
        let mut parts = Parts::default();
        for section in sections {
            let sorted = parts.sort_in(section);
            self.good(&section.name, sorted);
        }
        let Some(system) = parts.system else {
            self.note("system", fault("", "missing, expected a section that names the system"));
            return None;
        };
        let system = self.good("system", read_system(system));
        self.good("system", parts.check_size())?;
        let (entities, entity_names) = self.entities(&parts);
        let (mut metrics, metric_names) = self.metrics(&parts, &entity_names);
        self.transforms(&parts, &mut metrics);
        let system = system?;
        let mut gauges = vec![Vec::new(); entities.len()];
        for (index, metric) in
            metrics.iter().enumerate().filter(|(index, _)| !metric_names.faulty.contains(index))
        {
            let entity = match metric.kind {
                MetricKind::Live(entity) => Some(entity),
                MetricKind::Age => metric.owner,
                _ => None,
            };
            if let Some(entity) = entity {
                gauges[entity].push(index);
            }
        }
        let mut catalog =
            Catalog { name: system.name, title: system.title, entities, metrics, ..Catalog::default() };
        let context = Context {
            work_left: Cell::new(limits::CATALOG_WORK_MAX),
            system: &catalog.name,
            entities: &catalog.entities,
            entity_names: &entity_names,
            metrics: &catalog.metrics,
            metric_names: &metric_names,
            gauges: &gauges,
        };
        let gauges = self.gauges(&parts, &context);
        // Each event would report once more a gauge that cannot be filled.
        let events = if gauges.is_some() { self.events(&parts, &context) } else { Vec::new() };
        for (entity, gauges) in catalog.entities.iter_mut().zip(gauges?) {
            entity.gauges = gauges;
        }
        catalog.events = events;
        self.abandoned(&parts, &mut catalog);
        if let Some(section) = parts.scan {
            let scan = read_scan(section, &catalog.events);
            catalog.scan = self.good("scan", scan)?;
        }
        // An event with a fault would be unknown here.
        if self.errors.is_empty() {
            catalog.lines = self.lines(&parts, &catalog.events);
        }
        Some(catalog)
    }

    /// Reads the entities. One with a fault keeps its index, so that the others keep theirs.
    fn entities(&mut self, parts: &Parts<'_>) -> (Vec<EntityDef>, Names) {
        let mut names = Names::new("entity", &parts.entities);
        let mut entities = Vec::new();
        for (index, (name, section)) in parts.entities.iter().enumerate() {
            names.incomplete |= !is_name(name);
            let entity = read_entity(name, section, &names);
            if entity.is_err() {
                names.faulty.insert(index);
            }
            entities.push(self.good(&section.name, entity).unwrap_or_default());
        }
        if let Some(index) = find_cycle(&entities) {
            let what = "a cycle, expected parents that are not within it themselves";
            self.note(&parts.entities[index].1.name, fault("within", what));
            names.faulty.insert(index);
        }
        // An entity whose parent has a fault cannot be checked.
        for start in names.faulty.clone() {
            let mut rest = vec![start];
            while let Some(parent) = rest.pop() {
                let children =
                    entities.iter().enumerate().filter(|(_, entity)| entity.within.contains(&parent));
                let children: Vec<usize> = children.map(|(child, _)| child).collect();
                rest.extend(children.into_iter().filter(|child| names.faulty.insert(*child)));
            }
        }
        (entities, names)
    }

    /// Reads the metrics. One with a fault keeps its index, so that the others keep theirs.
    fn metrics(&mut self, parts: &Parts<'_>, entities: &Names) -> (Vec<MetricDef>, Names) {
        let mut names = Names::new("metric", &parts.metrics);
        let mut metrics = Vec::new();
        for (index, (name, section)) in parts.metrics.iter().enumerate() {
            let named = check_metric_name("", name);
            names.incomplete |= named.is_err();
            let metric = named.and_then(|()| read_metric(name, section, entities));
            if metric.is_err() {
                names.faulty.insert(index);
            }
            metrics.push(self.good(&section.name, metric).unwrap_or_default());
        }
        (metrics, names)
    }

    /// Gives each metric the transforms of its labels.
    fn transforms(&mut self, parts: &Parts<'_>, metrics: &mut [MetricDef]) {
        let mut transforms: HashMap<&str, Transform> = HashMap::new();
        let labels: HashSet<&str> = metrics.iter().flat_map(|def| &def.labels).map(String::as_str).collect();
        for (label, section) in &parts.labels {
            let transform = read_label(section);
            if !labels.contains(label) && self.errors.is_empty() {
                let what = "no metric has this label, expected one that a metric lists";
                self.note(&section.name, fault("", what));
            }
            transforms.extend(self.good(&section.name, transform).map(|transform| (*label, transform)));
        }
        for metric in metrics {
            let transform = |label: &String| transforms.get(label.as_str()).cloned();
            metric.transforms = metric.labels.iter().map(transform).collect();
        }
    }

    /// Compiles the gauges that start with each entity. Returns `None` if one of them cannot be filled.
    fn gauges(&mut self, parts: &Parts<'_>, context: &Context<'_>) -> Option<Vec<EventPlan>> {
        let mut all = Vec::new();
        for entity in 0..context.entities.len() {
            if context.entity_names.faulty.contains(&entity) {
                all.push(EventPlan::default());
                continue;
            }
            match plan::plan_gauges(entity, context) {
                Ok(gauges) => all.push(gauges),
                Err((metric, fault)) => self.note(&parts.metrics[metric].1.name, fault),
            }
        }
        (all.len() == context.entities.len()).then_some(all)
    }

    fn events(&mut self, parts: &Parts<'_>, context: &Context<'_>) -> Vec<EventPlan> {
        let mut events = Vec::new();
        for (event, section) in &parts.events {
            let system = context.system;
            let named = event.strip_prefix(system).and_then(|rest| rest.strip_prefix('.'));
            let plan = if named.is_none_or(str::is_empty) {
                Err(fault("", format!("expected an event named {system}.…")))
            } else {
                check_event_keys(section).and_then(|()| plan::plan_event(event, section, context))
            };
            events.extend(self.good(&section.name, plan));
        }
        events
    }

    fn lines(&mut self, parts: &Parts<'_>, events: &[EventPlan]) -> Vec<LineDef> {
        let mut lines = Vec::new();
        for (name, section) in &parts.lines {
            let line = read_line(name, section, events).and_then(|line| {
                // Those that are built in are checked by a test: it takes longer than the rest of a start.
                if !self.is_built_in {
                    check_patterns(&line, events)?;
                }
                Ok(line)
            });
            lines.extend(self.good(&section.name, line));
        }
        lines
    }

    /// Resolves the events that are applied when entities are abandoned.
    fn abandoned(&mut self, parts: &Parts<'_>, catalog: &mut Catalog) {
        let written: HashSet<&str> = parts.events.iter().map(|(name, _)| *name).collect();
        let events: HashMap<&str, usize> =
            catalog.events.iter().enumerate().map(|(index, event)| (&*event.name, index)).collect();
        let mut abandoned = Vec::new();
        for (index, (_, section)) in parts.entities.iter().enumerate() {
            let Ok(Some(entry)) = single(section, ABANDONED) else { continue };
            let at = events.get(entry.value.as_str()).copied();
            let is_faulty = at.is_none() && written.contains(entry.value.as_str());
            if !is_faulty {
                let event = check_abandoned(entry, index, &catalog.entities, at, &catalog.events);
                abandoned.push((index, self.good(&section.name, event)));
            }
        }
        for (index, event) in abandoned {
            catalog.entities[index].abandoned = event;
        }
    }
}

/// The sections by their first word.
#[derive(Default)]
struct Parts<'a> {
    system: Option<&'a Section>,
    scan: Option<&'a Section>,
    entities: Vec<(&'a str, &'a Section)>,
    metrics: Vec<(&'a str, &'a Section)>,
    labels: Vec<(&'a str, &'a Section)>,
    events: Vec<(&'a str, &'a Section)>,
    lines: Vec<(&'a str, &'a Section)>,
    taken: HashSet<Vec<&'a str>>,
}

impl<'a> Parts<'a> {
    fn sort_in(&mut self, section: &'a Section) -> Result<(), Fault> {
        let words: Vec<&str> = section.name.split_whitespace().collect();
        let list = match words.as_slice() {
            ["system"] => {
                self.system = Some(section);
                return Ok(());
            }
            ["scan"] => {
                self.scan = Some(section);
                return check_scan_keys(section);
            }
            ["entity", _] => &mut self.entities,
            ["metric", _] => &mut self.metrics,
            ["label", _] => &mut self.labels,
            ["event", _] => &mut self.events,
            ["line", _] => &mut self.lines,
            _ => {
                return Err(fault(
                    "",
                    "expected [system], [entity NAME], [metric NAME], [label NAME], [event NAME], [line NAME] or [scan]",
                ));
            }
        };
        let name = words[1];
        if !self.taken.insert(words) {
            return Err(fault("", "a name taken twice, expected each name once"));
        }
        list.push((name, section));
        Ok(())
    }

    /// Refuses more sections than the indices can hold.
    fn check_size(&self) -> Result<(), Fault> {
        let (kinds, metrics) = (self.entities.len(), self.metrics.len());
        if kinds > limits::ENTITY_KINDS_MAX {
            return Err(fault(
                "",
                format!("{kinds} entities, expected at most {}", limits::ENTITY_KINDS_MAX),
            ));
        }
        if metrics > limits::METRICS_MAX {
            return Err(fault("", format!("{metrics} metrics, expected at most {}", limits::METRICS_MAX)));
        }
        Ok(())
    }
}

/// Checks the event that `abandoned` names. It must close the entity, whose parts must supply every field
/// that it requires.
fn check_abandoned(
    entry: &Entry,
    index: usize,
    entities: &[EntityDef],
    at: Option<usize>,
    events: &[EventPlan],
) -> Result<usize, Fault> {
    let wrong = |what: String| fault(ABANDONED, format!("{}: {what}", entry.value));
    let entity = &entities[index];
    let Some(at) = at else {
        return Err(wrong("unknown event, expected one of this catalog that closes the entity".to_owned()));
    };
    let closes = events[at]
        .steps
        .iter()
        .any(|step| matches!(step, Step::Find(Find { entity, then: Then::Close, .. }) if *entity == index));
    if events[at].restarts {
        return Err(wrong("is a restart, expected an event that only closes and counts".to_owned()));
    }
    if !closes {
        return Err(wrong(format!("does not close {}, expected an event that does", entity.name)));
    }
    let missing = events[at].fields_used_as(FieldUse::Required).find(|field| entity.part(field).is_none());
    match missing {
        Some(field) => Err(wrong(format!(
            "needs {field}, expected only what {} has in key and labels; make {field} optional, or name another event",
            entity.name
        ))),
        None => Ok(at),
    }
}

fn read_scan(section: &Section, events: &[EventPlan]) -> Result<ScanEvents, Fault> {
    let events: HashMap<&str, &EventPlan> = events.iter().map(|event| (&*event.name, event)).collect();
    let list = |key: &str| -> Result<Vec<String>, Fault> {
        let mut list = Vec::new();
        for entry in section.repeated(key) {
            let words = EventSpec::parse(&entry.value).map_err(|error| fault(key, error))?;
            let Some(event) = events.get(words.event) else {
                return Err(fault(
                    key,
                    format!(
                        "{}: unknown event, expected one of this catalog{}",
                        words.event,
                        meant(words.event, &events.keys().copied().collect::<Vec<_>>())
                    ),
                ));
            };
            let given = |field: &str| words.fields.iter().any(|(name, _)| *name == field);
            if let Some(field) = event.fields_used_as(FieldUse::Required).find(|field| !given(field)) {
                return Err(fault(
                    key,
                    format!("{}: expected {field}=…, which the event needs", words.event),
                ));
            }
            list.push(entry.value.clone());
        }
        Ok(list)
    };
    let mut scan = ScanEvents::default();
    for (key, events) in SCAN_KEYS {
        *events(&mut scan) = list(key)?;
    }
    Ok(scan)
}

/// Finds an entity that is within itself: those without parents are removed until only cycles remain, and
/// what is below them.
fn find_cycle(entities: &[EntityDef]) -> Option<EntityIndex> {
    let mut children = vec![Vec::new(); entities.len()];
    let mut parents: Vec<usize> = entities.iter().map(|entity| entity.within.len()).collect();
    for (index, entity) in entities.iter().enumerate() {
        entity.within.iter().for_each(|&parent| children[parent].push(index));
    }
    let mut free: Vec<EntityIndex> = (0..entities.len()).filter(|&index| parents[index] == 0).collect();
    while let Some(next) = free.pop() {
        for &child in &children[next] {
            parents[child] -= 1;
            if parents[child] == 0 {
                free.push(child);
            }
        }
    }
    let is_in_cycle = |start: EntityIndex| {
        let mut seen = vec![false; entities.len()];
        let mut rest = entities[start].within.clone();
        while let Some(parent) = rest.pop() {
            if parent == start {
                return true;
            }
            if !std::mem::replace(&mut seen[parent], true) {
                rest.extend(&entities[parent].within);
            }
        }
        false
    };
    (0..entities.len()).find(|&index| parents[index] > 0 && is_in_cycle(index))
}
