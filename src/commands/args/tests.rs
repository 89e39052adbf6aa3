use super::*;

fn read(words: &str) -> Result<(Command, Overrides), String> {
    parse(std::iter::once("lifecycle-exporter").chain(words.split_whitespace()).map(Into::into))
}

#[test]
fn a_word_that_is_near_is_named() {
    for (words, near) in [("chekc", "check"), ("--listne x", "--listen"), ("open --fromat json", "--format")]
    {
        let said = read(words).unwrap_err();
        assert!(said.ends_with(&format!("; did you mean {near}?")), "{said}");
    }
    assert!(!read("nothing").unwrap_err().contains("did you mean"));
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
    assert_eq!(read("check --alive --listen [::1]:1").unwrap().0, Command::CheckAlive);
    assert_eq!(
        read("catalog vlog --format json").unwrap().0,
        Command::Catalog { system: Some("vlog".to_owned()), format: Format::Json }
    );
    let (system, entity) = (Some("vlog".to_owned()), None);
    let format = Format::Json;
    assert_eq!(read("open vlog --format json").unwrap().0, Command::Open { system, entity, format });
    let Command::Open { entity, format, .. } = read("open vlog job").unwrap().0 else { panic!() };
    assert_eq!((entity.as_deref(), format), (Some("job"), Format::Table));
    assert_eq!(
        read("send - --progress").unwrap().0,
        Command::Send { words: vec!["-".to_owned()], progress: true }
    );
    let Command::Follow(orders) = read("follow t --file x.log --from-start").unwrap().0 else { panic!() };
    assert_eq!((orders.producer.as_str(), orders.from_start), ("follow:t", true));
    assert!(matches!(orders.log, Log::File(path) if path.is_absolute() && path.ends_with("x.log")));
    let (system, log) = ("t".to_owned(), Log::StandardInput);
    let format = trial::Format::Json;
    assert_eq!(read("follow --try --format json t").unwrap().0, Command::Try { system, log, format });
    assert_eq!(read("demo --speed 20").unwrap().0, Command::Demo { speed: 20.0 });
    assert_eq!(read("check --state /d").unwrap().1.state, Some("/d".into()));
    assert_eq!(read("--listen [::1]:0 --listen 127.0.0.1:0").unwrap().1.listen.len(), 2);
}

#[test]
fn what_is_no_command_says_what_was_expected() {
    for words in [
        "fly",
        "fly --help",
        "help fly",
        "help send x",
        "serve x",
        "check --client home",
        "check --alive --client ::1",
        "check --alive --forwarded-for ::1",
        "serve --alive",
        "send",
        "--listen 80",
        "--state=",
        "--speed 2",
        "serve --progress",
        "follow",
        "follow t",
        "follow t --unit u -",
        "follow t - --format json",
        "follow t --try --format table",
        "send x --try",
        "catalog --format xml",
        "open --format markdown",
        "open recording upload x",
        "--what",
        "demo --speed 0",
    ] {
        let error = read(words).expect_err(words);
        assert!(error.contains("expected") || error.contains("--help"), "{words}: {error}");
    }
}

#[test]
fn the_help_fits_a_screen() {
    let names = COMMANDS.iter().map(|command| Some(command.name()));
    for name in names.chain([None]) {
        let help = help(name);
        let is_narrow = help.lines().all(|line| line.chars().count() <= 92);
        assert!(help.lines().count() <= 40 && is_narrow, "{help}");
    }
}

#[test]
fn a_command_has_help_of_its_own() {
    for words in ["help open", "open --help", "open x -h", "--config /c open --help", "open --help --what"] {
        assert_eq!(read(words).unwrap().0, Command::Help(Some("open")), "{words}");
    }
    for words in ["help", "--help", "-h", "help help", "help --help", "--help open"] {
        assert_eq!(read(words).unwrap().0, Command::Help(None), "{words}");
    }
    let help = help(Some("open"));
    for part in
        ["Usage: lifecycle-exporter open [SYSTEM [ENTITY]] [OPTIONS]\n", "\n  --format ", "\n  --config "]
    {
        assert!(help.contains(part), "{part} in\n{help}");
    }
    assert!(!help.contains("--speed") && !help.contains("Examples"), "{help}");
}
