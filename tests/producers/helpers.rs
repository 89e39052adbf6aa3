//! The typed helpers of the clients, made from `catalog --format json`. The catalogs themselves say one thing more: which fields
//! are numbers.

use std::fmt::Write;

use lifecycle_exporter::internals::number_fields;
use serde_json::Value;

/// A system with its events, as the program itself lists them.
pub struct System {
    pub name: String,
    pub title: String,
    pub events: Vec<Event>,
}

pub struct Event {
    /// With the system's prefix.
    pub name: String,
    pub required: Vec<Field>,
    pub optional: Vec<Field>,
}

pub struct Field {
    pub name: String,
    pub is_number: bool,
}

/// Reads what `catalog --format json` printed.
pub fn systems(json: &str) -> Vec<System> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let listed: Vec<Value> = serde_json::from_str(json).unwrap();
    listed
        .iter()
        .map(|system| System {
            name: text(&system["name"]),
            title: text(&system["title"]),
            events: system["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| {
                    let name = text(&event["name"]);
                    let numbers = number_fields(&name);
                    let fields = |key: &str| {
                        let named = event[key].as_array().unwrap().iter().map(text);
                        named.map(|name| Field { is_number: numbers.contains(&name), name }).collect()
                    };
                    Event { required: fields("fields"), optional: fields("optional"), name }
                })
                .collect(),
        })
        .collect()
}

impl Event {
    /// Without the system: `session.joined`.
    fn short(&self) -> &str {
        self.name.split_once('.').unwrap().1
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.short().split(['.', '_'])
    }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// `session_joined` as `SessionJoined`.
fn pascal<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(capitalised).collect()
}

/// `session_joined` as `sessionJoined`.
fn camel<'a>(mut words: impl Iterator<Item = &'a str>) -> String {
    words.next().unwrap().to_owned() + &pascal(words)
}

/// The module `lifecycle_events.systems`.
pub fn python(systems: &[System]) -> String {
    let mut text = String::from(
        "\"\"\"A method for each event of the built-in systems. Made from the exporter's catalogs; not to be edited.\"\"\"\n\n\
         from typing import Callable, Optional, Union\n\n\
         #: What a label takes.\nLabel = Union[str, int, float, bool]\nEmit = Callable[..., None]\n",
    );
    for System { name, title, events } in systems {
        let _ = write!(text, "\n\nclass {}:\n    \"\"\"{title}\"\"\"\n\n", capitalised(name));
        text.push_str("    def __init__(self, emit: Emit) -> None:\n        self._emit = emit\n");
        for event in events {
            let method = event.short().replace('.', "_");
            let mut parameters = String::from("self, *");
            let mut arguments = String::new();
            let kind = |field: &Field| if field.is_number { "float" } else { "Label" };
            for field in &event.required {
                let _ = write!(parameters, ", {}: {}", field.name, kind(field));
                let _ = write!(arguments, ", {0}={0}", field.name);
            }
            for field in &event.optional {
                let _ = write!(parameters, ", {}: Optional[{}] = None", field.name, kind(field));
                let _ = write!(arguments, ", {0}={0}", field.name);
            }
            let _ = write!(
                text,
                "\n    def {method}({parameters}, time: Optional[float] = None) -> None:\n        \
                 \"\"\"``{0}``\"\"\"\n        self._emit(\"{0}\"{arguments}, time=time)\n",
                event.name
            );
        }
    }
    text.push_str("\n\nclass Systems:\n    \"\"\"The built-in systems, each with its events.\"\"\"\n\n");
    text.push_str("    def __init__(self, emit: Emit) -> None:\n");
    for System { name, title, .. } in systems {
        let _ = write!(text, "        #: {title}\n        self.{name} = {}(emit)\n", capitalised(name));
    }
    text
}

/// The module `systems.js`.
pub fn javascript(systems: &[System]) -> String {
    let mut text = String::from(
        "// A function for each event of the built-in systems. Made from the exporter's catalogs; not to be edited.\n\
         \"use strict\";\n\n/** The events of each system, by the names of their functions. */\nconst systems = {\n",
    );
    for System { name, events, .. } in systems {
        let _ = writeln!(text, "  {name}: {{");
        for event in events {
            let _ = writeln!(text, "    {}: \"{}\",", camel(event.words()), event.name);
        }
        text.push_str("  },\n");
    }
    text.push_str("};\n\nmodule.exports = { systems };\n");
    text
}

/// Its declarations, `systems.d.ts`.
pub fn typescript(systems: &[System]) -> String {
    let mut text = String::from(
        "// A function for each event of the built-in systems. Made from the exporter's catalogs; not to be edited.\n\n\
         /** What a label takes. */\nexport type Label = string | number | boolean;\n\n\
         /** Unix seconds, where the event did not happen just now. */\nexport interface At {\n  time?: number;\n}\n",
    );
    for System { name, title, events } in systems {
        let _ = write!(text, "\n/** {title} */\nexport interface {} {{\n", capitalised(name));
        for event in events {
            let kind = |field: &Field| if field.is_number { "number" } else { "Label" };
            let mut fields: Vec<String> =
                event.required.iter().map(|field| format!("{}: {}", field.name, kind(field))).collect();
            fields.extend(event.optional.iter().map(|field| format!("{}?: {}", field.name, kind(field))));
            let method = camel(event.words());
            let arguments = match (event.required.is_empty(), fields.is_empty()) {
                (true, true) => "fields?: At".to_owned(),
                (true, false) => format!("fields?: {{ {} }} & At", fields.join("; ")),
                _ => format!("fields: {{ {} }} & At", fields.join("; ")),
            };
            let _ = write!(text, "  /** `{}` */\n  {method}({arguments}): void;\n", event.name);
        }
        text.push_str("}\n");
    }
    text.push_str("\n/** The built-in systems, each with its events. */\nexport interface Systems {\n");
    for System { name, .. } in systems {
        let _ = writeln!(text, "  readonly {name}: {};", capitalised(name));
    }
    text.push_str("}\n");
    text
}

/// The file `systems.go`.
pub fn go(systems: &[System]) -> String {
    let mut text = String::from(
        "// A function for each event of the built-in systems.\n\n\
         // Code generated from the exporter's catalogs. DO NOT EDIT.\n\npackage lifecycle\n\n\
         // systems holds the built-in systems, each with its events.\ntype systems struct {\n",
    );
    let width = systems.iter().map(|system| system.name.len()).max().unwrap_or(0);
    for System { name, title, .. } in systems {
        let system = capitalised(name);
        let _ = write!(text, "\t// {title}.\n\t{system} {system}\n");
    }
    text.push_str("}\n\nfunc newSystems(client *Client) systems {\n\treturn systems{\n");
    for System { name, .. } in systems {
        let system = capitalised(name);
        let _ = writeln!(text, "\t\t{system}:{} {system}{{client}},", " ".repeat(width - name.len()));
    }
    text.push_str("\t}\n}\n");
    for System { name, title, events } in systems {
        let system = capitalised(name);
        let _ = write!(text, "\n// {system} is the {title}.\ntype {system} struct{{ client *Client }}\n");
        for event in events {
            let method = pascal(event.words());
            let mut parameters = String::new();
            let mut arguments = String::new();
            for field in &event.required {
                let parameter = match field.name.as_str() {
                    "type" => "typ".to_owned(),
                    name => camel(name.split('_')),
                };
                let (kind, constructor) =
                    if field.is_number { ("float64", "Number") } else { ("string", "Text") };
                let _ = write!(parameters, "{parameter} {kind}, ");
                let _ = write!(arguments, "{constructor}(\"{}\", {parameter}), ", field.name);
            }
            let about = match event.optional.as_slice() {
                [] => String::new(),
                optional => {
                    let names: Vec<String> = optional
                        .iter()
                        .map(|field| format!("With{}", pascal(field.name.split('_'))))
                        .collect();
                    format!(" May have {}.", names.join(", "))
                }
            };
            let call = if event.required.is_empty() {
                format!("s.client.Emit(\"{}\", more...)", event.name)
            } else {
                let arguments = arguments.trim_end_matches(", ");
                format!("s.client.Emit(\"{}\", append([]Field{{{arguments}}}, more...)...)", event.name)
            };
            let _ = write!(
                text,
                "\n// {method} reports {}.{about}\nfunc (s {system}) {method}({parameters}more ...Field) {{\n\t{call}\n}}\n",
                event.name
            );
        }
    }
    let mut optional: Vec<&Field> =
        systems.iter().flat_map(|system| &system.events).flat_map(|event| &event.optional).collect();
    optional.sort_by_key(|field| &field.name);
    optional.dedup_by_key(|field| &field.name);
    for field in optional {
        let function = pascal(field.name.split('_'));
        let (kind, constructor) = if field.is_number { ("float64", "Number") } else { ("string", "Text") };
        let _ = write!(
            text,
            "\n// With{function} is the optional field {0}.\nfunc With{function}(value {kind}) Field {{\n\treturn {constructor}(\"{0}\", value)\n}}\n",
            field.name
        );
    }
    text
}
