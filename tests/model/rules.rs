//! What an event does to its system: the rules of the contract, as plainly as they can be written. An event works on a copy
//! of its system, which takes the original's place if nothing was wrong, so atomicity needs no thought. Gauges that count
//! what is open are counted when they are shown.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::line::{AMOUNT_MAX, DAY, LABEL_MAX, Line, Value, path, slug};
use crate::tables::{Effect, Event, Kind, Metric, System};

/// A run of a producer, by its number in the model.
pub type RunId = usize;

/// An entity by its kind and its key.
pub type Id = (&'static str, Vec<String>);
type Labels = BTreeMap<&'static str, String>;
type Tuple = Vec<String>;

#[derive(Clone)]
pub struct Entity {
    /// Its key and what it carries; what it lacks is empty.
    pub labels: Labels,
    opened: f64,
    pub owner: Option<RunId>,
    parents: Vec<Id>,
}

#[derive(Clone, Debug)]
pub enum Shown {
    Number(f64),
    /// How many observations each bucket has by itself, those beyond the last bound, and the sum.
    Histogram(Vec<u64>, f64),
    Mark(Option<f64>),
    Live,
}

#[derive(Clone)]
pub struct Series {
    pub shown: Shown,
    owners: BTreeSet<Id>,
}

/// A system with what is open and counted.
#[derive(Clone)]
pub struct State {
    pub system: Rc<System>,
    pub is_shown: bool,
    pub entities: BTreeMap<Id, Entity>,
    pub series: BTreeMap<(&'static str, Tuple), Series>,
    /// The last total told by each source of a `follow`.
    totals: BTreeMap<(&'static str, Id), f64>,
    pub events: BTreeMap<String, u64>,
    pub abandoned: BTreeMap<&'static str, u64>,
    pub cuts: u64,
    /// When the latest event of a producer was applied.
    pub last_event_at: f64,
    /// Times of events that were ignored, of this system's events.
    pub times_ignored: u64,
    /// Configured events that found the system full.
    pub startup_rejected: u64,
}

/// All that an event needs to know of the world around it.
pub struct World<'a> {
    pub now: f64,
    pub by: Option<RunId>,
    /// Whether an `abandon` that this line says takes what this owner has open.
    pub abandons: &'a dyn Fn(Option<RunId>) -> bool,
    pub resets: bool,
    pub entities_max: usize,
    pub startup: &'a [Line],
}

/// Why an event is rejected. A line with several faults has several reasons, and the contract does not say which one wins.
pub type Reasons = BTreeSet<&'static str>;

/// Whether an effect happens, or why it does not.
type Outcome = Result<(), &'static str>;

/// An event on its way: its fields, and the first entity that it meets.
struct Context {
    time: f64,
    texts: BTreeMap<&'static str, String>,
    numbers: BTreeMap<&'static str, Value>,
    entity: Option<Id>,
    /// What the entity and its parents carry, the nearest first.
    carried: Vec<Labels>,
    family: Vec<Id>,
    opened: f64,
    owner: Option<RunId>,
    entities_max: usize,
}

impl State {
    pub fn new(system: Rc<System>, is_shown: bool) -> Self {
        let (entities, series, totals) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let events = system.events.keys().map(|event| (event.clone(), 0)).collect();
        let abandoned = system.entities.keys().map(|kind| (*kind, 0)).collect();
        State {
            system,
            is_shown,
            entities,
            series,
            totals,
            events,
            abandoned,
            cuts: 0,
            last_event_at: 0.0,
            times_ignored: 0,
            startup_rejected: 0,
        }
    }

    /// The system as it is after this event, or all that is wrong with it.
    pub fn after(&self, line: &Line, world: &World) -> Result<State, Reasons> {
        let system = Rc::clone(&self.system);
        let Some(event) = system.events.get(&line.event) else {
            return Err(Reasons::from(["unknown_event"]));
        };
        let mut state = self.clone();
        let mut reasons = Reasons::new();
        let mut context = state.read(line, event, world, &mut reasons);
        let effects = if reasons.is_empty() { &event.effects[..] } else { &[] };
        for effect in effects {
            // Without the entity that it needs, what becomes of a metric says nothing more.
            if !reasons.is_empty() && effect.meets().is_none() {
                continue;
            }
            if let Err(reason) = state.effect(effect, event, &mut context, Some(world)) {
                reasons.insert(reason);
            }
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        state.is_shown = true;
        *state.events.get_mut(&line.event).unwrap() += 1;
        if event.effects.iter().any(|effect| effect.verb == "abandon") {
            state.start_up(world, world.resets);
        }
        Ok(state)
    }

    /// Applies the configured events of this system that can be. What opens nothing has nothing to do where series are still there.
    pub fn start_up(&mut self, world: &World, is_blank: bool) {
        let system = Rc::clone(&self.system);
        let opens =
            |event: &Event| event.effects.iter().any(|effect| matches!(effect.verb, "open" | "ensure"));
        let has_to_do =
            |line: &&Line| system.events.get(&line.event).is_some_and(|event| is_blank || opens(event));
        for line in world.startup.iter().filter(has_to_do) {
            let world = World { by: None, startup: &[], abandons: world.abandons, ..*world };
            match self.after(line, &world) {
                Ok(after) => *self = after,
                // What is open still is no fault; a full system is.
                Err(reasons) => self.startup_rejected += u64::from(reasons.contains("entity_limit")),
            }
        }
    }

    /// Takes time and fields from the line, and notes what is wrong with them.
    fn read(&mut self, line: &Line, event: &Event, world: &World, reasons: &mut Reasons) -> Context {
        let mut time = world.now;
        match line.time.as_ref().map(Value::number) {
            Some(Some(told)) if (told - world.now).abs() > DAY => self.times_ignored += 1,
            Some(Some(told)) => time = told.min(world.now),
            Some(None) if !matches!(line.time, Some(Value::Null)) => _ = reasons.insert("bad_value"),
            _ => {}
        }
        let (keys, numbers) = (self.system.keys(event), event.numbers());
        let mut context = Context {
            time,
            texts: BTreeMap::new(),
            numbers: BTreeMap::new(),
            entity: None,
            carried: Vec::new(),
            family: Vec::new(),
            opened: time,
            owner: world.by,
            entities_max: world.entities_max,
        };
        for name in event.fields() {
            let value = match line.value(name) {
                None | Some(Value::Null) => {
                    if event.required.contains(&name) {
                        reasons.insert("missing_field");
                    }
                    continue;
                }
                Some(value) => value,
            };
            if numbers.contains(&name) {
                match value.number() {
                    None => _ = reasons.insert("bad_value"),
                    Some(_) => _ = context.numbers.insert(name, value.clone()),
                }
                continue;
            }
            let Some(mut text) = value.text() else {
                reasons.insert("bad_value");
                continue;
            };
            if keys.contains(&name) {
                if text.is_empty() {
                    reasons.insert("bad_value");
                }
                if text.len() > LABEL_MAX {
                    reasons.insert("label_too_long");
                }
            } else if text.len() > LABEL_MAX {
                let end = LABEL_MAX - '…'.len_utf8();
                text.truncate((0..=end).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
                text.push('…');
                self.cuts += 1;
            }
            context.texts.insert(name, text);
        }
        context
    }

    fn effect(
        &mut self,
        effect: &Effect,
        event: &Event,
        context: &mut Context,
        world: Option<&World>,
    ) -> Outcome {
        if effect
            .condition
            .is_some_and(|(field, value)| context.texts.get(field).is_none_or(|text| text != value))
        {
            return Ok(());
        }
        let number = amount(effect.value, event, context)?;
        match (effect.verb, number) {
            ("open" | "ensure", _) => self.open(effect, context),
            ("close" | "of" | "update", _) => self.meet(effect, context),
            ("abandon", _) => {
                if let Some(world) = world {
                    self.abandon(world.abandons, world.now);
                    if world.resets {
                        self.forget();
                    }
                }
                Ok(())
            }
            ("inc", _) => self.change(effect, event, context, |series| series.add(1.0)),
            ("zero", _) => self.change(effect, event, context, |_| {}),
            ("mark", _) => {
                self.change(effect, event, context, |series| series.shown = Shown::Mark(Some(context.time)))
            }
            (_, None) => Ok(()),
            ("set?" | "limit", Some(number)) => {
                let place = self.place(effect, event, context)?.unwrap();
                if effect.verb == "limit" && number == 0.0 {
                    self.series.remove(&place);
                } else if effect.verb == "limit" || self.series.contains_key(&place) {
                    self.touch(place.0, place.1, &context.family).shown = Shown::Number(number);
                }
                Ok(())
            }
            ("set", Some(number)) => {
                self.change(effect, event, context, |series| series.shown = Shown::Number(number))
            }
            (_, Some(number)) => self.count(effect, event, context, number),
        }
    }

    /// Adds to a sum. A counter takes nothing that is negative, and no sum an amount that is too great.
    fn count(&mut self, effect: &Effect, event: &Event, context: &Context, number: f64) -> Outcome {
        let kind = self.system.metrics[effect.object].kind.clone();
        if number.abs() > AMOUNT_MAX || kind == Kind::Counter && number < 0.0 {
            return Err("bad_value");
        }
        let mut number = number;
        if effect.verb == "follow" {
            let source = (effect.object, context.family[0].clone());
            let last = self.totals.insert(source, number).unwrap_or(0.0);
            number -= if number < last { 0.0 } else { last };
        }
        self.change(effect, event, context, |series| match (&kind, &mut series.shown) {
            (Kind::Histogram(bounds), Shown::Histogram(counts, sum)) => {
                counts[bounds.iter().position(|bound| number <= *bound).unwrap_or(bounds.len())] += 1;
                *sum += number;
            }
            _ => series.add(if effect.verb == "sub" { -number } else { number }),
        })
    }

    /// Closes the entity that the event names, updates it, or only meets it; it has to be open.
    fn meet(&mut self, effect: &Effect, context: &mut Context) -> Outcome {
        let id = self.id(effect.object, context).ok_or("missing_field")?;
        if !self.entities.contains_key(&id) {
            return Err("not_open");
        }
        self.remember(&id, context);
        match effect.verb {
            "close" => self.close(&id),
            "update" => self.update(&id, context),
            _ => {}
        }
        Ok(())
    }

    /// The first entity that an event meets is the event's own.
    fn remember(&self, id: &Id, context: &mut Context) {
        if context.entity.is_none() {
            context.family = self.family(id);
            context.carried = context.family.iter().map(|id| self.entities[id].labels.clone()).collect();
            context.opened = self.entities[id].opened;
            context.entity = Some(id.clone());
        }
    }

    fn id(&self, kind: &'static str, context: &Context) -> Option<Id> {
        let key = self.system.entities[kind].key.iter().map(|field| context.texts.get(field).cloned());
        Some((kind, key.collect::<Option<_>>()?))
    }

    /// An entity, its parents, their parents.
    fn family(&self, id: &Id) -> Vec<Id> {
        let mut family = vec![id.clone()];
        let mut next = 0;
        while let Some(entity) = family.get(next).and_then(|id| self.entities.get(id)) {
            family.extend(entity.parents.clone());
            next += 1;
        }
        family
    }

    fn open(&mut self, effect: &Effect, context: &mut Context) -> Outcome {
        let system = Rc::clone(&self.system);
        let entity = &system.entities[effect.object];
        let id = self.id(effect.object, context).ok_or("missing_field")?;
        if self.entities.contains_key(&id) {
            if effect.verb == "open" {
                return Err("already_open");
            }
            self.update(&id, context);
            self.remember(&id, context);
            return Ok(());
        }
        let parents: Vec<Id> = entity
            .within
            .iter()
            .map(|parent| self.id(parent, context))
            .collect::<Option<_>>()
            .ok_or("missing_field")?;
        if parents.iter().any(|parent| !self.entities.contains_key(parent)) {
            return Err("not_open");
        }
        if self.entities.len() >= context.entities_max {
            return Err("entity_limit");
        }
        let text = |name: &&'static str| (*name, context.texts.get(name).cloned().unwrap_or_default());
        let labels = entity.key.iter().chain(&entity.carries).map(text).collect();
        let owner = context.owner.filter(|_| entity.owned);
        self.entities.insert(id.clone(), Entity { labels, opened: context.time, owner, parents });
        self.show(&id, |_| true);
        self.remember(&id, context);
        Ok(())
    }

    fn update(&mut self, id: &Id, context: &Context) {
        let entity = self.entities.get_mut(id).unwrap();
        for name in &self.system.entities[id.0].carries {
            if let Some(text) = context.texts.get(name) {
                entity.labels.insert(name, text.clone());
            }
        }
        self.show(id, |metric| metric.kind != Kind::Age);
    }

    /// Makes the series that an open entity has by itself: those that count it, and its age.
    fn show(&mut self, id: &Id, which: impl Fn(&Metric) -> bool) {
        let system = Rc::clone(&self.system);
        for (name, metric) in system.metrics.iter().filter(|(_, metric)| which(metric)) {
            let concerned = match metric.kind {
                Kind::Live(kind) => kind == id.0,
                Kind::Age => metric.owner == Some(id.0),
                _ => false,
            };
            if concerned {
                let tuple = self.tuple_of(id, metric);
                self.touch(name, tuple, &self.family(id));
            }
        }
    }

    /// The labels of a metric as an open entity and its parents fill them.
    pub fn tuple_of(&self, id: &Id, metric: &Metric) -> Tuple {
        let family = self.family(id);
        let fill = |name: &&'static str| {
            let text = family.iter().find_map(|id| self.entities[id].labels.get(name)).cloned();
            self.transformed(name, text.unwrap_or_default())
        };
        metric.labels.iter().map(fill).collect()
    }

    /// The series at this place, made if it is not there; it belongs to those of the family who can own it.
    fn touch(&mut self, metric: &'static str, tuple: Tuple, family: &[Id]) -> &mut Series {
        let definition = &self.system.metrics[metric];
        let shown = match &definition.kind {
            Kind::Counter | Kind::Gauge => Shown::Number(0.0),
            Kind::Live(_) => Shown::Live,
            Kind::Histogram(bounds) => Shown::Histogram(vec![0; bounds.len() + 1], 0.0),
            Kind::Age => Shown::Mark(None),
        };
        let owners = family.iter().filter(|id| Some(id.0) == definition.owner).cloned();
        let series = self.series.entry((metric, tuple)).or_insert(Series { shown, owners: BTreeSet::new() });
        series.owners.extend(owners);
        series
    }

    fn close(&mut self, id: &Id) {
        let within = |entity: &Entity| entity.parents.contains(id);
        let children: Vec<Id> =
            self.entities.iter().filter(|(_, entity)| within(entity)).map(|(id, _)| id.clone()).collect();
        for child in children {
            self.close(&child);
        }
        let closed = self.entities.remove(id).unwrap();
        let (system, entities) = (&self.system, &self.entities);
        let shares = |metric: &Metric, (other, entity): &(&Id, &Entity)| {
            other.0 == id.0 && metric.shared.iter().all(|label| entity.labels[label] == closed.labels[label])
        };
        self.series.retain(|(name, _), series| {
            if !series.owners.remove(id) {
                return true;
            }
            let metric = &system.metrics[name];
            if !metric.shared.is_empty() {
                let heir = entities.iter().find(|other| shares(metric, other));
                series.owners.extend(heir.map(|(id, _)| id.clone()));
            }
            !series.owners.is_empty()
        });
        self.totals.retain(|(_, source), _| source != id);
    }

    /// Where the series of an effect is; `None`: an optional field lacks, so the effect is skipped.
    fn place(
        &self,
        effect: &Effect,
        event: &Event,
        context: &Context,
    ) -> Result<Option<(&'static str, Tuple)>, &'static str> {
        let mut tuple = Tuple::new();
        for label in &self.system.metrics[effect.object].labels {
            let given = effect.label.filter(|(given, _)| given == label).map(|(_, text)| text.to_owned());
            let text = given.or_else(|| context.texts.get(label).cloned());
            match text.or_else(|| context.carried.iter().find_map(|labels| labels.get(label)).cloned()) {
                Some(text) => tuple.push(self.transformed(label, text)),
                None if event.optional.contains(label) => return Ok(None),
                None => return Err("missing_field"),
            }
        }
        Ok(Some((effect.object, tuple)))
    }

    fn transformed(&self, label: &str, text: String) -> String {
        match self.system.transforms.get(label) {
            Some(&"path") => path(&text),
            Some(_) => slug(&text),
            None => text,
        }
    }

    fn change(
        &mut self,
        effect: &Effect,
        event: &Event,
        context: &Context,
        how: impl FnOnce(&mut Series),
    ) -> Outcome {
        if let Some((metric, tuple)) = self.place(effect, event, context)? {
            how(self.touch(metric, tuple, &context.family));
        }
        Ok(())
    }

    /// Abandons what these owners have open: children before their parents, each by its own event where it has one.
    pub fn abandon(&mut self, whose: &dyn Fn(Option<RunId>) -> bool, now: f64) {
        let system = Rc::clone(&self.system);
        let concerned = |(id, entity): &(&Id, &Entity)| system.entities[id.0].owned && whose(entity.owner);
        let mut ids: Vec<Id> = self.entities.iter().filter(concerned).map(|(id, _)| id.clone()).collect();
        ids.sort_by_key(|id| std::cmp::Reverse(self.family(id).len()));
        for id in ids {
            let Some(entity) = self.entities.get(&id) else { continue };
            let texts = entity.labels.clone();
            *self.abandoned.get_mut(id.0).unwrap() += 1;
            let Some(name) = system.entities[id.0].abandoned else {
                self.close(&id);
                continue;
            };
            let event = &system.events[name];
            let mut context = Context {
                time: now,
                texts,
                numbers: BTreeMap::new(),
                entity: None,
                carried: Vec::new(),
                family: Vec::new(),
                opened: now,
                owner: None,
                entities_max: usize::MAX,
            };
            for effect in &event.effects {
                self.effect(effect, event, &mut context, None).unwrap();
            }
            *self.events.get_mut(name).unwrap() += 1;
        }
    }

    /// Forgets all series. What is still open is counted on.
    fn forget(&mut self) {
        self.series.clear();
        self.totals.clear();
        self.recount(|_, _| true);
    }

    /// Makes those series anew that open entities have by themselves.
    fn recount(&mut self, which: impl Fn(&'static str, &Metric) -> bool) {
        let ids: Vec<Id> = self.entities.keys().cloned().collect();
        let system = Rc::clone(&self.system);
        for id in ids {
            for (name, metric) in &system.metrics {
                if which(name, metric) {
                    self.show(&id, |other| std::ptr::eq(other, metric));
                }
            }
        }
    }

    /// Goes on with another edition of its catalog: metrics that have changed begin anew, those that count are recounted.
    pub fn change_catalog(&mut self, system: Rc<System>) {
        let former = std::mem::replace(&mut self.system, system);
        let system = Rc::clone(&self.system);
        let same = |name: &'static str| former.metrics.get(name) == system.metrics.get(name);
        self.series.retain(|(name, _), _| same(name));
        self.recount(|name, _| !same(name));
    }
}

impl Series {
    fn add(&mut self, amount: f64) {
        let Shown::Number(number) = &mut self.shown else { unreachable!() };
        *number += amount;
    }
}

/// The first of the alternatives that is there; `None`: only optional ones lack.
fn amount(value: &str, event: &Event, context: &Context) -> Result<Option<f64>, &'static str> {
    if value.is_empty() {
        return Ok(None);
    }
    for alternative in value.split('|') {
        let number = match alternative {
            "now" => Some(context.time),
            // A clock that was put back does not make a duration negative.
            "elapsed" => Some((context.time - context.opened).max(0.0)),
            field => field.parse().ok().or_else(|| context.numbers.get(field)?.number()),
        };
        if number.is_some() {
            return Ok(number);
        }
    }
    let optional = value.split('|').any(|field| event.optional.contains(&field));
    if optional { Ok(None) } else { Err("missing_field") }
}
