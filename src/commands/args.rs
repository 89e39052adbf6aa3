//! The words of the command line.

use std::net::IpAddr;
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::config;
use crate::daemon::configuration::Overrides;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// Run the daemon.
    Serve,
    /// Check configuration and catalogs, or whether a client would be let in.
    Check {
        /// `--client`.
        client: Option<IpAddr>,
        /// `--forwarded-for`, each a header.
        forwarded: Vec<String>,
    },
    /// Show metrics and events.
    Catalog {
        /// One system; all without it.
        system: Option<String>,
        /// `--format`.
        format: Format,
    },
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
    /// Show the version.
    Version,
    /// Show the help.
    Help,
}

/// How a catalog is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Columns for a terminal.
    Table,
    /// Tables for documents.
    Markdown,
    /// For programs.
    Json,
}

/// Options that belong to one command.
#[derive(Default)]
struct Options {
    client: Option<IpAddr>,
    forwarded: Vec<String>,
    format: Option<Format>,
    speed: Option<f64>,
    progress: bool,
}

/// Shown by `--help`.
pub(crate) const HELP: &str = "\
lifecycle-exporter: follows the lifecycles of media servers, serves their metrics

Usage: lifecycle-exporter [COMMAND] [OPTIONS]

Commands:
  serve                    Take events from a Unix socket, serve /metrics (the default)
  check                    Check configuration and catalogs
    --client IP              and say whether this client would be let in, and why
    --forwarded-for LIST     … with this X-Forwarded-For
  catalog [SYSTEM]         Show metrics and events
    --format FORMAT          table, markdown or json
  send EVENT [KEY=VALUE…]  Send one event; - reads NDJSON from standard input
    --progress               show lines acknowledged and the rate
  demo                     Serve, and play a lively feed of all systems
    --speed N                times faster than real time

Options:
  --config FILE       Configuration [/etc/lifecycle-exporter/lifecycle-exporter.conf]
  --listen ADDRESS    Serve HTTP here instead [127.0.0.1:10048]; may be repeated
  --socket PATH       The event socket [/run/lifecycle-exporter/events.sock]
  --log-level LEVEL   debug, info, warning, error
  --version, --help

Examples:
  lifecycle-exporter demo
  lifecycle-exporter send recording.started backend=https://cloud.example.com recording=r1
  curl http://127.0.0.1:10048/metrics
";

/// Reads the command line. The error is for people; such a call ends with status 2.
pub(crate) fn parse(
    words: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<(Command, Overrides), String> {
    let mut overrides = Overrides::default();
    let mut command: Option<String> = None;
    let mut rest = Vec::new();
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_iter(words);
    let fail = |error: lexopt::Error| format!("{error}; see --help");
    while let Some(word) = parser.next().map_err(fail)? {
        let option = match word {
            Long(name) => format!("--{name}"),
            Short('h') => "--help".to_owned(),
            Short('V') => "--version".to_owned(),
            Value(word) => {
                let word = word.into_string().map_err(|_| "expected UTF-8 text; see --help".to_owned())?;
                if command.is_none() {
                    command = Some(word);
                } else {
                    rest.push(word);
                }
                continue;
            }
            word @ Short(_) => return Err(fail(word.unexpected())),
        };
        let mut value = |name: &str| {
            let text = parser.value().map_err(fail)?;
            text.into_string().map_err(|_| format!("{name}: expected UTF-8 text"))
        };
        match option.as_str() {
            "--config" => overrides.config = Some(PathBuf::from(value("--config")?)),
            "--listen" => {
                let text = value("--listen")?;
                overrides
                    .listen
                    .push(config::parse_listen(&text).map_err(|error| format!("--listen: {error}"))?);
            }
            "--socket" => overrides.socket = Some(PathBuf::from(value("--socket")?)),
            "--log-level" => {
                let text = value("--log-level")?;
                overrides.log_level =
                    Some(config::parse_level(&text).map_err(|error| format!("--log-level: {error}"))?);
            }
            "--client" => {
                let text = value("--client")?;
                options.client =
                    Some(text.parse().map_err(|_| format!("--client: {text:?}: expected an IP address"))?);
            }
            "--forwarded-for" => options.forwarded.push(value("--forwarded-for")?),
            "--format" => {
                options.format = Some(match value("--format")?.as_str() {
                    "table" => Format::Table,
                    "markdown" => Format::Markdown,
                    "json" => Format::Json,
                    other => return Err(format!("--format: {other:?}: expected table, markdown or json")),
                });
            }
            "--speed" => {
                let text = value("--speed")?;
                let number = text.parse::<f64>().ok().filter(|speed| (0.01..=1_000.0).contains(speed));
                options.speed = Some(
                    number
                        .ok_or_else(|| format!("--speed: {text:?}: expected a number from 0.01 to 1000"))?,
                );
            }
            "--progress" => options.progress = true,
            "--help" => return Ok((Command::Help, overrides)),
            "--version" => return Ok((Command::Version, overrides)),
            other => return Err(format!("{other}: expected an option that exists; see --help")),
        }
    }
    let command = assemble(command.as_deref().unwrap_or("serve"), rest, options)?;
    Ok((command, overrides))
}

/// The command of this name with its words and options; the error says which of them it does not take.
fn assemble(name: &str, mut rest: Vec<String>, options: Options) -> Result<Command, String> {
    let Options { client, forwarded, format, speed, progress } = options;
    for (option, given, of) in [
        ("--client", client.is_some(), "check"),
        ("--forwarded-for", !forwarded.is_empty(), "check"),
        ("--format", format.is_some(), "catalog"),
        ("--speed", speed.is_some(), "demo"),
        ("--progress", progress, "send"),
    ] {
        if given && name != of {
            return Err(format!("{option} belongs to {of}; see --help"));
        }
    }
    if !forwarded.is_empty() && client.is_none() {
        return Err("--forwarded-for: expected --client with it".to_owned());
    }
    let words_max = match name {
        "send" => usize::MAX,
        "catalog" => 1,
        _ => 0,
    };
    if let Some(extra) = rest.get(words_max) {
        return Err(format!("{extra:?}: expected no further word; see --help"));
    }
    Ok(match name {
        "serve" => Command::Serve,
        "check" => Command::Check { client, forwarded },
        "catalog" => Command::Catalog { system: rest.pop(), format: format.unwrap_or(Format::Table) },
        "send" if rest.is_empty() => return Err("send: expected EVENT [KEY=VALUE…], or -".to_owned()),
        "send" => Command::Send { words: rest, progress },
        "demo" => Command::Demo { speed: speed.unwrap_or(1.0) },
        "help" => Command::Help,
        other => return Err(format!("{other:?}: expected serve, check, catalog, send or demo; see --help")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<(Command, Overrides), String> {
        parse(std::iter::once("lifecycle-exporter").chain(words.split_whitespace()).map(Into::into))
    }

    #[test]
    fn commands() {
        assert_eq!(read("").unwrap(), (Command::Serve, Overrides::default()));
        let (command, overrides) =
            read("check --client ::1 --forwarded-for 1.2.3.4,5.6.7.8 --config /c").unwrap();
        assert_eq!(
            command,
            Command::Check {
                client: Some("::1".parse().unwrap()),
                forwarded: vec!["1.2.3.4,5.6.7.8".to_owned()]
            }
        );
        assert_eq!(overrides.config, Some("/c".into()));
        assert_eq!(
            read("catalog vlog --format json").unwrap().0,
            Command::Catalog { system: Some("vlog".to_owned()), format: Format::Json }
        );
        assert_eq!(
            read("send - --progress").unwrap().0,
            Command::Send { words: vec!["-".to_owned()], progress: true }
        );
        assert_eq!(read("demo --speed 20").unwrap().0, Command::Demo { speed: 20.0 });
        assert_eq!(read("--listen [::1]:0 --listen 127.0.0.1:0").unwrap().1.listen.len(), 2);
    }

    #[test]
    fn what_is_no_command_says_what_was_expected() {
        for words in [
            "fly",
            "serve x",
            "check --client home",
            "send",
            "--listen 80",
            "--speed 2",
            "serve --progress",
            "catalog --format xml",
            "--what",
            "demo --speed 0",
        ] {
            let error = read(words).expect_err(words);
            assert!(error.contains("expected") || error.contains("--help"), "{words}: {error}");
        }
    }

    #[test]
    fn the_help_fits_a_screen() {
        assert!(HELP.lines().count() <= 35 && HELP.lines().all(|line| line.chars().count() <= 92));
    }
}
