//! Compiles an `[event …]` section into an [`EventPlan`]: the fields that it uses, the entities that it
//! touches, and the sources of every label of every effect. Whatever can be checked without an event is
//! checked here.

use std::cell::Cell;
use std::collections::HashSet;

use super::additions::take_additions;
use super::effect::{self, Effect};
use super::fault::{Fault, Names, fault};
use super::model::{
    Amount, AmountRange, AmountSource, Change, EntityDef, EntityIndex, EntityPath, EventPlan, FieldDef,
    FieldIndex, FieldUse, Find, HandleIndex, LabelFill, LabelSet, MetricDef, MetricIndex, MetricKind, Open,
    Otherwise, Step, Then, Verb,
};
use super::sections::{check_field_name, is_name, names, single};
use super::verbs::{self, Action, EntityVerb, Kind, RestartVerb, Value};
use crate::config::ini::Section;
use crate::faults::listed;
use crate::limits;

/// The rest of the catalog.
pub(super) struct Context<'a> {
    pub(super) system: &'a str,
    pub(super) entities: &'a [EntityDef],
    pub(super) entity_names: &'a Names,
    pub(super) metrics: &'a [MetricDef],
    pub(super) metric_names: &'a Names,
    /// For each kind of entity, the live gauges that count it and the ages that it owns.
    pub(super) gauges: &'a [Vec<MetricIndex>],
    /// Entities that may still be looked at. What a short text asks for can grow with the product of its
    /// parts: every event that opens an entity brings all gauges that count it, and every label looks for its
    /// value among all ancestors.
    pub(super) work_left: Cell<usize>,
}

impl Context<'_> {
    fn work(&self, entities: usize) {
        self.work_left.set(self.work_left.get().saturating_sub(entities));
    }
}

/// An entity that the event touches.
struct Handle {
    entity: EntityIndex,
    /// Always opened by this event, so that its labels are the event's own fields.
    opened: bool,
}

struct Planner<'a> {
    context: &'a Context<'a>,
    optional: Vec<String>,
    plan: EventPlan,
    handles: Vec<Handle>,
}

/// The index of an item in a list, to which it is added if it is not there.
fn index_of<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|other| *other == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

/// Compiles one event.
pub(super) fn plan_event(name: &str, section: &Section, context: &Context<'_>) -> Result<EventPlan, Fault> {
    let plan = EventPlan { name: name.into(), ..EventPlan::default() };
    let field_list = |key| single(section, key)?.map_or(Ok(Vec::new()), names);
    let optional = field_list("optional")?;
    let mut planner = Planner { context, optional, plan, handles: Vec::new() };
    for field in field_list("fields")? {
        planner.field("fields", &field)?;
    }
    planner.collect_handles(section)?;
    let mut next_handle = 0;
    for entry in &section.entries {
        let key = entry.key.as_str();
        let Some(def) = verbs::find(key) else { continue };
        planner.begin_step(key)?;
        match def.action {
            Action::Entities(verb) => {
                for _ in entry.value.split(',') {
                    planner.begin_step(key)?;
                    planner.entity_step(key, verb, next_handle)?;
                    next_handle += 1;
                }
            }
            Action::System(verb) => {
                if entry.value != context.system {
                    let what = format!("{:?}: expected the system itself, {}", entry.value, context.system);
                    return Err(fault(key, what));
                }
                planner.plan.restarts = true;
                let steps = &mut planner.plan.steps;
                match verb {
                    RestartVerb::Reset => steps.push(Step::Reset),
                    // What the server had open has ended before the event does anything else.
                    RestartVerb::Abandon if steps.first() != Some(&Step::Abandon) => {
                        steps.insert(0, Step::Abandon);
                    }
                    RestartVerb::Abandon => {}
                }
            }
            Action::Metrics { verb, kinds, value } => {
                for effect in effect::parse_list(&entry.value).map_err(|what| fault(key, what))? {
                    planner.begin_step(key)?;
                    planner.change_step(key, verb, (kinds, value), &effect)?;
                }
            }
        }
    }
    planner.begin_step("")?;
    let Planner { mut plan, handles, optional, .. } = planner;
    if let Some(unused) = optional.iter().find(|name| !plan.fields.iter().any(|field| *field.name == ***name))
    {
        return Err(fault("optional", format!("{unused}: no effect uses it, expected fields of this event")));
    }
    plan.handles = handles.len();
    take_additions(&mut plan);
    Ok(plan)
}

/// Compiles the gauges that start with an entity of this kind. A fault comes with the metric that it is
/// about.
pub(super) fn plan_gauges(
    entity: EntityIndex,
    context: &Context<'_>,
) -> Result<EventPlan, (MetricIndex, Fault)> {
    let handles = vec![Handle { entity, opened: false }];
    let mut planner = Planner { context, optional: Vec::new(), plan: EventPlan::default(), handles };
    planner.begin_gauges(0)?;
    Ok(EventPlan { handles: 1, ..planner.plan })
}

impl Planner<'_> {
    /// Refuses what would take more time and memory than its text suggests.
    fn begin_step(&self, key: &str) -> Result<(), Fault> {
        self.context.work(limits::STEP_WORK);
        let (steps, fields) = (self.plan.steps.len().max(self.handles.len()), self.plan.fields.len());
        if self.context.work_left.get() == 0 {
            return Err(fault(
                key,
                "too many entities, gauges and labels to compile together, expected a smaller catalog",
            ));
        }
        if steps > limits::EVENT_STEPS_MAX {
            let max = limits::EVENT_STEPS_MAX;
            let what =
                format!("more than {max} steps with the gauges that entities bring along, expected fewer");
            return Err(fault(key, what));
        }
        if fields > limits::EVENT_FIELDS_MAX {
            let max = limits::EVENT_FIELDS_MAX;
            return Err(fault("", format!("uses {fields} fields, expected at most {max}")));
        }
        Ok(())
    }

    /// Registers a field, which is required unless the event declares it optional.
    fn field(&mut self, key: &str, name: &str) -> Result<FieldIndex, Fault> {
        check_field_name(key, name)?;
        let optional = self.optional.iter().any(|other| other == name);
        Ok(self.field_used(name, if optional { FieldUse::Optional } else { FieldUse::Required }))
    }

    fn field_used(&mut self, name: &str, used: FieldUse) -> FieldIndex {
        if let Some(index) = self.plan.field(name.as_bytes()) {
            let field = &mut self.plan.fields[index];
            if used == FieldUse::Required || field.used == FieldUse::Override {
                field.used = used;
            }
            index
        } else {
            self.plan.fields.push(FieldDef { name: name.into(), used });
            self.plan.fields.len() - 1
        }
    }

    /// Collects the entities first, so that an effect may precede the entity that supplies its labels.
    fn collect_handles(&mut self, section: &Section) -> Result<(), Fault> {
        for entry in &section.entries {
            let Some(Action::Entities(verb)) = verbs::find(&entry.key).map(|def| def.action) else {
                continue;
            };
            for name in entry.value.split(',').map(str::trim) {
                self.begin_step(&entry.key)?;
                let entity = self.context.entity_names.find(&entry.key, name)?;
                self.handles.push(Handle { entity, opened: verb == EntityVerb::Open });
            }
        }
        Ok(())
    }

    fn key_fields(&mut self, verb: &str, entity: EntityIndex) -> Result<Vec<FieldIndex>, Fault> {
        let context = self.context;
        context.entities[entity].key.iter().map(|name| self.field(verb, name)).collect()
    }

    fn entity_step(&mut self, key: &str, verb: EntityVerb, handle: HandleIndex) -> Result<(), Fault> {
        let entity = self.handles[handle].entity;
        let context = self.context;
        let def = &context.entities[entity];
        let mut fields = self.key_fields(key, entity)?;
        let step = match verb {
            EntityVerb::Open | EntityVerb::Ensure => {
                for name in &def.labels {
                    fields.push(self.field(key, name)?);
                }
                let mut parents = Vec::new();
                for &parent in &def.within {
                    parents.push((parent, self.key_fields(key, parent)?));
                }
                let labels = fields.iter().copied().enumerate().skip(def.key.len());
                let ensure = (verb == EntityVerb::Ensure).then(|| labels.collect());
                Step::Open(Open { entity, handle, parts: fields, parents, ensure })
            }
            EntityVerb::Update => {
                if def.labels.is_empty() {
                    let what = format!("{} carries no labels, expected an entity that does", def.name);
                    return Err(fault(key, what));
                }
                let mut parts = Vec::new();
                for (index, name) in def.labels.iter().enumerate() {
                    parts.push((def.key.len() + index, self.field_used(name, FieldUse::Optional)));
                }
                Step::Find(Find { entity, handle, key: fields, then: Then::Update(parts) })
            }
            EntityVerb::Close => Step::Find(Find { entity, handle, key: fields, then: Then::Close }),
            EntityVerb::Of => Step::Find(Find { entity, handle, key: fields, then: Then::Reference }),
        };
        self.plan.steps.push(step);
        match verb {
            EntityVerb::Open | EntityVerb::Ensure | EntityVerb::Update => {
                self.begin_gauges(handle).map_err(|(_, fault)| fault)
            }
            EntityVerb::Close | EntityVerb::Of => Ok(()),
        }
    }

    /// Adds the gauges that count the entity just opened or updated, and the ages that it owns.
    fn begin_gauges(&mut self, handle: HandleIndex) -> Result<(), (MetricIndex, Fault)> {
        let context = self.context;
        let entity = self.handles[handle].entity;
        for &metric in &context.gauges[entity] {
            self.begin_step("").map_err(|fault| (metric, fault))?;
            let def = &context.metrics[metric];
            let verb = match def.kind {
                MetricKind::Live(_) => Verb::Count(handle),
                _ => Verb::Zero,
            };
            let name = &context.entities[entity].name;
            let set = match self.entity_set(metric, handle) {
                Ok(set) => set,
                // An age with a label that only its marks can fill starts with the first mark.
                Err(_) if verb == Verb::Zero => continue,
                Err(label) => {
                    let what = format!(
                        "nothing can fill the label {label} of {}, expected one that {name} or its parents \
                         have",
                        def.name
                    );
                    return Err((metric, fault("labels", what)));
                }
            };
            let reach = |owner| self.reach(handle, owner);
            let owner = match def.owner.map(reach) {
                None => None,
                Some(Some(path)) => Some(path),
                Some(None) => {
                    let what = format!(
                        "{}: its owner is neither {name} nor a parent of it, expected one of them",
                        def.name
                    );
                    return Err((metric, fault("owner", what)));
                }
            };
            let fixed = Box::default();
            let change = Change { verb, metric, set, amount: None, owner, condition: None, fixed };
            self.plan.steps.push(Step::Change(change));
        }
        Ok(())
    }

    /// The labels of a metric, filled from one entity and its ancestors. The error is a label that they do
    /// not have.
    fn entity_set(&mut self, metric: MetricIndex, handle: HandleIndex) -> Result<usize, String> {
        let context = self.context;
        let mut labels = Vec::new();
        for (index, label) in context.metrics[metric].labels.iter().enumerate() {
            let (path, part) = self.supplier(label, &[handle]).ok_or_else(|| label.clone())?;
            let own = path.parents.is_empty();
            let own_field = own.then(|| self.plan.field(label.as_bytes())).flatten();
            let otherwise = self.supplied(path, part);
            labels.push(self.fill(metric, index, own_field, otherwise));
        }
        Ok(self.set(LabelSet { labels }))
    }

    fn fill(
        &self,
        metric: MetricIndex,
        label: usize,
        field: Option<FieldIndex>,
        otherwise: Otherwise,
    ) -> LabelFill {
        let def = &self.context.metrics[metric];
        let comma = if label == 0 { "" } else { "," };
        LabelFill {
            opening: format!("{comma}{}=\"", def.labels[label]),
            field,
            otherwise,
            transform: def.transforms[label].clone(),
        }
    }

    fn set(&mut self, set: LabelSet) -> usize {
        index_of(&mut self.plan.sets, set)
    }

    /// What an entity supplies. What one that the event opens has, is in the fields of the line.
    fn supplied(&mut self, path: EntityPath, part: usize) -> Otherwise {
        if path.parents.is_empty() && self.handles[path.start].opened {
            return Otherwise::Text(String::new());
        }
        Otherwise::Entity { supplier: index_of(&mut self.plan.suppliers, path), part }
    }

    /// Finds the entity that supplies a label: those of the event itself first, then their ancestors, nearest
    /// first.
    fn supplier(&self, label: &str, handles: &[HandleIndex]) -> Option<(EntityPath, usize)> {
        let context = self.context;
        let part = |path: &EntityPath| context.entities[self.entity_at(path)].part(label);
        self.reachable(handles).into_iter().find_map(|path| part(&path).map(|part| (path, part)))
    }

    /// The path from an entity of the event to one of the owner's kind.
    fn reach(&self, handle: HandleIndex, owner: EntityIndex) -> Option<EntityPath> {
        self.reachable(&[handle]).into_iter().find(|path| self.entity_at(path) == owner)
    }

    fn entity_at(&self, path: &EntityPath) -> EntityIndex {
        let start = self.handles[path.start].entity;
        path.parents.iter().fold(start, |entity, &parent| self.context.entities[entity].within[parent])
    }

    /// The paths to all entities that can be reached, breadth first, each kind of ancestor by its shortest
    /// one.
    fn reachable(&self, handles: &[HandleIndex]) -> Vec<EntityPath> {
        let mut paths: Vec<EntityPath> =
            handles.iter().map(|&start| EntityPath { start, parents: Vec::new() }).collect();
        let mut reached: HashSet<EntityIndex> = paths.iter().map(|path| self.entity_at(path)).collect();
        let mut next = 0;
        while next < paths.len() {
            let here = paths[next].clone();
            for (index, &parent) in self.context.entities[self.entity_at(&here)].within.iter().enumerate() {
                if reached.insert(parent) {
                    let mut longer = here.clone();
                    longer.parents.push(index);
                    paths.push(longer);
                }
            }
            next += 1;
        }
        let looked_at = |path: &EntityPath| {
            1 + path.parents.len() + self.context.entities[self.entity_at(path)].within.len()
        };
        self.context.work(paths.iter().map(looked_at).sum());
        paths
    }

    fn change_step(
        &mut self,
        key: &str,
        verb: Verb,
        (kinds, value): (&[Kind], Value),
        effect: &Effect<'_>,
    ) -> Result<(), Fault> {
        let context = self.context;
        let name = effect.target.metric;
        let metric = context.metric_names.find(key, name)?;
        let def = &context.metrics[metric];
        let kind = Kind::of(&def.kind);
        if !kinds.contains(&kind) {
            let live = if kind == Kind::LiveGauge { " (no effect sets it)" } else { "" };
            let what = format!("{name} is {}{live}, expected {}", kind.name(), Kind::expected(kinds));
            return Err(fault(key, what));
        }
        let owner = match def.owner {
            Some(owner) => Some(self.owner_path(key, owner)?),
            None => None,
        };
        let set = self.effect_set(key, metric, effect)?;
        let range = match value {
            Value::None => None,
            Value::Replaces => Some(AmountRange::Any),
            Value::Summed if kind == Kind::Counter => Some(AmountRange::Counted),
            Value::Summed => Some(AmountRange::Summed),
        };
        let amount = match (&effect.value, range) {
            (None, None) => None,
            (Some(words), Some(range)) => Some(self.amount(key, words, range)?),
            (Some(_), None) => {
                return Err(fault(key, format!("{name}: takes no value, expected nothing after it")));
            }
            (None, Some(_)) => {
                return Err(fault(key, format!("{name}: expected \"from VALUE\" after it")));
            }
        };
        let condition = match effect.condition {
            None => None,
            Some((field, wanted)) => Some((self.field(key, field)?, wanted.to_owned())),
        };
        let mut fixed: Vec<String> =
            effect.target.braces.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        fixed.sort();
        let fixed = fixed.join(",").into();
        self.plan.steps.push(Step::Change(Change { verb, metric, set, amount, owner, condition, fixed }));
        Ok(())
    }

    /// The path to the owner of a series. An event that does not touch the owner names it by the fields of
    /// its key.
    fn owner_path(&mut self, key: &str, owner: EntityIndex) -> Result<EntityPath, Fault> {
        if let Some(path) = (0..self.handles.len()).find_map(|handle| self.reach(handle, owner)) {
            return Ok(path);
        }
        let handle = self.handles.len();
        self.handles.push(Handle { entity: owner, opened: false });
        let fields = self.key_fields(key, owner)?;
        self.plan.steps.push(Step::Find(Find { entity: owner, handle, key: fields, then: Then::Reference }));
        Ok(EntityPath { start: handle, parents: Vec::new() })
    }

    fn effect_set(&mut self, key: &str, metric: MetricIndex, effect: &Effect<'_>) -> Result<usize, Fault> {
        let context = self.context;
        let def = &context.metrics[metric];
        for (index, (label, _)) in effect.target.braces.iter().enumerate() {
            if !def.labels.iter().any(|name| name == label) {
                return Err(fault(
                    key,
                    format!(
                        "{} has no label {label:?}, expected one of {}",
                        def.name,
                        listed(def.labels.iter().map(String::as_str))
                    ),
                ));
            }
            if effect.target.braces[..index].iter().any(|(other, _)| other == label) {
                return Err(fault(key, format!("{label}: a label given twice, expected each once")));
            }
        }
        let all: Vec<HandleIndex> = (0..self.handles.len()).collect();
        let mut labels = Vec::new();
        for (index, label) in def.labels.iter().enumerate() {
            let braces = effect.target.braces.iter().find(|(name, _)| name == label);
            let (field, otherwise) = if let Some((_, text)) = braces {
                (None, Otherwise::Text((*text).to_owned()))
            } else if let Some((path, part)) = self.supplier(label, &all) {
                (Some(self.field_used(label, FieldUse::Override)), self.supplied(path, part))
            } else {
                (Some(self.field(key, label)?), Otherwise::Skip)
            };
            labels.push(self.fill(metric, index, field, otherwise));
        }
        Ok(self.set(LabelSet { labels }))
    }

    fn amount(&mut self, key: &str, words: &[&str], range: AmountRange) -> Result<Amount, Fault> {
        if words.len() > limits::EVENT_FIELDS_MAX {
            let max = limits::EVENT_FIELDS_MAX;
            return Err(fault(key, format!("{} alternatives, expected at most {max}", words.len())));
        }
        let mut alternatives = Vec::new();
        let mut needed = None;
        for word in words {
            alternatives.push(match *word {
                "now" => AmountSource::Now,
                "elapsed" => {
                    let handle = self.handles.iter().position(|handle| !handle.opened).ok_or_else(|| {
                        fault(
                            key,
                            "elapsed: this event only opens entities, expected one that closes or refers to \
                             one",
                        )
                    })?;
                    AmountSource::Elapsed(handle)
                }
                word if is_name(word) => {
                    check_field_name(key, word)?;
                    let declared = self.optional.iter().any(|name| name == word);
                    let index = if words.len() == 1 {
                        self.field(key, word)?
                    } else {
                        self.field_used(word, FieldUse::Optional)
                    };
                    if !declared {
                        needed = Some(index);
                    }
                    AmountSource::Field(index)
                }
                word => match word.parse::<f64>() {
                    Ok(number) if range.contains(number) => AmountSource::Number(number),
                    _ => {
                        let number =
                            if range == AmountRange::Counted { "a number not below 0" } else { "a number" };
                        let what = format!("{word:?}: expected a field, {number}, now or elapsed");
                        return Err(fault(key, what));
                    }
                },
            });
        }
        Ok(Amount { alternatives, needed, range })
    }
}
