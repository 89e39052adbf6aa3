//! The five systems as the contract's tables have them, read from `tables.txt`, and a sixth one that an operator brings
//! along. Written from the tables, not from the catalogs of the program: where both say the same, two people have read the
//! contract alike.

use std::collections::BTreeMap;

/// A system with all that the contract says of it.
#[derive(Default)]
pub struct System {
    pub name: &'static str,
    pub entities: BTreeMap<&'static str, Entity>,
    pub metrics: BTreeMap<&'static str, Metric>,
    pub events: BTreeMap<String, Event>,
    /// Labels whose values are changed, and how: `path` or `slug`.
    pub transforms: BTreeMap<&'static str, &'static str>,
}

#[derive(Default)]
pub struct Entity {
    pub key: Vec<&'static str>,
    pub carries: Vec<&'static str>,
    pub within: Vec<&'static str>,
    pub abandoned: Option<&'static str>,
    /// Whether it ends with its producer.
    pub owned: bool,
}

#[derive(Clone, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// Counts the open entities of a kind.
    Live(&'static str),
    Histogram(Vec<f64>),
    Age,
}

#[derive(Clone, PartialEq)]
pub struct Metric {
    pub kind: Kind,
    pub labels: Vec<&'static str>,
    /// Empty where no table gives it; then it is not compared.
    pub help: &'static str,
    pub owner: Option<&'static str>,
    /// Owners with the same of these labels stand in for each other: a series goes with the last of them.
    pub shared: Vec<&'static str>,
    pub alias: Option<&'static str>,
    /// Although it has no labels, it is not there before its first value.
    pub late: bool,
}

pub struct Event {
    pub required: Vec<&'static str>,
    pub optional: Vec<&'static str>,
    pub effects: Vec<Effect>,
}

/// What an event does to an entity or to a metric.
#[derive(Clone, Default)]
pub struct Effect {
    pub verb: &'static str,
    /// The kind of entity, or the metric.
    pub object: &'static str,
    /// A label that the effect itself gives.
    pub label: Option<(&'static str, &'static str)>,
    /// A field, a number, `now`, `elapsed`, or alternatives of these.
    pub value: &'static str,
    /// Only where this field has this value.
    pub condition: Option<(&'static str, &'static str)>,
}

impl Effect {
    /// The kind of entity that it meets.
    pub fn meets(&self) -> Option<&'static str> {
        ["open", "ensure", "close", "of", "update"].contains(&self.verb).then_some(self.object)
    }

    /// The metric that it changes.
    pub fn changes(&self) -> Option<&'static str> {
        (self.meets().is_none() && self.verb != "abandon").then_some(self.object)
    }
}

impl Event {
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.required.iter().chain(&self.optional).copied()
    }

    /// The fields that hold numbers.
    pub fn numbers(&self) -> Vec<&'static str> {
        let named = |field: &str| {
            self.effects.iter().any(|effect| effect.value.split('|').any(|value| value == field))
        };
        self.fields().filter(|field| named(field)).collect()
    }
}

impl System {
    /// The fields that are parts of keys in this event: of the entities that it meets, and of their parents.
    pub fn keys(&self, event: &Event) -> Vec<&'static str> {
        let mut keys = Vec::new();
        for entity in event.effects.iter().filter_map(Effect::meets).map(|kind| &self.entities[kind]) {
            keys.extend(&entity.key);
            keys.extend(entity.within.iter().flat_map(|parent| &self.entities[parent].key));
        }
        keys
    }

    fn read(text: &'static str) -> Self {
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap().split(' ').collect();
        let mut system = System { name: head[0], ..System::default() };
        for line in lines.filter(|line| !line.is_empty()) {
            let line: &'static str = line.replace('~', head[1]).leak();
            let (kind, rest) = line.split_once(' ').unwrap();
            let mut parts = rest.split(" |").map(str::trim);
            let (name, rest) = (parts.next().unwrap(), parts.collect::<Vec<_>>());
            match kind {
                "label" => system.transforms.extend(name.split_once(' ')),
                "entity" => _ = system.entities.insert(name, entity(&rest)),
                "event" => _ = system.events.insert(format!("{}.{name}", head[0]), event(rest[0], rest[1])),
                _ => _ = system.metrics.insert(name, metric(kind, &rest)),
            }
        }
        system
    }
}

fn words(list: &'static str) -> Vec<&'static str> {
    list.split(' ').filter(|word| !word.is_empty()).collect()
}

fn entity(parts: &[&'static str]) -> Entity {
    let of = |word: &str| parts.iter().find_map(|part| part.strip_prefix(word)).map(str::trim);
    let (carries, within) = (words(of("carries").unwrap_or("")), words(of("within").unwrap_or("")));
    Entity {
        key: words(parts[0]),
        carries,
        within,
        abandoned: of("abandoned"),
        owned: of("unowned").is_none(),
    }
}

fn metric(kind: &'static str, parts: &[&'static str]) -> Metric {
    let of = |word: &str| parts[1..].iter().find_map(|part| part.strip_prefix(word)).map(str::trim);
    let kind = match kind.split_once(':').unwrap_or((kind, "")) {
        ("counter", _) => Kind::Counter,
        ("gauge", _) => Kind::Gauge,
        ("age", _) => Kind::Age,
        ("live", entity) => Kind::Live(entity),
        ("histogram", bounds) => Kind::Histogram(buckets(bounds)),
        _ => unreachable!("{kind}"),
    };
    let help = parts[1..].iter().find(|part| part.starts_with(char::is_uppercase)).unwrap_or(&"");
    Metric {
        kind,
        labels: words(parts[0]),
        help,
        owner: of("owner "),
        shared: words(of("shared").unwrap_or("")),
        alias: of("alias "),
        late: of("late").is_some(),
    }
}

/// Bounds one by one, or so many from the least to the greatest, each the same factor above the one before.
fn buckets(text: &str) -> Vec<f64> {
    let number = |text: &str| text.parse::<f64>().unwrap();
    let Some((min, rest)) = text.split_once("..") else { return text.split(',').map(number).collect() };
    let (max, count) = rest.split_once('x').unwrap();
    let (min, count) = (number(min), count.parse::<i32>().unwrap());
    let factor = (number(max) / min).powf(1.0 / f64::from(count - 1));
    (0..count).map(|index| min * factor.powi(index)).collect()
}

fn event(fields: &'static str, effects: &'static str) -> Event {
    let (optional, required) = words(fields).into_iter().partition::<Vec<_>, _>(|field| field.ends_with('?'));
    let optional = optional.iter().map(|field| field.trim_end_matches('?')).collect();
    Event { required, optional, effects: effects.split(", ").map(effect).collect() }
}

fn effect(text: &'static str) -> Effect {
    let mut effect = Effect::default();
    let mut words = words(text).into_iter();
    effect.verb = words.next().unwrap();
    if effect.verb == "if" {
        effect.condition = words.next().unwrap().split_once('=');
        effect.verb = words.next().unwrap();
    }
    let object = words.next().unwrap_or("");
    effect.object = object.split('{').next().unwrap();
    effect.label = object.split_once('{').and_then(|(_, label)| label.trim_end_matches('}').split_once('='));
    effect.value = words.next().unwrap_or("");
    effect
}

pub fn built_in() -> Vec<System> {
    include_str!("tables.txt").split("\nsystem ").skip(1).map(System::read).collect()
}

/// The operator's catalog, and the file that states it. The second edition has a label more on the gauge and on a counter.
pub fn farm(edition: u8) -> (System, String) {
    let (by, result, target) =
        if edition == 1 { ("", "", "") } else { (" tray", " result", "{result=good}") };
    let text = format!(
        "farm farm_\nentity job | job | carries printer tray | abandoned farm.failed\n\
         live:job ~jobs | printer{by} | Jobs being printed\n\
         counter ~printed_total | printer{result} | Jobs printed\n\
         counter ~pages_total | printer | Pages printed\n\
         event started | job printer tray? | open job, zero ~pages_total\n\
         event printed | job pages | close job, inc ~printed_total{target}, add ~pages_total pages\n\
         event failed | job | close job\nevent server_started | | abandon\n"
    );
    let (by, result, target) =
        (by.replace(' ', ", "), result.replace(' ', ", "), target.replace("=good", "=\"good\""));
    let ini = format!(
        "[system]\nname = farm\ntitle = Printers\n\
         [entity job]\nkey = job\nlabels = printer, tray\nabandoned = farm.failed\n\
         [metric farm_jobs]\ntype = gauge\nhelp = Jobs being printed\nlabels = printer{by}\nlive = job\n\
         [metric farm_printed_total]\ntype = counter\nhelp = Jobs printed\nlabels = printer{result}\n\
         [metric farm_pages_total]\ntype = counter\nhelp = Pages printed\nlabels = printer\n\
         [event farm.started]\noptional = tray\nopen = job\nzero = farm_pages_total\n\
         [event farm.printed]\nclose = job\ninc = farm_printed_total{target}\nadd = farm_pages_total from pages\n\
         [event farm.failed]\nclose = job\n[event farm.server_started]\nabandon = farm\n"
    );
    (System::read(text.leak()), ini)
}
