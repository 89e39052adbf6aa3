//! `check` says what a start would say: single cases as examples, and random configurations with random faults, for this user and for
//! one without rights.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use nix::fcntl::{Flock, FlockArg};
use support::{Exporter, binary, wait_for_exit, wait_until};

fn check(config: &Path) -> Output {
    binary().arg("check").arg("--config").arg(config).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_fault_is_named_at_once_and_what_was_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    fs::write(at("printers.conf"), "").unwrap();
    fs::write(
        at("a.ini"),
        "[system]\nname = a\ntitle = a\n[entity e]\nkeys = k\n[entity f]\nkey = k\nwithin = e\n\
         [metric a-b]\ntype = counter\nhelp = h\n[event a.x]\nopen = f\ninc = a_b\n[event a.y]\nopen = nothing\n[event b.z]\n",
    )
    .unwrap();
    fs::write(at("b.ini"), "[system]\nname = vlog\n[metric m]\n  type = counter\nhelp\n").unwrap();
    fs::write(at("file"), "").unwrap();
    let config = directory.path().join("c.conf");
    let text = format!(
        "[events]\nsocket = {}\ngroup = no-such-group\nallowed_users = no-such-user\nmode = 9\n[http]\nlisten = 192.0.2.1:80\n\
         [state]\ndirectory = {}\n[systems]\ncatalog_directory = {}\n",
        at("none/none/s"),
        at("file"),
        directory.path().display()
    );
    fs::write(&config, text).unwrap();
    let output = check(&config);
    assert_eq!(output.status.code(), Some(1));
    let (said, faults) = (stdout(&output), stderr(&output));
    for expected in [
        "c.conf: line 5: [events] mode: \"9\": expected",
        "a.ini: [entity e] keys: unknown key",
        "a.ini: [metric a-b] \"a-b\": expected names by Prometheus's rules",
        "a.ini: [event a.y] open: \"nothing\": unknown entity",
        "a.ini: [event b.z] expected an event named a.…",
        "b.ini: line 4: \"type = counter\": an indented line",
        "b.ini: line 5: \"help\": expected KEY = VALUE",
        "[events] allowed_users: \"no-such-user\": expected",
        "[events] group: \"no-such-group\": expected",
        "none/none cannot be made",
        "192.0.2.1:80 cannot be listened on",
        "file: is no directory",
    ] {
        assert_eq!(faults.matches(expected).count(), 1, "{expected} in:\n{faults}");
    }
    assert_eq!(faults.lines().count(), 12, "nothing that only follows from another fault:\n{faults}");
    assert!(said.contains("read: ") && said.contains("printers.conf: not named *.ini"), "{said}");
}

#[test]
fn what_a_running_exporter_holds_is_no_fault_of_its_own_configuration() {
    let exporter = Exporter::start("");
    let config = exporter.directory.path().join("other.conf");
    let state = exporter.directory.path().join("state");
    let text = |socket: &Path| {
        format!("[events]\nsocket = {}\n[http]\nlisten = {}\n", socket.display(), exporter.address)
    };
    fs::write(&config, text(&exporter.socket)).unwrap();
    let output = check(&config);
    assert!(output.status.success() && stdout(&output).contains("running: "), "{output:?}");
    // Another socket is another exporter, which needs another address, too.
    fs::write(&config, text(&state.join("s")).replace("state/s", "s")).unwrap();
    let output = check(&config);
    assert!(!output.status.success() && stderr(&output).contains("cannot be listened on"), "{output:?}");
}

#[test]
fn what_is_no_regular_file_is_an_error_and_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("catalogs/directory.ini")).unwrap();
    for fifo in ["catalogs/fifo.ini", "fifo.conf"] {
        nix::unistd::mkfifo(&at(fifo), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    std::os::unix::fs::symlink("/dev/zero", at("catalogs/zero.ini")).unwrap();
    File::create(at("catalogs/long.ini")).unwrap().set_len(20 << 20).unwrap();
    File::create(at("long.conf")).unwrap().set_len(2 << 20).unwrap();
    fs::write(at("c.conf"), format!("[systems]\ncatalog_directory = {}\n", at("catalogs").display()))
        .unwrap();
    let cases: [(&str, &[&str]); 4] = [
        (
            "c.conf",
            &[
                "directory.ini: cannot be read: is a directory; expected a readable catalog",
                "fifo.ini: cannot be read: is a FIFO; expected a readable catalog",
                "long.ini: cannot be read: is longer than 16777216 bytes",
                "zero.ini: cannot be read: is a device; expected a readable catalog",
            ],
        ),
        ("fifo.conf", &["fifo.conf: cannot be read: is a FIFO; expected a readable file"]),
        ("catalogs", &["catalogs: cannot be read: is a directory; expected a readable file"]),
        ("long.conf", &["long.conf: cannot be read: is longer than 1048576 bytes"]),
    ];
    for (config, expected) in cases {
        for command in ["check", "serve"] {
            let mut child = binary();
            child.arg(command).arg("--listen").arg("127.0.0.1:0").arg("--config").arg(at(config));
            let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            assert_eq!(wait_for_exit(&mut child), Some(1), "{command} {config}");
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            for expected in expected {
                assert!(said.contains(expected), "{command} {config}: {expected} in\n{said}");
            }
        }
    }
}

#[test]
fn a_catalog_takes_time_by_its_length() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("c.conf");
    fs::write(&config, format!("[systems]\ncatalog_directory = {}\n", directory.path().display())).unwrap();
    let many = |count: usize, text: &dyn Fn(usize) -> String| (0..count).map(text).collect::<String>();
    let entity = "[entity e]\nkey = k\n".to_owned();
    let gauges =
        |count: usize| many(count, &|n| format!("[metric g{n}]\ntype = gauge\nhelp = h\nlive = e\n"));
    let chain = entity.clone()
        + &many(999, &|n| {
            let parent = if n == 0 { "e".to_owned() } else { format!("e{}", n - 1) };
            format!("[entity e{n}]\nkey = k{n}\nwithin = {parent}\n")
        });
    let long = "x".repeat(60_000);
    let cases = [
        (
            "[metric h]\ntype = histogram\nhelp = h\nbuckets = exponential 1e-300 1e308 200\n".to_owned(),
            "MAX / MIN",
        ),
        (
            entity.clone() + &gauges(20_000) + &many(1_000, &|n| format!("[event x.e{n}]\nopen = e\n")),
            "more than 1000 steps",
        ),
        (
            entity.clone() + &gauges(900) + &many(100_000, &|n| format!("[event x.e{n}]\nopen = e\n")),
            "a smaller catalog",
        ),
        (
            chain
                + "[metric m]\ntype = counter\nhelp = h\nlabels = other\n"
                + &many(50, &|n| format!("[event x.e{n}]\nopen = e998\n") + &"inc = m\n".repeat(900)),
            "a smaller catalog",
        ),
        (
            many(200, &|n| format!("[entity e{n}]\nkey = k\nwithin = {long}\n")),
            "unknown entity, expected one of e0, e1",
        ),
        (many(100_000, &|n| format!("[entity e{n}]\nkey = k\n")), "100000 entities, expected at most 1000"),
        (
            format!("[event x.e]\nfields = f{}\n", many(10_000, &|n| format!(",f{n}"))),
            "too many, expected at most 256 names",
        ),
        (
            format!("[event x.e]\nfields = {}\n", "f,".repeat(100_000)),
            "a line of 200009 bytes, expected at most 65536",
        ),
        (
            entity.clone() + &many(200_000, &|n| format!("[event x.e{n}]\nopen = f\n")),
            "further faults, which are not named",
        ),
    ];
    for (text, expected) in cases {
        fs::write(directory.path().join("x.ini"), format!("[system]\nname = x\ntitle = x\n{text}")).unwrap();
        let started = std::time::Instant::now();
        let mut child = binary()
            .arg("check")
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(wait_for_exit(&mut child), Some(1), "{expected}");
        let beginning: String = said.chars().take(2_000).collect();
        assert!(said.contains(expected), "{expected} in\n{beginning}");
        assert!(started.elapsed() < support::PATIENCE, "{expected}: {:?}", started.elapsed());
    }
    fs::remove_file(directory.path().join("x.ini")).unwrap();
    for number in 0..1_001 {
        fs::write(directory.path().join(format!("{number}.txt")), "").unwrap();
    }
    assert!(stderr(&check(&config)).contains("holds more than 1000 files"));
}

/// Forty layers of two kinds, each within both of the layer above: 2^40 ways lead from the lowest to the highest.
#[test]
fn ways_between_entities_are_not_tried_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("c.conf");
    fs::write(&config, format!("[systems]\ncatalog_directory = {}\n", directory.path().display())).unwrap();
    let mut catalog =
        "[system]\nname = x\ntitle = x\n[metric m]\ntype = gauge\nhelp = h\nlabels = k\nlive = a39\n\
                       [entity a0]\nkey = k\n[entity b0]\nkey = k\n"
            .to_owned();
    for layer in 1..40 {
        for kind in ["a", "b"] {
            let above = layer - 1;
            catalog += &format!("[entity {kind}{layer}]\nkey = k\nwithin = a{above}, b{above}\n");
        }
    }
    for layer in 0..40 {
        for kind in ["a", "b"] {
            catalog += &format!("[event x.{kind}{layer}]\nopen = {kind}{layer}\n");
        }
    }
    fs::write(directory.path().join("x.ini"), catalog).unwrap();
    let checked = Command::new("sh")
        .args(["-c", "ulimit -v 400000; exec \"$0\" check --config \"$1\""])
        .args([binary().get_program(), config.as_os_str()])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", stderr(&checked));
}

#[test]
fn a_grace_time_shorter_than_the_pauses_of_clients_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("c.conf");
    for (grace, warns) in [("14s", true), ("15s", false)] {
        let socket = directory.path().join("s").display().to_string();
        fs::write(
            &config,
            format!("[events]\nsocket = {socket}\ngrace = {grace}\n[http]\nlisten = 127.0.0.1:0\n"),
        )
        .unwrap();
        let output = check(&config);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stdout(&output).contains("warning: [events] grace"), warns, "{grace}: {output:?}");
    }
}

fn check_alive(address: &str, config: &Path) -> Output {
    binary().args(["check", "--alive", "--listen", address, "--config"]).arg(config).output().unwrap()
}

#[test]
fn a_running_exporter_is_asked_whether_it_is_alive() {
    let mut exporter = Exporter::start("");
    let address = exporter.address.to_string();
    // A health check reads no catalogs.
    let config = exporter.directory.path().join("other.conf");
    fs::write(&config, "[systems]\ncatalog_directory = /nonexistent\nenabled = nothing\n").unwrap();
    let output = check_alive(&address, &config);
    assert!(output.status.success() && stderr(&output).is_empty(), "{output:?}");
    assert_eq!(stdout(&output), format!("alive: {address}\n"));
    exporter.kill();
    let output = check_alive(&address, &config);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    let said = stderr(&output);
    assert!(said.contains(&format!("nobody listens at {address}; is the exporter running?")), "{said}");
}

#[test]
fn an_exporter_with_a_silent_role_is_not_alive() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        stream
            .write_all(
                b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 40\r\n\r\nno recent heartbeat from: feed, journal\n",
            )
            .unwrap();
        head.into_iter().next().unwrap()
    });
    let output = check_alive(&address, Path::new("/dev/null"));
    assert_eq!(server.join().unwrap(), "GET /-/healthy HTTP/1.1");
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    let expected = format!("lifecycle-exporter: {address}: no recent heartbeat from: feed, journal\n");
    assert_eq!(stderr(&output), expected);
}

/// A user without rights.
const NOBODY: u32 = 65_534;

/// Places of all kinds, and settings that point at them.
struct Machine {
    directory: tempfile::TempDir,
    taken: TcpListener,
    _lock: Flock<File>,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        let mode = |path: &Path, mode: u32| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(base, 0o755);
        for (name, bits) in [
            ("own", 0o755),
            ("closed", 0o700),
            ("readonly", 0o755),
            ("locked", 0o755),
            ("good", 0o755),
            ("bad", 0o755),
        ] {
            fs::create_dir(base.join(name)).unwrap();
            mode(&base.join(name), bits);
        }
        fs::write(base.join("file"), "").unwrap();
        fs::write(base.join("good/x.ini"), "[system]\nname = x\ntitle = x\n").unwrap();
        fs::write(base.join("bad/x.ini"), "[system]\nname = x\n").unwrap();
        fs::write(base.join("own/file"), "").unwrap();
        let lock = File::create(base.join("locked/lock")).unwrap();
        mode(&base.join("locked/lock"), 0o644);
        for name in ["own", "locked", "locked/lock"] {
            // Without the right to do that there is only one user to try.
            let _ = chown(base.join(name), Some(NOBODY), Some(NOBODY));
        }
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
        Machine { taken: TcpListener::bind("127.0.0.1:0").unwrap(), directory, _lock: lock }
    }

    /// A random configuration; most settings are good ones, so that what is at fault is seen by itself, too.
    fn configuration(&self, random: &mut fastrand::Rng) -> String {
        let base = self.directory.path().display();
        let taken = self.taken.local_addr().unwrap();
        let long = "x".repeat(120);
        let free = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
        let mut pick = |good: &[String], bad: &[String]| {
            let from = if random.u8(0..6) == 0 { bad } else { good };
            from[random.usize(0..from.len())].clone()
        };
        let list = |texts: &[&str]| {
            texts.iter().map(|text| text.replace("{base}", &base.to_string())).collect::<Vec<_>>()
        };
        let sockets = pick(
            &list(&["{base}/own/s", "{base}/own/new/s"]),
            &list(&[
                "{base}/closed/s",
                "{base}/readonly/s",
                "{base}/new/s",
                "{base}/a/b/s",
                "{base}/file/s",
                "{base}/own/file",
                &format!("{{base}}/own/{long}"),
            ]),
        );
        let listen = pick(
            &["127.0.0.1:0".to_owned(), format!("{free}, [::1]:0")],
            &[
                taken.to_string(),
                "192.0.2.1:1".to_owned(),
                format!("{free}, {free}"),
                "127.0.0.1:9, 198.51.100.7:5".to_owned(),
            ],
        );
        let state = pick(
            &list(&["{base}/own/state", "{base}/own/a/b", ""]),
            &list(&[
                "{base}/readonly/state",
                "{base}/closed/state",
                "{base}/file",
                "{base}/locked",
                "{base}/file/state",
                "{base}/readonly",
            ]),
        );
        let catalogs = pick(
            &list(&["{base}/good", "{base}/none", ""]),
            &list(&["{base}/bad", "{base}/closed", "{base}/file"]),
        );
        let group = pick(&list(&["", "65534"]), &list(&["0", "no-such-group", "4"]));
        let users = pick(&list(&["", "root"]), &list(&["no-such-user, root"]));
        let enabled = pick(&list(&["", "recording"]), &list(&["nothing"]));
        let startup = pick(
            &list(&["recording.backend_configured backend=b"]),
            &list(&["recording.backend_configured", "recording.flown", "signaling.backend.added backend="]),
        );
        let more = pick(
            &list(&["", "[ffmpeg]\nx\n"]),
            &list(&["[privacy]\nquiet = maybe\n", "[events]\ngrace = 1s\n", "garbage", "[limits]\nx = 1\n"]),
        );
        format!(
            "[http]\nlisten = {listen}\n[state]\ndirectory = {state}\n[systems]\ncatalog_directory = {catalogs}\nenabled = {enabled}\n\
             [startup]\nevent = {startup}\n[events]\nsocket = {sockets}\ngroup = {group}\nallowed_users = {users}\n{more}"
        )
    }

    /// The program as this user, or as nobody.
    fn command(&self, as_nobody: bool, words: &[&str]) -> Command {
        let mut command = if as_nobody { Command::new("setpriv") } else { binary() };
        if as_nobody {
            let id = NOBODY.to_string();
            command
                .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
                .arg(self.directory.path().join("exporter"));
        }
        command.args(words).arg("--config").arg(self.directory.path().join("c.conf"));
        command.env_remove("STATE_DIRECTORY").env_remove("JOURNAL_STREAM");
        command
    }

    /// Whether a start comes up without a fault, and what it said.
    fn start(&self, as_nobody: bool) -> (bool, String) {
        let mut child = self.command(as_nobody, &["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let mut log = String::new();
        wait_until(
            || {
                let mut chunk = [0; 4_096];
                let count = stderr.read(&mut chunk).unwrap();
                log.push_str(&String::from_utf8_lossy(&chunk[..count]));
                count == 0 || log.contains("look at ")
            },
            || "neither up nor ended".to_owned(),
        );
        let is_up = log.contains("look at ");
        if is_up {
            let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            assert!(kill.unwrap().success());
        }
        wait_for_exit(&mut child);
        (is_up && !log.contains(" ERROR "), log)
    }
}

#[test]
fn check_and_a_start_agree_on_random_configurations() {
    let machine = Machine::new();
    let program = machine.directory.path().join("exporter");
    fs::copy(env!("CARGO_BIN_EXE_lifecycle-exporter"), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let config = machine.directory.path().join("c.conf");
    let can_be_nobody =
        machine.command(true, &["--version"]).output().is_ok_and(|output| output.status.success());
    if !can_be_nobody {
        assert!(!support::switches::in_ci(), "another user cannot be tried, and CI is set");
        println!("skipped: only this user can be tried here");
    }
    let mut random = fastrand::Rng::with_seed(7);
    let (mut good, mut bad) = (0, 0);
    for number in 0..100 {
        let text = machine.configuration(&mut random);
        fs::write(&config, &text).unwrap();
        let as_nobody = can_be_nobody && number % 2 == 0;
        let checked = machine.command(as_nobody, &["check"]).output().unwrap();
        let before = listing(machine.directory.path());
        let again = machine.command(as_nobody, &["check"]).output().unwrap();
        assert_eq!(listing(machine.directory.path()), before, "a check changes nothing:\n{text}");
        assert_eq!(again.status, checked.status);
        let (up, log) = machine.start(as_nobody);
        assert_eq!(
            checked.status.success(),
            up,
            "as nobody: {as_nobody}\n{text}\ncheck: {checked:?}\nstart: {log}"
        );
        *(if up { &mut good } else { &mut bad }) += 1;
        for name in ["own/new", "own/state", "own/a", "new"] {
            let _ = fs::remove_dir_all(machine.directory.path().join(name));
        }
    }
    assert!(good > 10 && bad > 10, "{good} good, {bad} at fault");
}

fn listing(directory: &Path) -> Vec<String> {
    let output = Command::new("find").arg(directory).args(["-printf", "%p %m %s %T@\n"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}
