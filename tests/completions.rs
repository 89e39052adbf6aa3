//! The completions, each in its real shell: what bash, zsh and fish offer for a line, and what bash and zsh
//! make of it when Tab is pressed in a terminal.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{catalogs, has_program, run, wait_until};
use tempfile::TempDir;

/// Two of its events run a command if a shell takes their names for more than names.
const CATALOG: &str = "[system]\nname = print\ntitle = Printers: [all] 'of' them $(touch told)\n\
    [entity job]\nkey = job\nlabels = printer, colour\n\
    [metric print_jobs]\ntype = gauge\nhelp = Jobs\nlabels = printer, colour\nlive = job\n\
    [metric print_pages_total]\ntype = counter\nhelp = Pages\nlabels = printer\n\
    [event print.job:started]\noptional = colour\nopen = job\n\
    [event print.job.ended]\nclose = job\nadd = print_pages_total from pages\n\
    [event print.$(touch${IFS}told)]\nclose = job\n\
    [event print.`touch${IFS}told`]\nclose = job\n";

/// A home for a shell, which is its working directory, with a catalog, a folder and files.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for folder in ["bin", "state", "my own"] {
        fs::create_dir(home.path().join(folder)).unwrap();
    }
    symlink(env!("CARGO_BIN_EXE_lifecycle-exporter"), home.path().join("bin/lifecycle-exporter")).unwrap();
    fs::write(home.path().join("my own/print.ini"), CATALOG).unwrap();
    fs::write(home.path().join("stand.log"), "").unwrap();
    let config = format!("[systems]\ncatalog_directory = {}/my own\n", home.path().display());
    fs::write(home.path().join("own.conf"), &config).unwrap();
    fs::write(home.path().join("my own/own.conf"), &config).unwrap();
    home
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/completions").join(name)
}

/// A shell in this home, which finds the program of this build.
fn shell(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    let path = format!("{}:{}", home.join("bin").display(), std::env::var("PATH").unwrap());
    command.current_dir(home).env("HOME", home).env("ZDOTDIR", home).env("PATH", path);
    command.env("TERM", "xterm").env("LC_ALL", "C.UTF-8").env_remove("STATE_DIRECTORY");
    command
}

/// A line that lacks its end, and the words that a shell offers there.
fn offers() -> Vec<(&'static str, Vec<String>)> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
    let recording = catalogs().into_iter().find(|catalog| catalog["name"] == "recording").unwrap();
    let events = recording["events"].as_array().unwrap();
    let names = events.iter().map(|event| event["name"].as_str().unwrap().to_owned()).collect();
    vec![
        ("", words("serve check catalog open send follow demo help")),
        ("help ", words("serve check catalog open send follow demo help")),
        ("--l", words("--listen --log-level")),
        ("--log-level ", words("debug info warning error")),
        ("demo ", words("--speed --config --listen --socket --state --log-level --version --help")),
        ("open --", words("--format --config --listen --socket --state --log-level --version --help")),
        ("open --format json --socket /s --listen 127.0.0.1:1 --l", words("--listen --log-level")),
        ("check --fo", words("--forwarded-for")),
        ("catalog --format ", words("table markdown json")),
        ("open --format ", words("table json")),
        ("follow signaling --try --format ", words("text json")),
        ("follow ", words("signaling proxy")),
        ("open ", words("recording signaling proxy edumeet vlog")),
        ("--config missing.conf open ", words("recording signaling proxy edumeet vlog")),
        ("--config own.conf open ", words("recording signaling proxy edumeet vlog print")),
        ("--config own.conf open print ", words("job")),
        ("send recording.", names),
        ("send -", words("- --progress --config --listen --socket --state --log-level --version --help")),
        ("--config own.conf send print.", words("print.job:started print.job.ended")),
        ("--config own.conf send print.job:started ", words("job= printer= colour=")),
        ("--config own.conf send print.job:started printer=x ", words("job= colour=")),
        ("--config own.conf send print.job.ended ", words("job= pages= printer=")),
    ]
}

/// A line that lacks its end, and what Tab makes of it.
const TABS: [(&str, &str); 19] = [
    ("lifecycle-exporter sen", "lifecycle-exporter send "),
    ("true; lifecycle-exporter sen", "true; lifecycle-exporter send "),
    ("bin/lifecycle-exporter sen", "bin/lifecycle-exporter send "),
    ("~/bin/lifecycle-exporter sen", "~/bin/lifecycle-exporter send "),
    ("lifecycle-exporter send recording.sta", "lifecycle-exporter send recording.started "),
    ("lifecycle-exporter send recording.started b", "lifecycle-exporter send recording.started backend="),
    (
        "lifecycle-exporter send recording.started backend=https://a.b:1/c re",
        "lifecycle-exporter send recording.started backend=https://a.b:1/c recording=",
    ),
    ("lifecycle-exporter open --format=j", "lifecycle-exporter open --format=json "),
    ("lifecycle-exporter --config ow", "lifecycle-exporter --config own.conf "),
    ("lifecycle-exporter --config=ow", "lifecycle-exporter --config=own.conf "),
    ("lifecycle-exporter --config ~/ow", "lifecycle-exporter --config ~/own.conf "),
    ("lifecycle-exporter --config my", "lifecycle-exporter --config my\\ own/"),
    ("lifecycle-exporter --state st", "lifecycle-exporter --state state/"),
    ("lifecycle-exporter --state=st", "lifecycle-exporter --state=state/"),
    ("lifecycle-exporter check --try stand", "lifecycle-exporter check --try stand.log "),
    (
        "lifecycle-exporter --config=own.conf send print.job:st",
        "lifecycle-exporter --config=own.conf send print.job:started ",
    ),
    (
        "lifecycle-exporter --config ~/own.conf send print.job.e",
        "lifecycle-exporter --config ~/own.conf send print.job.ended ",
    ),
    (
        "lifecycle-exporter --config \"my own/own.conf\" send print.job.e",
        "lifecycle-exporter --config \"my own/own.conf\" send print.job.ended ",
    ),
    (
        "lifecycle-exporter --config my\\ own/own.conf send print.job.e",
        "lifecycle-exporter --config my\\ own/own.conf send print.job.ended ",
    ),
];

/// A shell in a terminal.
struct Terminal {
    shell: Child,
    home: TempDir,
}

impl Terminal {
    /// Starts one whose Alt-* inserts all that it offers, and whose Ctrl-G writes the line to the file `line`.
    fn start(command: &str, file: &str, configuration: &str) -> Self {
        let home = home();
        fs::write(home.path().join(file), configuration).unwrap();
        let mut script = shell("script", home.path());
        script.args(["--quiet", "--command", command, "/dev/null"]);
        let shell = script.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        Terminal { shell, home }
    }

    /// Types these keys into an empty line. Returns the line that they make.
    fn line_by(&mut self, keys: &str) -> String {
        let path = self.home.path().join("line");
        self.shell.stdin.as_mut().unwrap().write_all(format!("{keys}\x07").as_bytes()).unwrap();
        wait_until(|| path.exists(), || format!("the shell does not answer {keys:?}"));
        let line = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        line
    }

    fn completes(mut self) {
        for (typed, expected) in offers() {
            let line = self.line_by(&format!("lifecycle-exporter {typed}\x1b*"));
            let before = typed.rfind(' ').map_or("", |end| &typed[..=end]);
            let offered = line.strip_prefix(&format!("lifecycle-exporter {before}"));
            let offered: Vec<&str> = offered.unwrap_or(&line).split_whitespace().collect();
            assert_eq!(offered, expected, "{typed:?}");
        }
        for (typed, expected) in TABS {
            assert_eq!(self.line_by(&format!("{typed}\t")), expected, "{typed:?}");
        }
        assert!(!self.home.path().join("told").exists(), "the shell ran what a catalog says");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[test]
fn bash_completes() {
    if !has_program("bash") || !has_program("script") {
        return;
    }
    let configuration = format!(
        "PS1='$ '\nstty columns 1000 rows 100\nbind '\"\\e*\": insert-completions'\n\
         write() {{ printf %s \"$READLINE_LINE\" >~/line.new; mv ~/line.new ~/line; READLINE_LINE=; }}\n\
         bind -x '\"\\C-g\": write'\nsource '{}'\n",
        script("lifecycle-exporter.bash").display()
    );
    Terminal::start("bash --noprofile --rcfile bashrc -i", "bashrc", &configuration).completes();
}

#[test]
fn zsh_completes() {
    if !has_program("zsh") || !has_program("script") {
        return;
    }
    let configuration = format!(
        "PS1='%% '\nstty columns 1000 rows 100\nfpath=('{}' $fpath)\nautoload -Uz compinit && compinit -u -D\n\
         zle -C all complete-word _generic\nbindkey '\\e*' all\n\
         zstyle ':completion:all::::' completer _all_matches _complete\nzstyle ':completion:all:*' insert true\n\
         write() {{ print -rn -- $BUFFER >~/line.new; mv ~/line.new ~/line; BUFFER=; }}\n\
         zle -N write\nbindkey '^G' write\n",
        script("").display()
    );
    Terminal::start("zsh -d -i", ".zshrc", &configuration).completes();
}

#[test]
fn fish_completes() {
    if !has_program("fish") {
        return;
    }
    let home = home();
    let complete = |line: &str| {
        let mut fish = shell("fish", home.path());
        fish.args(["--no-config", "--command", "source $argv[1]; complete --do-complete $argv[2]"]);
        run(fish.arg(script("lifecycle-exporter.fish")).arg(line))
    };
    for (typed, expected) in offers() {
        let offered = complete(&format!("lifecycle-exporter {typed}"));
        let offered: Vec<&str> = offered.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(offered, expected, "{typed:?}");
    }
    // Fish names the last word alone, without the marks that it puts before spaces.
    for (typed, expected) in TABS {
        let offered = complete(typed);
        let offered = offered.trim_end().split('\t').next();
        let start = typed.rfind(' ').map_or(0, |end| end + 1);
        let expected = expected[start..].trim_end().replace('\\', "");
        assert_eq!(offered, Some(expected.as_str()), "{typed:?}");
    }
    let fields = complete("lifecycle-exporter --config own.conf send print.job:started ");
    assert_eq!(fields, "job=\trequired\nprinter=\trequired\ncolour=\toptional\n");
    assert!(!home.path().join("told").exists(), "the shell ran what a catalog says");
}
