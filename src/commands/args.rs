//! The command line: a table of commands and options, from which `parse` and `help` derive.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::config;
use crate::daemon::configuration::Overrides;
use crate::faults::{alternatives, meant, put};
use crate::follow::{Log, Orders, trial};

/// A parsed command.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// Run the daemon.
    Serve,
    /// Check configuration and catalogs, or whether a client would be let in.
    Check {
        /// `--client`.
        client: Option<IpAddr>,
        /// `--forwarded-for`, one for each header.
        forwarded: Vec<String>,
    },
    /// Ask whether the running exporter is healthy.
    CheckAlive,
    /// Show what the catalogs make of a file of events; `-` is standard input.
    TryEvents(PathBuf),
    /// Show metrics and events.
    Catalog {
        /// `None`: all systems.
        system: Option<String>,
        /// `--format`.
        format: Format,
    },
    /// Show what is open.
    Open {
        /// `None`: of all systems.
        system: Option<String>,
        /// `None`: of all kinds.
        entity: Option<String>,
        /// `--format`.
        format: Format,
    },
    /// Send the events that a log tells of.
    Follow(Orders),
    /// Show what the patterns of a system make of a log.
    Try { system: String, log: Log, format: trial::Format },
    /// Send events.
    Send {
        /// The event and its fields, or `-`.
        words: Vec<String>,
        /// `--progress`.
        progress: bool,
    },
    /// Run the daemon and play a lively feed.
    Demo {
        /// `--speed`: times real time.
        speed: f64,
    },
    /// What may stand behind these words. Only the completions of shells use it; no help shows it.
    Complete(Vec<OsString>),
    /// Show the version.
    Version,
    /// Show the help, that of one command by its name.
    Help(Option<&'static str>),
}

/// How a catalog, or what is open, is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Columns for a terminal.
    Table,
    /// Tables for documents.
    Markdown,
    /// For programs.
    Json,
}

pub(super) const FORMATS: [(&str, Format); 3] =
    [("table", Format::Table), ("markdown", Format::Markdown), ("json", Format::Json)];

pub(super) const OPEN_FORMATS: [(&str, Format); 2] = [("table", Format::Table), ("json", Format::Json)];

pub(super) const TRIAL_FORMATS: [(&str, trial::Format); 2] =
    [("text", trial::Format::Text), ("json", trial::Format::Json)];

/// Chooses one of the formats of a command, the first by default.
fn format<T: Copy>(formats: &[(&str, T)], text: Option<String>) -> Result<T, String> {
    let Some(text) = text else { return Ok(formats[0].1) };
    let format = formats.iter().find(|(name, _)| *name == text).map(|(_, format)| *format);
    format.ok_or_else(|| {
        format!("--format: {text:?}: expected {}", alternatives(formats.iter().map(|(name, _)| *name)))
    })
}

/// A command of the table.
pub(super) struct CommandDef {
    /// Its name and what follows it.
    pub(super) usage: &'static str,
    pub(super) help: &'static str,
    /// What it does, for its own help.
    about: &'static str,
    words_max: usize,
    /// The options that only this command takes.
    pub(super) options: &'static [OptionDef],
    build: fn(Vec<String>, Given) -> Result<Command, String>,
}

impl CommandDef {
    pub(super) fn name(&self) -> &'static str {
        first_word(self.usage)
    }
}

/// An option of the table: its name and that of its value, its help, and what reads the value. The error does
/// not name the option. An option whose value ends with `…` may be repeated.
pub(super) type OptionDef = (&'static str, &'static str, fn(&mut Given, &str) -> Result<(), String>);

#[inline(never)]
pub(super) fn first_word(usage: &'static str) -> &'static str {
    usage.split(' ').next().unwrap_or(usage)
}

/// What options give.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(super) struct Given {
    overrides: Overrides,
    client: Option<IpAddr>,
    forwarded: Vec<String>,
    alive: bool,
    format: Option<String>,
    unit: Option<String>,
    file: Option<PathBuf>,
    position: Option<PathBuf>,
    from_start: bool,
    producer: Option<String>,
    is_trial: bool,
    speed: Option<f64>,
    progress: bool,
    /// Runs instead of the command.
    instead: Option<Command>,
}

pub(super) const COMMANDS: &[CommandDef] = &[
    CommandDef {
        usage: "serve",
        help: "Take events from a Unix socket, serve /metrics (the default)",
        about: "\
            Takes events from the socket and serves /metrics, a page for people at / and what is\n\
            open at /api/v1/open, until SIGTERM or SIGINT. SIGHUP makes it read configuration and\n\
            catalogs again.",
        words_max: 0,
        options: &[],
        build: |_, _| Ok(Command::Serve),
    },
    CommandDef {
        usage: "check [--try FILE|-]",
        help: "Check configuration and catalogs, or events",
        about: "\
            Reports what a start would report, and changes nothing: it checks configuration,\n\
            catalogs, addresses, socket, users and state. It lists what it read and passed over,\n\
            and every fault. It exits with 1 if there is a fault, if --client would not be let in,\n\
            or if the exporter that --alive asks is not healthy. With --try it applies the lines of\n\
            a file of events to the configured catalogs, prints the metrics that they make, and\n\
            names each line that is rejected.",
        words_max: 1,
        options: &[
            ("--client IP", "also report whether this client is allowed, and why", |given, text| {
                let client = text.parse().map_err(|_| format!("{text:?}: expected an IP address"));
                put(&mut given.client, client.map(Some))
            }),
            ("--forwarded-for LIST…", "with --client: assume this X-Forwarded-For", |given, text| {
                given.forwarded.push(text.to_owned());
                Ok(())
            }),
            ("--alive", "ask the running exporter whether it is healthy", |given, _| {
                put(&mut given.alive, Ok(true))
            }),
            ("--try", "apply the events of FILE or -, and print the metrics they make", |given, _| {
                put(&mut given.is_trial, Ok(true))
            }),
        ],
        build: build_check,
    },
    CommandDef {
        usage: "catalog [SYSTEM]",
        help: "Show metrics and events",
        about: "\
            Prints the metrics and events of SYSTEM, or of all systems, as the configured catalogs\n\
            describe them: each metric with its type, labels and description, each event with its\n\
            fields.",
        words_max: 1,
        options: &[("--format FORMAT", "table, markdown or json", set_format)],
        build: |mut words, Given { format: text, .. }| {
            Ok(Command::Catalog { system: words.pop(), format: format(&FORMATS, text)? })
        },
    },
    CommandDef {
        usage: "open [SYSTEM [ENTITY]]",
        help: "Show what a running exporter has open, oldest first",
        about: "\
            Lists what is open: all of it, or what is of one SYSTEM or of one kind of ENTITY. It\n\
            asks the exporter at the first --listen, or at the first address of [http] listen.",
        words_max: 2,
        options: &[("--format FORMAT", "table or json", set_format)],
        build: |words, Given { format: text, .. }| {
            let mut words = words.into_iter();
            let (system, entity) = (words.next(), words.next());
            Ok(Command::Open { system, entity, format: format(&OPEN_FORMATS, text)? })
        },
    },
    CommandDef {
        usage: "send EVENT [KEY=VALUE…]",
        help: "Send one event; - reads NDJSON from standard input",
        about: "\
            Sends one event, or each line of standard input, in a reliable session, and waits until\n\
            all of it is acknowledged. It prints each rejection, and ends with 1 if there is one.",
        words_max: usize::MAX,
        options: &[("--progress", "show lines acknowledged and the rate", |given, _| {
            put(&mut given.progress, Ok(true))
        })],
        build: |words, Given { progress, .. }| {
            if words.is_empty() {
                return Err("send: expected EVENT [KEY=VALUE…], or -".to_owned());
            }
            Ok(Command::Send { words, progress })
        },
    },
    CommandDef {
        usage: "follow SYSTEM [FILE|-]",
        help: "Find events in a log and send them; - reads standard input",
        about: "\
            Reads the log of a server that cannot send events itself, finds events in it by the\n\
            patterns in the catalog of SYSTEM, and sends them, each line once. See\n\
            lifecycle-follow(7).",
        words_max: 2,
        options: &[
            ("--unit NAME", "… the journal of this systemd unit", |given, text| {
                put(&mut given.unit, Ok(Some(text.to_owned())))
            }),
            ("--file PATH", "… this file, over its rotations", |given, text| {
                put(&mut given.file, Ok(Some(PathBuf::from(text))))
            }),
            ("--position FILE", "store the position in the log here [a file in --state]", |given, text| {
                put(&mut given.position, Ok(Some(PathBuf::from(text))))
            }),
            ("--from-start", "begin at the start of the log, not at its end", |given, _| {
                put(&mut given.from_start, Ok(true))
            }),
            ("--producer NAME", "the session's name [follow:SYSTEM]", |given, text| {
                put(&mut given.producer, Ok(Some(text.to_owned())))
            }),
            ("--try", "send nothing; show what the patterns find in the log", |given, _| {
                put(&mut given.is_trial, Ok(true))
            }),
            ("--format FORMAT", "text or json, with --try", set_format),
        ],
        build: build_follow,
    },
    CommandDef {
        usage: "demo",
        help: "Serve, and play a lively feed of all systems",
        about: "\
            Serves as serve does, and sends itself events of all systems without end. It needs no\n\
            server and no configuration.",
        words_max: 0,
        options: &[("--speed N", "times faster than real time", |given, text| {
            let speed = text.parse::<f64>().ok().filter(|speed| (0.01..=1_000.0).contains(speed));
            let expected = || format!("{text:?}: expected a number from 0.01 to 1000");
            put(&mut given.speed, speed.map(Some).ok_or_else(expected))
        })],
        build: |_, Given { speed, .. }| Ok(Command::Demo { speed: speed.unwrap_or(1.0) }),
    },
];

/// Several commands have the option, each with formats of its own.
fn set_format(given: &mut Given, text: &str) -> Result<(), String> {
    put(&mut given.format, Ok(Some(text.to_owned())))
}

fn build_check(mut words: Vec<String>, given: Given) -> Result<Command, String> {
    let Given { client, forwarded, alive, is_trial, .. } = given;
    let asks = [client.is_some(), alive, is_trial].into_iter().filter(|is_asked| *is_asked).count();
    match words.pop() {
        _ if asks > 1 => Err("check: expected one of --client, --alive and --try".to_owned()),
        _ if client.is_none() && !forwarded.is_empty() => {
            Err("--forwarded-for: expected --client with it".to_owned())
        }
        file if is_trial => Ok(Command::TryEvents(file.unwrap_or_else(|| "-".to_owned()).into())),
        Some(extra) => Err(format!("{extra:?}: expected --try before a file of events; see --help")),
        None if alive => Ok(Command::CheckAlive),
        None => Ok(Command::Check { client, forwarded }),
    }
}

fn build_follow(words: Vec<String>, given: Given) -> Result<Command, String> {
    let mut words = words.into_iter();
    let system = words.next().ok_or("follow: expected SYSTEM; see --help")?;
    // The position that is kept for a file is found again from another folder, too.
    let file = |path: PathBuf| Log::File(std::path::absolute(&path).unwrap_or(path));
    let word = words.next().map(|word| if word == "-" { Log::StandardInput } else { file(word.into()) });
    let logs = [given.unit.map(Log::Unit), given.file.map(file), word];
    let mut logs = logs.into_iter().flatten();
    let (log, none) = (logs.next(), logs.next().is_none());
    if given.format.is_some() && !given.is_trial {
        return Err("--format: expected --try with it".to_owned());
    }
    if given.is_trial && none {
        let format = format(&TRIAL_FORMATS, given.format)?;
        return Ok(Command::Try { system, log: log.unwrap_or(Log::StandardInput), format });
    }
    let log = log.filter(|_| none).ok_or("follow: expected one of --unit NAME, --file PATH and -")?;
    let Given { position, from_start, .. } = given;
    let producer = given.producer.unwrap_or_else(|| format!("follow:{system}"));
    Ok(Command::Follow(Orders { system, log, position, from_start, producer }))
}

/// The options of every command. `--help` shows those without a text in one line.
pub(super) const OPTIONS: &[OptionDef] = &[
    ("--config FILE", "Configuration [/etc/lifecycle-exporter/lifecycle-exporter.conf]", |given, text| {
        put(&mut given.overrides.config, Ok(Some(PathBuf::from(text))))
    }),
    ("--listen ADDRESS…", "Serve HTTP here instead [127.0.0.1:10048]; may be repeated", |given, text| {
        given.overrides.listen.push(config::parse_listen(text)?);
        Ok(())
    }),
    ("--socket PATH", "The event socket [/run/lifecycle-exporter/events.sock]", |given, text| {
        put(&mut given.overrides.socket, Ok(Some(PathBuf::from(text))))
    }),
    ("--state DIR", "Keep state here, not in [state] directory or $STATE_DIRECTORY", |given, text| {
        let directory = (!text.is_empty()).then(|| PathBuf::from(text));
        put(&mut given.overrides.state, directory.map(Some).ok_or("expected a directory".to_owned()))
    }),
    ("--log-level LEVEL", "debug, info, warning, error", |given, text| {
        put(&mut given.overrides.log_level, config::parse_level(text).map(Some))
    }),
    ("--version", "", |given, _| put(&mut given.instead, Ok(Some(Command::Version)))),
    ("--help", "", |given, _| put(&mut given.instead, Ok(Some(Command::Help(None))))),
];

/// The command of this name.
#[inline(never)]
pub(super) fn command(name: &str) -> Option<&'static CommandDef> {
    COMMANDS.iter().find(|command| command.name() == name)
}

/// The text of `--help`, of all commands or of one.
pub(crate) fn help(name: Option<&str>) -> String {
    match name.and_then(command) {
        Some(command) => command_help(command),
        None => commands_help(),
    }
}

fn command_help(command: &CommandDef) -> String {
    let CommandDef { usage, help, about, options, .. } = command;
    let mut text = format!(
        "lifecycle-exporter {}: {help}\n\nUsage: lifecycle-exporter {usage} [OPTIONS]\n\n{about}\n",
        command.name()
    );
    if !options.is_empty() {
        text += "\nOptions:\n";
        push_options(&mut text, options, 2, 22);
    }
    text + "\nOptions of every command:\n" + &common_options(22) + "\n"
}

fn commands_help() -> String {
    let mut text = HELP_HEAD.to_owned();
    for CommandDef { usage, help, options, .. } in COMMANDS {
        text += &format!("  {usage:25}{help}\n");
        push_options(&mut text, options, 4, 25);
    }
    text + "\nOptions:\n"
        + &common_options(20)
        + " (after a command: help for that command)\n"
        + HELP_EXAMPLES
}

/// The lines of the options of every command, with the names of so many columns. The last line has no end.
fn common_options(width: usize) -> String {
    let mut text = String::new();
    push_options(&mut text, OPTIONS, 2, width);
    let bare = OPTIONS.iter().filter(|(_, help, _)| help.is_empty());
    let bare: Vec<&str> = bare.map(|(usage, ..)| *usage).collect();
    text + "  " + &bare.join(", ")
}

/// Appends a line for each option with a help: so many spaces, the names in so many columns, the help.
#[inline(never)]
fn push_options(text: &mut String, options: &[OptionDef], indent: usize, width: usize) {
    for (usage, help, _) in options.iter().filter(|(_, help, _)| !help.is_empty()) {
        *text += &format!("{:indent$}{usage:width$}{help}\n", "");
    }
}

/// The command whose help is asked for by its name. `None`: the help of all.
fn help_topic(name: &str) -> Result<Option<&'static str>, String> {
    match command(name) {
        Some(command) => Ok(Some(command.name())),
        None if name == "help" => Ok(None),
        None => Err(unknown_command(name)),
    }
}

fn unknown_command(name: &str) -> String {
    let names: Vec<&str> = COMMANDS.iter().map(CommandDef::name).collect();
    let (meant, expected) = (meant(name, &names), alternatives(names));
    format!("{name:?}: expected {expected}; see --help{meant}")
}

const HELP_HEAD: &str = "\
lifecycle-exporter: follows the lifecycles of media servers, serves their metrics

Usage: lifecycle-exporter [COMMAND] [OPTIONS]

Commands:
";

const HELP_EXAMPLES: &str = "
Examples:
  lifecycle-exporter demo
  lifecycle-exporter send recording.started backend=https://cloud.example.com recording=r1
  curl http://127.0.0.1:10048/metrics
";

/// Parses the command line. An error is a text for people; the program then exits with status 2.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<(Command, Overrides), String> {
    let mut given = Given::default();
    let mut rest = Vec::new();
    // The options of single commands that were given, each with the commands that have it.
    let mut owned: Vec<(String, Vec<&str>)> = Vec::new();
    let mut parser = lexopt::Parser::from_iter(words);
    let fail = |error: lexopt::Error| format!("{error}; see --help");
    while let Some(word) = parser.next().map_err(fail)? {
        let name = match word {
            Long(name) => format!("--{name}"),
            Short('h') => "--help".to_owned(),
            Short('V') => "--version".to_owned(),
            // What is typed so far need not make sense.
            Value(word) if rest.is_empty() && word == "complete" => {
                let words = parser.raw_args().map_err(fail)?.as_slice().to_vec();
                return Ok((Command::Complete(words), given.overrides));
            }
            Value(word) => {
                rest.push(word.into_string().map_err(|_| "expected UTF-8 text; see --help".to_owned())?);
                continue;
            }
            word @ Short(_) => return Err(fail(word.unexpected())),
        };
        let is_it = |(usage, ..): &&OptionDef| first_word(usage) == name;
        let owners: Vec<&CommandDef> =
            COMMANDS.iter().filter(|command| command.options.iter().any(|option| is_it(&option))).collect();
        let options = owners.first().map_or(OPTIONS, |command| command.options);
        let Some((usage, _, set)) = options.iter().find(is_it) else {
            let of_commands = COMMANDS.iter().flat_map(|command| command.options);
            let known = OPTIONS.iter().chain(of_commands).map(|(usage, ..)| first_word(usage));
            let known: Vec<&str> = known.collect();
            return Err(format!(
                "{name}: expected an option that exists; see --help{}",
                meant(&name, &known)
            ));
        };
        let mut value = String::new();
        if usage.contains(' ') {
            value = parser
                .value()
                .map_err(fail)?
                .into_string()
                .map_err(|_| format!("{name}: expected UTF-8 text"))?;
        }
        set(&mut given, &value).map_err(|what| format!("{name}: {what}"))?;
        if let Some(mut command) = given.instead {
            if let (Command::Help(topic), Some(name)) = (&mut command, rest.first()) {
                *topic = help_topic(name)?;
            }
            return Ok((command, given.overrides));
        }
        if !owners.is_empty() {
            owned.push((name, owners.iter().map(|command| command.name()).collect()));
        }
    }
    let overrides = std::mem::take(&mut given.overrides);
    let name = if rest.is_empty() { "serve".to_owned() } else { rest.remove(0) };
    if let Some((option, owners)) = owned.iter().find(|(_, owners)| !owners.contains(&name.as_str())) {
        return Err(format!("{option} belongs to {}; see --help", alternatives(owners.iter().copied())));
    }
    let command = command(&name);
    let words_max = command.map_or(usize::from(name == "help"), |command| command.words_max);
    if let Some(extra) = rest.get(words_max) {
        return Err(format!("{extra:?}: expected no further word; see --help"));
    }
    match command {
        Some(command) => Ok(((command.build)(rest, given)?, overrides)),
        None if name == "help" => {
            let topic = rest.first().map_or(Ok(None), |topic| help_topic(topic))?;
            Ok((Command::Help(topic), overrides))
        }
        None => Err(unknown_command(&name)),
    }
}

#[cfg(test)]
mod tests;
