use super::*;
use crate::faults::Faults;

fn read(text: &str) -> Result<(Settings, Vec<String>), Faults> {
    let mut faults = Faults::default();
    let read = read_good_settings("test.conf", text, &mut faults);
    faults.or(read)
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(read("").unwrap(), (Settings::default(), vec![]));
}

#[test]
fn every_setting_is_read() {
    let (settings, warnings) = read(
        "[logs]\nlevel = 30\n[http]\nlisten = 127.0.0.1:1, [::1]:2\nhosts = a.example, b.\n[app]\ntrustedproxies = 10.0.0.1\n\
         [stats]\nallowed_ips = 10.0.0.0/8\naliases = yes\n[events]\nsocket = /s\nmode = 0600\ngroup = g\n\
         allowed_users = a, b\nallowed_groups = c\n\
         max_connections = 2\nmax_line = 1000\ngrace = 5m\n\
         expect = p, follow:signaling\n[systems]\nenabled = recording, vlog\ncatalog_directory = /c\n\
         restart = reset\n[privacy]\ndeidentify = yes\nnumeric = no\nquiet = on\n\
         [limits]\nseries_per_metric = 5\nentities = 6\nmemory = 7M\n[state]\ndirectory = /d\nsync = always\n\
         [startup]\nevent = a.b c=d\nevent = e.f\n[scan tmp]\ndirectory = /t\ninterval = 1m\n\
         timeout = 2s\nmax_files = 3\npattern = *.webm\nsystem = vlog\n",
    )
    .unwrap();
    let expected = Settings {
        log_level: log::LevelFilter::Warn,
        listen: vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()],
        hosts: vec!["a.example".to_owned(), "b.".to_owned()],
        trusted_proxies: Networks::parse("10.0.0.1"),
        allowed_ips: Networks::parse("10.0.0.0/8"),
        aliases: true,
        socket: Some("/s".into()),
        mode: 0o600,
        group: Some("g".to_owned()),
        allowed_users: vec!["a".to_owned(), "b".to_owned()],
        allowed_groups: vec!["c".to_owned()],
        max_connections: 2,
        max_line: 1_000,
        grace: Duration::from_secs(300),
        expect: vec!["p".to_owned(), "follow:signaling".to_owned()],
        enabled: vec!["recording".to_owned(), "vlog".to_owned()],
        catalog_directory: Some("/c".into()),
        restart_resets: true,
        privacy: Privacy { deidentify: true, numeric: false, quiet: true },
        series_per_metric: 5,
        entities: 6,
        memory: 7 << 20,
        state_directory: Some("/d".into()),
        sync: FsyncPolicy::Always,
        startup: vec![
            StartupEvent {
                event: "a.b".to_owned(),
                fields: vec!["c".to_owned()],
                line: r#"{"event":"a.b","c":"d"}"#.to_owned(),
            },
            StartupEvent { event: "e.f".to_owned(), fields: vec![], line: r#"{"event":"e.f"}"#.to_owned() },
        ],
        scans: vec![ScanSettings {
            name: "tmp".to_owned(),
            directory: "/t".into(),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(2),
            max_files: 3,
            pattern: Some(glob::Pattern::new("*.webm").unwrap()),
            system: Some("vlog".to_owned()),
        }],
    };
    assert_eq!((settings, warnings), (expected, vec![]));
}

#[test]
fn an_empty_allow_list_means_this_machine() {
    assert_eq!(read("[stats]\nallowed_ips =\n").unwrap().0.allowed_ips, Networks::loopback());
}

#[test]
fn addresses_that_are_none_are_warnings_and_let_nobody_in() {
    let (settings, warnings) =
        read("[app]\ntrustedproxies = proxy\n[stats]\nallowed_ips = 192.168.1.5/24, home\n").unwrap();
    assert_eq!(
        warnings,
        [
            "test.conf: line 2: [app] trustedproxies: \"proxy\": expected an IP address or a network such as \
             10.0.0.0/8, separated by commas; it counts for nobody",
            "test.conf: line 4: [stats] allowed_ips: \"192.168.1.5/24\": an address with the prefix of a \
             network, expected 192.168.1.0/24 for the network or 192.168.1.5 for the address; it counts for \
             nobody",
            "test.conf: line 4: [stats] allowed_ips: \"home\": expected an IP address or a network such as \
             10.0.0.0/8, separated by commas; it counts for nobody",
        ]
    );
    for ip in ["127.0.0.1", "::1", "192.168.1.5"] {
        assert!(!settings.allowed_ips.contains(ip.parse().unwrap()), "{ip}");
    }
    assert_eq!(settings.trusted_proxies, Networks::parse("proxy"));
}

#[test]
fn what_belongs_to_other_servers_is_passed_over_with_a_warning() {
    let (settings, warnings) =
        read("[http]\nlisten = 127.0.0.1:8000\nprefix = x\n[backend]\nallowall = 'no\n x\n").unwrap();
    assert_eq!(settings.listen, ["127.0.0.1:8000".parse().unwrap()]);
    assert_eq!(
        warnings,
        [
            "test.conf: line 3: [http] prefix: unknown key, ignored",
            "test.conf: sections of other programs are ignored: [backend]",
        ]
    );
}

#[test]
fn faults_name_file_line_section_key_value_and_what_was_expected() {
    let cases = [
        (
            "[stats]\nallowed_ips = 10.0.0.1,\n 10.0.0.2\n",
            "test.conf: line 3: \"10.0.0.2\": an indented line",
        ),
        (
            "[stats]\nallowed_ips = \"10.0.0.1\"\n",
            "line 2: [stats] allowed_ips: \"10.0.0.1\": a quote, expected",
        ),
        (
            "[stats]\nallowed_ips = ::1\nallowed_ips = ::2\n",
            "line 3: [stats] allowed_ips: written twice, expected once",
        ),
        (
            "[stats]\nallowed_ips = 10.0.0.1 \\\n[http]\n",
            "line 2: \"allowed_ips = 10.0.0.1 \\\\\": a backslash at the end would join the next line",
        ),
        ("\u{feff}[stats]\n", "line 1: a byte-order mark, expected"),
        ("[events]\nsockets = /s\n", "line 2: [events] sockets: unknown key, expected one of socket, mode"),
        ("[events]\nsockets = /s\n", "; did you mean socket?"),
        ("[events]\nsocket = s\n", "expected an absolute path"),
        ("[events]\nmode = 999\n", "expected permission bits in octal"),
        ("[events]\nmax_line = 0\n", "expected a whole number from 256"),
        ("[events]\ngrace = 30\n", "expected a duration"),
        ("[systems]\nenabled = a b\n", "expected names separated by commas"),
        ("[systems]\nrestart = clear\n", "\"clear\": expected keep or reset"),
        ("[privacy]\nquiet = maybe\n", "expected yes or no"),
        ("[logs]\nlevel = loud\n", "expected debug, info"),
        ("[http]\nlisten = 10048\n", "expected ADDRESS:PORT"),
        ("[http]\nhosts = a.example:80\n", "\"a.example:80\": expected host names"),
        ("[http]\nhosts = https://a.example\n", "without scheme and port"),
        ("[http]\nhosts = a b\n", "expected names separated by commas"),
        ("[state]\nsync = often\n", "expected always, interval or never"),
        ("[startup]\nevent = a=b\n", "expected EVENT"),
        ("[scan]\ndirectory = /t\n", "expected [scan NAME]"),
        ("[scan a]\n", "line 1: [scan a]: directory: missing"),
        ("[scan a]\ndirectory = /t\npattern = [\n", "expected a glob"),
        ("[scan a]\ndirectory = /t\nevery = 1s\n", "unknown key, expected one of directory"),
        ("[scan a]\ndirectory = /t\ninterval = 0s\n", "expected at least 1s"),
    ];
    for (text, expected) in cases {
        let error = read(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn every_fault_is_named() {
    let error = read("[events]\nmode = 9\nsockets = /s\ngrace = 1\n[scan a]\npattern = [\n").unwrap_err();
    let lines: Vec<&str> = error.iter().map(|fault| fault.split(": ").nth(1).unwrap()).collect();
    assert_eq!(lines, ["line 2", "line 3", "line 4", "line 6", "line 5"], "{error}");
}

#[test]
fn the_shipped_configuration_holds_every_setting_at_its_default() {
    let text = include_str!("../../packaging/etc/lifecycle-exporter.conf");
    assert!(
        text.lines().all(|line| line.is_empty() || line.starts_with(['#', '['])),
        "only comments and sections"
    );
    let mut settings = String::new();
    let mut scan = false;
    for line in text.lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        scan |= bare.starts_with("[scan");
        if bare.starts_with('[') || (line.starts_with('#') && !bare.starts_with(' ') && bare.contains(" =")) {
            // What is given once for all is given as it is; scans and start-up events are examples.
            if !scan && !bare.starts_with("event =") {
                settings.push_str(bare);
                settings.push('\n');
            }
        }
    }
    let (settings_read, warnings) = read(&settings).unwrap();
    assert_eq!((settings_read, warnings), (Settings::default(), vec![]));
    let keys = settings.lines().filter(|line| line.contains('=')).count();
    assert_eq!(keys, 6 + 9 + 3 + 3 + 3 + 2, "a setting is missing or new:\n{settings}");
    let uncommented: String = text
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') && !rest.is_empty()).unwrap_or(line)
        })
        .fold(String::new(), |all, line| all + line + "\n");
    read(&uncommented).unwrap();
}
