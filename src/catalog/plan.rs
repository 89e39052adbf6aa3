//! From an `[event …]` section to an [`EventPlan`]: which fields it uses, which entities it touches, and for
//! every label of every effect where its value comes from. All that can be checked without an event is checked here.

use std::collections::{HashMap, HashSet};

use super::effect::{self, Effect};
use super::model::{
    Amount, AmountRange, AmountSource, Change, EntityDef, EntityIndex, EventPlan, FieldDef, FieldIndex,
    FieldUse, HandleIndex, LabelFill, LabelSet, LabelSource, MetricDef, MetricIndex, MetricKind, Place, Step,
    Then, Transform, Verb,
};
use super::read::{Fault, Names, fault};
use super::sections::{check_field_name, is_name, names};
use crate::config::ini::Section;
use crate::limits;

/// The keys of an event section.
pub(super) const EVENT_KEYS: &[&str] = &[
    "optional",
    "fields",
    "open",
    "ensure",
    "close",
    "of",
    "update",
    "inc",
    "add",
    "sub",
    "set",
    "set_existing",
    "follow",
    "observe",
    "mark",
    "zero",
    "remove",
    "abandon",
    "reset",
];

/// The keys that name entities.
fn names_entities(key: &str) -> bool {
    matches!(key, "open" | "ensure" | "close" | "of" | "update")
}

/// What the rest of the catalog says.
pub(super) struct Context<'a> {
    pub(super) system: &'a str,
    pub(super) entities: &'a [EntityDef],
    pub(super) entity_names: &'a Names,
    pub(super) metrics: &'a [MetricDef],
    pub(super) metric_names: &'a Names,
    pub(super) transforms: &'a HashMap<String, Transform>,
    /// For each kind of entity, the live gauges that count it and the ages that it owns.
    pub(super) gauges: &'a [Vec<MetricIndex>],
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

/// Works out one event.
pub(super) fn plan_event(name: &str, section: &Section, context: &Context<'_>) -> Result<EventPlan, Fault> {
    let plan = EventPlan { name: name.to_owned(), ..EventPlan::default() };
    let optional = names(section, "optional")?;
    let mut planner = Planner { context, optional, plan, handles: Vec::new() };
    for field in names(section, "fields")? {
        planner.field("fields", &field)?;
    }
    planner.collect_handles(section)?;
    let mut next_handle = 0;
    for entry in &section.entries {
        match entry.key.as_str() {
            "optional" | "fields" => {}
            key if names_entities(key) => {
                for _ in entry.value.split(',') {
                    planner.entity_step(&entry.key, next_handle)?;
                    next_handle += 1;
                }
            }
            key @ ("reset" | "abandon") => {
                if entry.value != context.system {
                    let what = format!("{:?}: expected the system itself, {}", entry.value, context.system);
                    return Err(fault(key, what));
                }
                planner.plan.restarts = true;
                let steps = &mut planner.plan.steps;
                // What the server had open before has ended before it does anything else.
                match key {
                    "reset" => steps.push(Step::Reset),
                    _ if steps.first() != Some(&Step::Abandon) => steps.insert(0, Step::Abandon),
                    _ => {}
                }
            }
            verb => {
                for effect in effect::parse_list(&entry.value).map_err(|what| fault(verb, what))? {
                    planner.change_step(verb, &effect)?;
                }
            }
        }
    }
    let Planner { mut plan, handles, optional, .. } = planner;
    if let Some(unused) = optional.iter().find(|name| !plan.fields.iter().any(|field| field.name == **name)) {
        return Err(fault("optional", format!("{unused}: no effect uses it, expected fields of this event")));
    }
    if plan.fields.len() > limits::EVENT_FIELDS_MAX {
        return Err(fault(
            "",
            format!("uses {} fields, expected at most {}", plan.fields.len(), limits::EVENT_FIELDS_MAX),
        ));
    }
    plan.handles = handles.len();
    Ok(plan)
}

/// Works out the gauges that begin with an entity of this kind. A fault is about the metric that is returned with it.
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
    /// Registers a field that the event cannot do without, unless it is declared optional.
    fn field(&mut self, key: &str, name: &str) -> Result<FieldIndex, Fault> {
        check_field_name(key, name)?;
        let optional = self.optional.iter().any(|other| other == name);
        Ok(self.field_used(name, if optional { FieldUse::Optional } else { FieldUse::Required }))
    }

    fn field_used(&mut self, name: &str, used: FieldUse) -> FieldIndex {
        if let Some(index) = self.plan.fields.iter().position(|field| field.name == name) {
            let field = &mut self.plan.fields[index];
            if used == FieldUse::Required || field.used == FieldUse::Override {
                field.used = used;
            }
            index
        } else {
            self.plan.fields.push(FieldDef { name: name.to_owned(), used });
            self.plan.fields.len() - 1
        }
    }

    /// The entities are collected first, so that an effect may stand before the entity that lends it labels.
    fn collect_handles(&mut self, section: &Section) -> Result<(), Fault> {
        for entry in section.entries.iter().filter(|entry| names_entities(&entry.key)) {
            for name in entry.value.split(',').map(str::trim) {
                let entity = self.context.entity_names.find(&entry.key, name)?;
                self.handles.push(Handle { entity, opened: entry.key == "open" });
            }
        }
        Ok(())
    }

    fn key_fields(&mut self, verb: &str, entity: EntityIndex) -> Result<Vec<FieldIndex>, Fault> {
        let context = self.context;
        context.entities[entity].key.iter().map(|name| self.field(verb, name)).collect()
    }

    fn entity_step(&mut self, verb: &str, handle: HandleIndex) -> Result<(), Fault> {
        let entity = self.handles[handle].entity;
        let context = self.context;
        let def = &context.entities[entity];
        let mut key = self.key_fields(verb, entity)?;
        let has_gauges = match verb {
            "open" | "ensure" => {
                for name in &def.labels {
                    key.push(self.field(verb, name)?);
                }
                let mut parents = Vec::new();
                for &parent in &def.within {
                    parents.push((parent, self.key_fields(verb, parent)?));
                }
                let labels = key.iter().copied().enumerate().skip(def.key.len());
                let ensure = (verb == "ensure").then(|| labels.collect());
                self.plan.steps.push(Step::Open { entity, handle, parts: key, parents, ensure });
                true
            }
            "update" => {
                if def.labels.is_empty() {
                    let what = format!("{} carries no labels, expected an entity that does", def.name);
                    return Err(fault(verb, what));
                }
                let mut parts = Vec::new();
                for (index, name) in def.labels.iter().enumerate() {
                    parts.push((def.key.len() + index, self.field_used(name, FieldUse::Optional)));
                }
                self.plan.steps.push(Step::Find { entity, handle, key, then: Then::Update(parts) });
                true
            }
            _ => {
                let then = if verb == "close" { Then::Close } else { Then::Lend };
                self.plan.steps.push(Step::Find { entity, handle, key, then });
                false
            }
        };
        if has_gauges { self.begin_gauges(handle).map_err(|(_, fault)| fault) } else { Ok(()) }
    }

    /// The gauges that count the entity just opened or updated, and the ages it owns.
    fn begin_gauges(&mut self, handle: HandleIndex) -> Result<(), (MetricIndex, Fault)> {
        let context = self.context;
        let entity = self.handles[handle].entity;
        for &metric in &context.gauges[entity] {
            let def = &context.metrics[metric];
            let verb = match def.kind {
                MetricKind::Live(_) => Verb::Count(handle),
                _ => Verb::Zero,
            };
            let name = &context.entities[entity].name;
            let set = match self.entity_set(metric, handle) {
                Ok(set) => set,
                // An age with a label that only its marks can fill begins with the first mark.
                Err(_) if verb == Verb::Zero => continue,
                Err(label) => {
                    let what = format!(
                        "nothing can fill the label {label} of {}, expected one that {name} or its parents have",
                        def.name
                    );
                    return Err((metric, fault("labels", what)));
                }
            };
            let reach = |owner| self.reach(handle, owner);
            let owner = match def.owner.map(reach) {
                None => None,
                Some(Some(place)) => Some(place),
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

    /// The label set of a metric as one entity and its parents fill it, or the label that they cannot fill.
    fn entity_set(&mut self, metric: MetricIndex, handle: HandleIndex) -> Result<usize, String> {
        let context = self.context;
        let mut labels = Vec::new();
        for (index, label) in context.metrics[metric].labels.iter().enumerate() {
            let (place, part) = self.lender(label, &[handle]).ok_or_else(|| label.clone())?;
            let own = place.path.is_empty();
            let own_field =
                own.then(|| self.plan.fields.iter().position(|field| field.name == *label)).flatten();
            let mut sources: Vec<LabelSource> = own_field.map(LabelSource::Field).into_iter().collect();
            sources.push(if own && self.handles[handle].opened {
                LabelSource::Empty
            } else {
                LabelSource::Entity(place, part)
            });
            labels.push(self.fill(index, label, sources));
        }
        Ok(self.set(LabelSet { labels }))
    }

    fn fill(&self, index: usize, label: &str, sources: Vec<LabelSource>) -> LabelFill {
        let comma = if index == 0 { "" } else { "," };
        LabelFill {
            opening: format!("{comma}{label}=\""),
            sources,
            transform: self.context.transforms.get(label).cloned(),
        }
    }

    fn set(&mut self, set: LabelSet) -> usize {
        self.plan.sets.iter().position(|other| *other == set).unwrap_or_else(|| {
            self.plan.sets.push(set);
            self.plan.sets.len() - 1
        })
    }

    /// Finds the entity that lends a label: those of the event itself first, then their parents, nearest first.
    fn lender(&self, label: &str, handles: &[HandleIndex]) -> Option<(Place, usize)> {
        let context = self.context;
        let at = |place: &Place| context.entities[self.entity_at(place)].part(label);
        self.places(handles).into_iter().find_map(|place| at(&place).map(|part| (place, part)))
    }

    /// The way from an entity of the event to its owner kind.
    fn reach(&self, handle: HandleIndex, owner: EntityIndex) -> Option<Place> {
        self.places(&[handle]).into_iter().find(|place| self.entity_at(place) == owner)
    }

    fn entity_at(&self, place: &Place) -> EntityIndex {
        let start = self.handles[place.handle].entity;
        place.path.iter().fold(start, |entity, &parent| self.context.entities[entity].within[parent])
    }

    /// Everything that can be reached, breadth first, each kind of parent by its shortest way.
    fn places(&self, handles: &[HandleIndex]) -> Vec<Place> {
        let mut places: Vec<Place> =
            handles.iter().map(|&handle| Place { handle, path: Vec::new() }).collect();
        let mut reached: HashSet<EntityIndex> = places.iter().map(|place| self.entity_at(place)).collect();
        let mut next = 0;
        while next < places.len() {
            let here = places[next].clone();
            for (index, &parent) in self.context.entities[self.entity_at(&here)].within.iter().enumerate() {
                if reached.insert(parent) {
                    let mut path = here.path.clone();
                    path.push(index);
                    places.push(Place { handle: here.handle, path });
                }
            }
            next += 1;
        }
        places
    }

    fn change_step(&mut self, key: &str, effect: &Effect<'_>) -> Result<(), Fault> {
        let context = self.context;
        let name = effect.target.metric;
        let metric = context.metric_names.find(key, name)?;
        let def = &context.metrics[metric];
        let verb = Self::verb(key, def)?;
        let owner = match def.owner {
            Some(owner) => Some(self.owner_place(key, owner)?),
            None => None,
        };
        let set = self.effect_set(key, metric, effect)?;
        let takes_none = matches!(verb, Verb::Inc | Verb::Mark | Verb::Zero | Verb::Remove);
        let amount = match (&effect.value, takes_none) {
            (None, true) => None,
            (Some(_), true) => {
                return Err(fault(key, format!("{name}: takes no value, expected none behind it")));
            }
            (None, false) => return Err(fault(key, format!("{name}: expected \"from VALUE\" behind it"))),
            (Some(words), false) => {
                let range = match verb {
                    Verb::Set | Verb::SetExisting => AmountRange::Any,
                    _ if def.kind == MetricKind::Counter => AmountRange::Counted,
                    _ => AmountRange::Summed,
                };
                Some(self.amount(key, words, range)?)
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

    fn verb(key: &str, def: &MetricDef) -> Result<Verb, Fault> {
        use MetricKind::{Age, Counter, Gauge, Histogram, Live};
        let verb = match (key, &def.kind) {
            ("inc", Counter) => Verb::Inc,
            ("add", Counter | Gauge) => Verb::Add,
            ("sub", Gauge) => Verb::Sub,
            ("set", Gauge) => Verb::Set,
            ("set_existing", Gauge) => Verb::SetExisting,
            ("follow", Counter) => Verb::Follow,
            ("observe", Histogram(_)) => Verb::Observe,
            ("mark", Age) => Verb::Mark,
            ("zero", Counter | Gauge | Live(_) | Histogram(_)) => Verb::Zero,
            ("remove", Counter | Gauge | Histogram(_) | Age) => Verb::Remove,
            _ => {
                let expected = match key {
                    "inc" | "follow" => "a counter",
                    "add" => "a counter or a gauge",
                    "observe" => "a histogram",
                    "mark" => "an age",
                    "zero" => "anything but an age",
                    "remove" => "anything but a live gauge",
                    _ => "a gauge",
                };
                let live =
                    if matches!(def.kind, Live(_)) { " (a live gauge is set by no effect)" } else { "" };
                let kind = def.kind.prometheus_type();
                return Err(fault(key, format!("{} is a {kind}{live}, expected {expected}", def.name)));
            }
        };
        Ok(verb)
    }

    /// Where the owner of a series is found; an event that touches none names it by its key fields.
    fn owner_place(&mut self, key: &str, owner: EntityIndex) -> Result<Place, Fault> {
        if let Some(place) = (0..self.handles.len()).find_map(|handle| self.reach(handle, owner)) {
            return Ok(place);
        }
        let handle = self.handles.len();
        self.handles.push(Handle { entity: owner, opened: false });
        let fields = self.key_fields(key, owner)?;
        self.plan.steps.push(Step::Find { entity: owner, handle, key: fields, then: Then::Lend });
        Ok(Place { handle, path: Vec::new() })
    }

    fn effect_set(&mut self, key: &str, metric: MetricIndex, effect: &Effect<'_>) -> Result<usize, Fault> {
        let context = self.context;
        let def = &context.metrics[metric];
        for (index, (label, _)) in effect.target.braces.iter().enumerate() {
            if !def.labels.iter().any(|name| name == label) {
                return Err(fault(
                    key,
                    format!("{} has no label {label:?}, expected one of {}", def.name, def.labels.join(", ")),
                ));
            }
            if effect.target.braces[..index].iter().any(|(other, _)| other == label) {
                return Err(fault(key, format!("{label}: a label taken twice, expected each once")));
            }
        }
        let all: Vec<HandleIndex> = (0..self.handles.len()).collect();
        let mut labels = Vec::new();
        for (index, label) in def.labels.iter().enumerate() {
            let sources = if let Some((_, text)) = effect.target.braces.iter().find(|(name, _)| name == label)
            {
                vec![LabelSource::Text((*text).to_owned())]
            } else {
                match self.lender(label, &all) {
                    None => vec![LabelSource::Field(self.field(key, label)?)],
                    Some((place, part)) => {
                        let own_of_opened = place.path.is_empty() && self.handles[place.handle].opened;
                        let field = LabelSource::Field(self.field_used(label, FieldUse::Override));
                        let lent =
                            if own_of_opened { LabelSource::Empty } else { LabelSource::Entity(place, part) };
                        vec![field, lent]
                    }
                }
            };
            labels.push(self.fill(index, label, sources));
        }
        Ok(self.set(LabelSet { labels }))
    }

    fn amount(&mut self, key: &str, words: &[&str], range: AmountRange) -> Result<Amount, Fault> {
        let mut alternatives = Vec::new();
        let mut needed = None;
        for word in words {
            alternatives.push(match *word {
                "now" => AmountSource::Now,
                "elapsed" => {
                    let handle = self.handles.iter().position(|handle| !handle.opened).ok_or_else(|| {
                        fault(
                            key,
                            "elapsed: this event only opens, expected one that closes or is of an entity",
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
