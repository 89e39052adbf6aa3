//! From an `[event …]` section to an [`EventPlan`]: which fields it uses, which entities it touches, and for
//! every label of every effect where its value comes from. All that can be checked without an event is checked here.

use std::collections::HashMap;

use super::effect::{self, Effect};
use super::model::{
    Amount, AmountSource, Change, EntityDef, EntityIndex, EventPlan, FieldDef, FieldIndex, FieldUse,
    HandleIndex, LabelFill, LabelSet, LabelSource, MetricDef, MetricIndex, MetricKind, Place, Step, Then,
    Transform, Verb,
};
use super::read::{Fault, check_field_name, fault, find, is_name, names, unknown};
use crate::event::name::Name;
use crate::ini::Section;
use crate::limits;

/// The keys of an event section.
pub(super) const EVENT_KEYS: &[&str] = &[
    "optional", "fields", "open", "close", "of", "update", "inc", "add", "sub", "set", "follow", "observe",
    "mark", "zero", "reset",
];

/// What the rest of the catalog says.
pub(super) struct Context<'a> {
    pub(super) system: &'a str,
    pub(super) entities: &'a [EntityDef],
    pub(super) metrics: &'a [MetricDef],
    pub(super) metric_names: &'a [&'a str],
    pub(super) transforms: &'a HashMap<String, Transform>,
}

/// An entity that the event touches.
struct Handle {
    entity: EntityIndex,
    /// Opened by this event, so that its labels are the event's own fields.
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
    let plan = EventPlan {
        name: name.to_owned(),
        fields: Vec::new(),
        steps: Vec::new(),
        sets: Vec::new(),
        handles: 0,
        resets: false,
    };
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
            "open" | "close" | "of" | "update" => {
                for _ in entry.value.split(',') {
                    planner.entity_step(&entry.key, next_handle)?;
                    next_handle += 1;
                }
            }
            "reset" => {
                if entry.value != context.system {
                    return Err(fault(
                        "reset",
                        format!("{:?}: expected the system itself, {}", entry.value, context.system),
                    ));
                }
                planner.plan.resets = true;
                planner.plan.steps.push(Step::Reset);
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
            self.plan.fields.push(FieldDef { name: name.to_owned(), short: Name::of(name), used });
            self.plan.fields.len() - 1
        }
    }

    /// The entities are collected first, so that an effect may stand before the entity that lends it labels.
    fn collect_handles(&mut self, section: &Section) -> Result<(), Fault> {
        let all: Vec<&str> = self.context.entities.iter().map(|entity| entity.name.as_str()).collect();
        for entry in &section.entries {
            if matches!(entry.key.as_str(), "open" | "close" | "of" | "update") {
                for name in entry.value.split(',').map(str::trim) {
                    let entity =
                        find(name, &all).ok_or_else(|| fault(&entry.key, unknown("entity", name, &all)))?;
                    self.handles.push(Handle { entity, opened: entry.key == "open" });
                }
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
        let then = match verb {
            "open" => {
                for name in &def.labels {
                    key.push(self.field(verb, name)?);
                }
                let mut parents = Vec::new();
                for &parent in &def.within {
                    parents.push((parent, self.key_fields(verb, parent)?));
                }
                self.plan.steps.push(Step::Open { entity, handle, parts: key, parents });
                self.begin_gauges(handle, true)?;
                return Ok(());
            }
            "close" => Then::Close,
            "of" => Then::Lend,
            _ => {
                if def.labels.is_empty() {
                    return Err(fault(
                        verb,
                        format!("{} carries no labels, expected an entity that does", def.name),
                    ));
                }
                let mut parts = Vec::new();
                for (index, name) in def.labels.iter().enumerate() {
                    parts.push((def.key.len() + index, self.field_used(name, FieldUse::Optional)));
                }
                Then::Update(parts)
            }
        };
        let updates = matches!(then, Then::Update(_));
        self.plan.steps.push(Step::Find { entity, handle, key, then });
        if updates {
            self.begin_gauges(handle, false)?;
        }
        Ok(())
    }

    /// The gauges that count the entity just opened or updated, and the ages it owns.
    fn begin_gauges(&mut self, handle: HandleIndex, opened: bool) -> Result<(), Fault> {
        let context = self.context;
        let entity = self.handles[handle].entity;
        for (metric, def) in context.metrics.iter().enumerate() {
            let verb = match def.kind {
                MetricKind::Live(counted) if counted == entity => Verb::Count(handle),
                MetricKind::Age if opened && def.owner == Some(entity) => Verb::Zero,
                _ => continue,
            };
            let set = match self.entity_set(metric, handle) {
                Ok(set) => set,
                // An age with a label that only its marks can fill begins with the first mark.
                Err(_) if verb == Verb::Zero => continue,
                Err(label) => {
                    return Err(fault(
                        "",
                        format!(
                            "nothing can fill the label {label} of {}, expected one that {} or its parents have",
                            def.name, context.entities[entity].name
                        ),
                    ));
                }
            };
            let owner = match def.owner {
                None => None,
                Some(owner) => Some(self.reach(handle, owner).ok_or_else(|| {
                    fault(
                        "",
                        format!(
                            "{}: its owner is neither {} nor a parent of it, expected one of them",
                            def.name, context.entities[entity].name
                        ),
                    )
                })?),
            };
            self.plan.steps.push(Step::Change(Change {
                verb,
                metric,
                set,
                amount: None,
                owner,
                condition: None,
            }));
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

    /// Everything that can be reached, breadth first. `within` has no cycle, so this ends.
    fn places(&self, handles: &[HandleIndex]) -> Vec<Place> {
        let mut places: Vec<Place> =
            handles.iter().map(|&handle| Place { handle, path: Vec::new() }).collect();
        let mut next = 0;
        while next < places.len() {
            let here = places[next].clone();
            for parent in 0..self.context.entities[self.entity_at(&here)].within.len() {
                let mut path = here.path.clone();
                path.push(parent);
                places.push(Place { handle: here.handle, path });
            }
            next += 1;
        }
        places
    }

    fn change_step(&mut self, key: &str, effect: &Effect<'_>) -> Result<(), Fault> {
        let context = self.context;
        let name = effect.target.metric;
        let metric = find(name, context.metric_names)
            .ok_or_else(|| fault(key, format!("{name:?}: unknown metric, expected one of this catalog")))?;
        let def = &context.metrics[metric];
        let verb = self.verb(key, def)?;
        let owner = match def.owner {
            Some(owner) => Some(self.owner_place(key, owner)?),
            None => None,
        };
        if let (Verb::Follow(source), Some(owner)) = (verb, def.owner)
            && source.is_none_or(|source| self.reach(source, owner).is_none())
        {
            return Err(fault(
                key,
                format!("{name}: expected the event's entity to be its owner or within it"),
            ));
        }
        let set = self.effect_set(key, metric, effect)?;
        let amount = match (&effect.value, matches!(verb, Verb::Inc | Verb::Mark | Verb::Zero)) {
            (None, true) => None,
            (Some(_), true) => {
                return Err(fault(key, format!("{name}: takes no value, expected none behind it")));
            }
            (None, false) => return Err(fault(key, format!("{name}: expected \"from VALUE\" behind it"))),
            (Some(words), false) => {
                let not_negative = def.kind == MetricKind::Counter;
                Some(self.amount(key, words, not_negative)?)
            }
        };
        let condition = match effect.condition {
            None => None,
            Some((field, wanted)) => Some((self.field(key, field)?, wanted.to_owned())),
        };
        self.plan.steps.push(Step::Change(Change { verb, metric, set, amount, owner, condition }));
        Ok(())
    }

    fn verb(&self, key: &str, def: &MetricDef) -> Result<Verb, Fault> {
        use MetricKind::{Age, Counter, Gauge, Histogram, Live};
        let verb = match (key, &def.kind) {
            ("inc", Counter) => Verb::Inc,
            ("add", Counter | Gauge) => Verb::Add,
            ("sub", Gauge) => Verb::Sub,
            ("set", Gauge) => Verb::Set,
            ("follow", Counter) => Verb::Follow((!self.handles.is_empty()).then_some(0)),
            ("observe", Histogram(_)) => Verb::Observe,
            ("mark", Age) => Verb::Mark,
            ("zero", Counter | Gauge | Live(_) | Histogram(_)) => Verb::Zero,
            _ => {
                let (expected, hint) = match key {
                    "inc" | "follow" => ("a counter", ""),
                    "add" => ("a counter or a gauge", ""),
                    "observe" => ("a histogram", ""),
                    "mark" => ("an age", ""),
                    "zero" => ("anything but an age", ""),
                    _ => ("a gauge", ""),
                };
                let live =
                    if matches!(def.kind, Live(_)) { " (a live gauge is set by no effect)" } else { hint };
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

    fn amount(&mut self, key: &str, words: &[&str], not_negative: bool) -> Result<Amount, Fault> {
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
                    Ok(number) if number.is_finite() && !(not_negative && number < 0.0) => {
                        AmountSource::Number(number)
                    }
                    _ => {
                        let kind = if not_negative { "a number not below 0" } else { "a number" };
                        return Err(fault(
                            key,
                            format!("{word:?}: expected a field, {kind}, now or elapsed"),
                        ));
                    }
                },
            });
        }
        Ok(Amount { alternatives, needed, not_negative })
    }
}
