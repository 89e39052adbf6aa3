use std::os::unix::ffi::OsStringExt;

use super::*;

/// The words that are offered behind these; `_` is the empty word.
fn offered(words: &str) -> Vec<String> {
    let text = run(&format!("-- {words}")
        .split(' ')
        .map(|word| word.trim_matches('_').into())
        .collect::<Vec<OsString>>());
    text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn every_command_and_every_option_of_the_table_is_offered() {
    let names = |options: &[OptionDef]| -> Vec<String> {
        options.iter().map(|(usage, ..)| first_word(usage).to_owned()).collect()
    };
    let commands: Vec<String> = COMMANDS.iter().map(|command| command.name().to_owned()).collect();
    assert_eq!(offered("_"), [commands, vec!["help".to_owned()]].concat());
    assert_eq!(offered("--"), names(OPTIONS));
    for command in COMMANDS {
        let expected = [names(command.options), names(OPTIONS)].concat();
        // Instead of an event, `send` takes `-`.
        let mut offered = offered(&format!("{} --", command.name()));
        offered.retain(|word| word != "-");
        assert_eq!(offered, expected);
    }
}

#[test]
fn every_place_of_the_table_is_known_or_only_the_user_knows_it() {
    for (usage, ..) in COMMANDS.iter().flat_map(|command| command.options).chain(OPTIONS) {
        let value = usage.split(' ').nth(1).unwrap_or_default();
        let command = COMMANDS.iter().find(|command| command.options.iter().any(|option| option.0 == *usage));
        let words = format!("{} {} _", command.map_or("serve", |command| command.name()), first_word(usage));
        let only_the_user_knows = ["IP", "LIST…", "NAME", "N", "ADDRESS…"].contains(&value);
        assert!(value.is_empty() || offered(&words).is_empty() == only_the_user_knows, "{words}");
    }
}

#[test]
fn what_is_offered_for_a_value_is_taken() {
    for words in ["catalog --format", "open --format", "follow signaling --try --format", "--log-level"] {
        let values = offered(&format!("{words} _"));
        assert!(values.len() >= 2, "{words}");
        for value in values {
            let line = format!("lifecycle-exporter {words} {value}");
            assert!(crate::commands::args::parse(line.split(' ').map(Into::into)).is_ok(), "{line}");
        }
    }
}

#[test]
fn an_option_is_offered_once_unless_it_may_be_repeated() {
    let again = offered("check --client ::1 --forwarded-for x --listen 127.0.0.1:1 --config=/c --");
    assert_eq!(again[..3], ["--forwarded-for", "--alive", "--try"]);
    assert!(again.contains(&"--listen".to_owned()) && !again.contains(&"--config".to_owned()), "{again:?}");
}

#[test]
fn files_and_directories_are_left_to_the_shell() {
    for words in ["--config _", "--config=x", "check --try _", "follow t x", "follow t --file _"] {
        assert_eq!(offered(words), [":files"], "{words}");
    }
    assert_eq!(offered("--state _"), [":directories"]);
    assert_eq!(offered("check _")[0], "--client");
    assert_eq!(offered("check --try -")[0], "-");
}

#[test]
fn a_word_with_an_option_has_it_in_front() {
    assert_eq!(offered("open --format=j"), ["--format=table", "--format=json"]);
}

#[test]
fn nothing_makes_it_fail() {
    for words in
        ["fly _", "fly away _", "--what= _", "--alive= _", "-- -", "send - _", "--config", "--state= _"]
    {
        offered(words);
    }
    assert_eq!(run(&[]) + &run(&["--".into()]), "");
    assert!(offered("-- -").is_empty());
    assert_eq!(offered("--log-level wrong --config /missing follow _"), ["signaling", "proxy"]);
    assert!(run(&["--".into(), OsString::from_vec(vec![b'-', 0xff])]).contains("serve\t"));
}

#[test]
fn a_name_that_a_shell_or_a_terminal_would_obey_is_not_offered() {
    let mut offers = Offers::default();
    for word in ["a.$(b)", "a.`b`", "a.b;c", "a.\u{1b}c", "a.*", "a.~", "a'b", "a\"b", "a\\b", "a.ü"] {
        offers.add(word, "");
    }
    offers.add("a.b:c-d_e/f@g%h+i,1=", "\u{1b}[31mred");
    assert_eq!(offers.text, "a.b:c-d_e/f@g%h+i,1=\t\\u{1b}[31mred\n");
}
