//! `complete -- WORD…`: what `packaging/completions` asks for when a user of a shell presses Tab.
//!
//! It takes the words behind the program's name, the last one as far as it is typed, and prints what may stand
//! there: a word a line, and behind a tab what it means. The line `:files` or `:directories` leaves the answer
//! to the shell. The shell picks the words that begin with what is typed. Words come from the table of commands
//! and from the configured catalogs. What cannot be read is left out: this never fails, and writes no errors.
//!
//! The program has a limit of size, so a function is not inlined where its copies would be many.

use std::ffi::OsString;

use super::args::{COMMANDS, FORMATS, OPEN_FORMATS, OPTIONS, OptionDef, TRIAL_FORMATS, command, first_word};
use crate::catalog::model::FieldUse;
use crate::catalog::{self, Catalog};
use crate::daemon::configuration::{Overrides, load_good_settings};
use crate::daemon::logging::push_printable;
use crate::faults::Faults;

/// Returns the text to print for `--` and the words behind it. A word that is not UTF-8 counts as an empty one.
pub(super) fn run(words: &[OsString]) -> String {
    let mut offers = Offers::default();
    if let [_, before @ .., typed] = words {
        let mut line = Line::default();
        for word in before {
            line.take(word.to_str().unwrap_or_default());
        }
        line.complete(typed.to_str().unwrap_or_default(), &mut offers);
    }
    offers.text
}

/// What is offered, as it is printed.
#[derive(Default)]
struct Offers<'a> {
    text: String,
    /// Stands before each word: `--format=`.
    prefix: &'a str,
}

impl Offers<'_> {
    /// Adds a word, unless it has a character that a shell might not take as it is: an event's name may.
    #[inline(never)]
    fn add(&mut self, word: &str, meaning: &str) {
        let is_plain =
            |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'%' | b'+'..=b':' | b'=' | b'@' | b'_');
        if word.bytes().all(is_plain) {
            for part in [self.prefix, word, "\t"] {
                self.text.push_str(part);
            }
            push_printable(&mut self.text, meaning);
            self.text.push('\n');
        }
    }
}

/// The words before the one that is completed.
#[derive(Default)]
struct Line<'a> {
    /// The command, and what follows it other than options.
    words: Vec<&'a str>,
    options: Vec<&'static OptionDef>,
    /// The value of `--config`.
    config: Option<&'a str>,
    /// The next word is the value of the last option.
    lacks_value: bool,
    /// There was a `--`: no option follows.
    has_ended: bool,
}

impl<'a> Line<'a> {
    #[inline(never)]
    fn take(&mut self, word: &'a str) {
        if self.lacks_value {
            self.lacks_value = false;
            self.set(word);
        } else if self.has_ended || !word.starts_with('-') || word == "-" {
            self.words.push(word);
        } else if word == "--" {
            self.has_ended = true;
        } else {
            let (name, value) = split_option(word);
            let Some(option) = option(name) else { return };
            self.options.push(option);
            match value {
                Some(value) => self.set(value),
                None => self.lacks_value = option.0.len() > name.len(),
            }
        }
    }

    /// Gives the last option its value.
    fn set(&mut self, value: &'a str) {
        if self.options.last().is_some_and(|(usage, ..)| usage.starts_with("--config")) {
            self.config = Some(value);
        }
    }

    fn complete(&self, typed: &'a str, offers: &mut Offers<'a>) {
        let mut with_value = self.options.last().copied().filter(|_| self.lacks_value);
        if let (name, Some(value)) = split_option(typed)
            && with_value.is_none()
            && !self.has_ended
        {
            with_value = option(name);
            offers.prefix = &typed[..typed.len() - value.len()];
        }
        if let Some((usage, ..)) = with_value {
            return self.offer(usage[first_word(usage).len()..].trim_start(), offers);
        }
        offers.prefix = "";
        let name = self.words.first().copied().unwrap_or_default();
        let command = command(name);
        let usage = match command {
            Some(command) => command.usage,
            None if self.words.is_empty() => "COMMAND",
            None if name == "help" => "help COMMAND",
            None => "",
        };
        let (place, is_option) = (self.place(usage), typed.starts_with('-'));
        if !is_option {
            self.offer(place, offers);
        } else if matches!(place, "EVENT" | "FILE|-") {
            offers.add("-", "read standard input");
        }
        if (is_option || offers.text.is_empty()) && !self.has_ended {
            for options in [command.map_or(&[] as &[OptionDef], |command| command.options), OPTIONS] {
                self.offer_options(options, offers);
            }
        }
    }

    #[inline(never)]
    fn offer_options(&self, options: &[OptionDef], offers: &mut Offers<'_>) {
        for (usage, help, _) in options {
            let name = first_word(usage);
            if usage.ends_with('…') || !self.has(name) {
                offers.add(name, help);
            }
        }
    }

    #[inline(never)]
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(usage, ..)| first_word(usage) == option)
    }

    /// What a usage has behind the words that are there: `FILE|-` in `follow SYSTEM [FILE|-]` behind two words.
    /// An option of the usage that is given is skipped.
    fn place(&self, usage: &'static str) -> &'static str {
        let (mut words, mut last) = (self.words.len(), "");
        for place in usage.split([' ', '[', ']']) {
            if place.is_empty() || self.has(place) {
                continue;
            }
            if words == 0 {
                return place;
            }
            words -= 1;
            last = place;
        }
        if last.ends_with('…') { last } else { "" }
    }

    /// Offers what may stand in a place of a usage, as far as the program can know it.
    #[inline(never)]
    fn offer(&self, place: &str, offers: &mut Offers<'_>) {
        match place {
            "FILE" | "PATH" | "FILE|-" => offers.text.push_str(":files\n"),
            "DIR" => offers.text.push_str(":directories\n"),
            "LEVEL" => ["debug", "info", "warning", "error"].iter().for_each(|level| offers.add(level, "")),
            "FORMAT" => match self.words.first() {
                Some(&"catalog") => FORMATS.iter().for_each(|(name, _)| offers.add(name, "")),
                Some(&"open") => OPEN_FORMATS.iter().for_each(|(name, _)| offers.add(name, "")),
                Some(_) => TRIAL_FORMATS.iter().for_each(|(name, _)| offers.add(name, "")),
                None => {}
            },
            "COMMAND" => {
                for command in COMMANDS {
                    offers.add(command.name(), command.help);
                }
                offers.add("help", "Show the help of a command");
            }
            "SYSTEM" | "ENTITY" | "EVENT" | "KEY=VALUE…" => {
                let mut faults = Faults::default();
                let overrides = Overrides { config: self.config.map(Into::into), ..Overrides::default() };
                let (settings, _) = load_good_settings(&overrides, &mut faults);
                let catalogs = catalog::load_good(settings.catalog_directory.as_deref(), &mut faults);
                catalogs.all.iter().for_each(|catalog| self.offer_of(catalog, place, offers));
            }
            _ => {}
        }
    }

    /// Offers what a catalog has for a place.
    fn offer_of(&self, catalog: &Catalog, place: &str, offers: &mut Offers<'_>) {
        let named = self.words.get(1).copied().unwrap_or_default();
        match place {
            "SYSTEM" if self.words[0] != "follow" || !catalog.lines.is_empty() => {
                offers.add(&catalog.name, &catalog.title);
            }
            "ENTITY" if catalog.name == named => {
                catalog.entities.iter().for_each(|entity| offers.add(&entity.name, ""));
            }
            "EVENT" => catalog.events.iter().for_each(|event| offers.add(&event.name, &catalog.title)),
            "KEY=VALUE…" => {
                let Some(event) = catalog.events.iter().find(|event| *event.name == *named) else { return };
                for (used, meaning) in FIELD_USES {
                    for field in event.fields_used_as(*used) {
                        let field = [field, "="].concat();
                        if !self.words.iter().any(|word| word.starts_with(&field)) {
                            offers.add(&field, meaning);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// Each use of a field in the order of the offers, and what it means for the user.
static FIELD_USES: &[(FieldUse, &str)] = &[
    (FieldUse::Required, "required"),
    (FieldUse::Optional, "optional"),
    (FieldUse::Override, "optional, instead of what the entity has"),
];

/// The name of an option, and its value if the word has one.
#[inline(never)]
fn split_option(word: &str) -> (&str, Option<&str>) {
    word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)))
}

/// An option of any command.
#[inline(never)]
fn option(name: &str) -> Option<&'static OptionDef> {
    COMMANDS.iter().find_map(|command| option_of(command.options, name)).or_else(|| option_of(OPTIONS, name))
}

#[inline(never)]
fn option_of(options: &'static [OptionDef], name: &str) -> Option<&'static OptionDef> {
    options.iter().find(|(usage, ..)| first_word(usage) == name)
}

#[cfg(test)]
mod tests;
