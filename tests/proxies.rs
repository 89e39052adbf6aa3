//! The exporter behind nginx and Caddy, as `packaging/examples` configures them: TLS, a password, a path below the
//! top, and which client the exporter sees. Only addresses, files and the password of the examples are replaced.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::{Exporter, has_program, run, wait_until};
use tempfile::TempDir;

const NAME: &str = "metrics.example.com";
const USER: &str = "prometheus";
const PASSWORD: &str = "a password";
/// The proxy connects from here, and so do users of its machine.
const PROXY: &str = "127.0.0.1";
const ALLOWED: &str = "127.0.0.5";
const DENIED: &str = "127.0.0.6";
/// The exporter trusts the proxy.
const TRUSTING: &str = "[app]\ntrustedproxies = 127.0.0.1\n[stats]\nallowed_ips = 127.0.0.5\n";

/// A proxy of the examples.
struct Kind {
    program: &'static str,
    example: &'static str,
    /// What is replaced in the example, by the files in this directory, the port, and the exporter's address.
    replace: fn(&Path, u16, SocketAddr) -> Vec<(&'static str, String)>,
    /// Makes the configuration of the example a whole one, and returns the command that runs it.
    command: fn(&Path, String) -> Command,
}

const NGINX: Kind = Kind {
    program: "nginx",
    example: include_str!("../packaging/examples/nginx.conf"),
    replace: |directory, port, exporter| {
        let file = |name: &str| directory.join(name).display().to_string();
        vec![
            ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
            ("listen [::]:443 ssl", format!("listen [::1]:{port} ssl")),
            ("/etc/ssl/certs/metrics.example.com.pem", file("certificate")),
            ("/etc/ssl/private/metrics.example.com.key", file("key")),
            ("auth_basic_user_file /etc/nginx/lifecycle-exporter.htpasswd", {
                format!("auth_basic_user_file {}", file("passwords"))
            }),
            ("http://127.0.0.1:10048/", format!("http://{exporter}/")),
        ]
    },
    command: |directory, site| {
        let hash = run(Command::new("openssl").args(["passwd", "-apr1", PASSWORD]));
        fs::write(directory.join("passwords"), format!("{USER}:{hash}")).unwrap();
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = kinds.map(|kind| format!("{kind}_temp_path {kind};\n")).concat();
        let whole = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n"
        );
        fs::write(directory.join("nginx.conf"), whole).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory).args(["-e", "stderr", "-c", "nginx.conf"]);
        command
    },
};

const CADDY: Kind = Kind {
    program: "caddy",
    example: include_str!("../packaging/examples/Caddyfile"),
    replace: |directory, port, exporter| {
        let file = |name: &str| directory.join(name).display().to_string();
        let certificate = format!("tls {} {}", file("certificate"), file("key"));
        let hash = run(Command::new("caddy").args(["hash-password", "--plaintext", PASSWORD]));
        vec![
            // Without a certificate in its configuration, Caddy would ask for one on the Internet.
            ("metrics.example.com {", format!("{NAME}:{port} {{\n{certificate}")),
            ("prometheus HASH", format!("{USER} {}", hash.trim())),
            ("127.0.0.1:10048", exporter.to_string()),
        ]
    },
    command: |directory, site| {
        let whole = format!("{{\nadmin off\nauto_https disable_redirects\n}}\n{site}");
        fs::write(directory.join("Caddyfile"), whole).unwrap();
        let mut command = Command::new("caddy");
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(variable, directory);
        }
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(directory.join("Caddyfile"));
        command
    },
};

/// A running proxy. Ends when it is dropped.
struct Proxy {
    directory: TempDir,
    child: Child,
    port: u16,
}

/// What a client got.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Proxy {
    /// Starts it in front of this exporter.
    fn start(kind: &Kind, exporter: &Exporter) -> Self {
        loop {
            // Nobody has this port now. Where somebody takes it before the proxy does, another one is tried.
            let port = TcpListener::bind((PROXY, 0)).unwrap().local_addr().unwrap().port();
            if let Some(proxy) = Self::start_at(kind, exporter, port) {
                return proxy;
            }
        }
    }

    /// Starts it at this port; `None` where that is taken.
    fn start_at(kind: &Kind, exporter: &Exporter, port: u16) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        run(Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", &format!("/CN={NAME}")])
            .args(["-addext", &format!("subjectAltName=DNS:{NAME}"), "-keyout", "key", "-out", "certificate"])
            .current_dir(directory.path()));
        let mut site = kind.example.to_owned();
        for (from, to) in (kind.replace)(directory.path(), port, exporter.address) {
            assert_eq!(site.matches(from).count(), 1, "the example of {} has {from:?} once", kind.program);
            site = site.replace(from, &to);
        }
        let log = directory.path().join("log");
        let mut command = (kind.command)(directory.path(), site);
        command.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let mut proxy = Proxy { child: command.spawn().unwrap(), directory, port };
        let mut has_ended = false;
        wait_until(
            || {
                has_ended = proxy.child.try_wait().unwrap().is_some();
                // Nobody else has its certificate.
                has_ended || proxy.ask(PROXY, "/lifecycle/", &[]).is_some()
            },
            || fs::read_to_string(&log).unwrap(),
        );
        if has_ended {
            let said = fs::read_to_string(&log).unwrap();
            assert!(said.to_lowercase().contains("address already in use"), "{said}");
        }
        (!has_ended).then_some(proxy)
    }

    /// Asks from this address, with further arguments of curl. `None` where nothing answers under the certificate.
    fn ask(&self, from: &str, path: &str, arguments: &[&str]) -> Option<Answer> {
        let port = self.port;
        let output = Command::new("curl")
            .args(["--silent", "--include", "--max-time", "20", "--noproxy", "*", "--interface", from])
            .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1"), "--cacert"])
            .arg(self.directory.path().join("certificate"))
            .args(arguments)
            .arg(format!("https://{NAME}:{port}{path}"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// Asks with the password, and with further headers.
    fn get(&self, from: &str, path: &str, headers: &[&str]) -> Answer {
        let user = format!("{USER}:{PASSWORD}");
        let mut arguments = vec!["--user", &user];
        arguments.extend(headers.iter().flat_map(|header| ["--header", header]));
        self.ask(from, path, &arguments).unwrap_or_else(|| panic!("no answer for {path}"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether all programs for this proxy are there.
fn can_run(kind: &Kind) -> bool {
    [kind.program, "openssl", "curl"].into_iter().all(has_program)
}

/// Whether an answer is the refusal of a client that has this address.
fn assert_refused(answer: &Answer, address: &str) {
    assert!(answer.status == 403 && answer.body.contains(address), "{address}: {answer:?}");
}

fn nobody_looks_without_the_password(kind: &Kind) {
    if !can_run(kind) {
        return;
    }
    let exporter = Exporter::start(TRUSTING);
    let proxy = Proxy::start(kind, &exporter);
    for path in ["/lifecycle/", "/lifecycle/metrics", "/lifecycle/-/healthy", "/lifecycle/api/v1/open"] {
        for arguments in [&[][..], &["--user", "prometheus:another"]] {
            let answer = proxy.ask(ALLOWED, path, arguments).unwrap();
            assert_eq!(answer.status, 401, "{path}: {answer:?}");
        }
        let answer = proxy.get(ALLOWED, path, &[]);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    exporter.feed("{\"event\":\"signaling.session.resume_failed\"}\n");
    let metrics = proxy.get(ALLOWED, "/lifecycle/metrics?system=signaling", &[]).body;
    assert!(metrics.contains("\nsignaling_hub_sessions_resume_failed_total 1\n"), "{metrics}");
    // Nothing is served outside of the path.
    for path in ["/", "/metrics", "/lifecycles/metrics"] {
        let answer = proxy.get(ALLOWED, path, &[]);
        assert!(!answer.body.contains("lifecycle_exporter_"), "{path}: {answer:?}");
    }
}

/// With a slash at the end of the path and without.
fn the_page_and_its_links_are_below_the_path(kind: &Kind) {
    if !can_run(kind) {
        return;
    }
    let exporter = Exporter::start(TRUSTING);
    exporter.feed("{\"event\":\"signaling.session.resume_failed\"}\n");
    let proxy = Proxy::start(kind, &exporter);
    // What is on the page was fed before this.
    assert_eq!(proxy.get(ALLOWED, "/lifecycle/metrics", &[]).status, 200);
    let answer = proxy.get(ALLOWED, "/lifecycle", &[]);
    let location = answer.head.lines().find(|line| line.to_ascii_lowercase().starts_with("location:"));
    let location = location.unwrap_or_else(|| panic!("{answer:?}"))["location:".len()..].trim().to_owned();
    assert!((301..=302).contains(&answer.status) && location == "/lifecycle/", "{answer:?}");
    let page = proxy.get(ALLOWED, &location, &[]);
    assert_eq!(page.status, 200, "{page:?}");
    let targets = page.body.split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let links: Vec<&str> = targets.filter(|target| !target.starts_with("data:")).collect();
    assert!(links.iter().any(|link| link.ends_with("metrics")), "{links:?}");
    for link in links {
        assert!(!link.starts_with('/'), "{link} is not below the path of the page");
        let answer = proxy.get(ALLOWED, &format!("{location}{link}"), &[]);
        assert_eq!(answer.status, 200, "{link}: {answer:?}");
    }
}

fn a_client_cannot_choose_its_address(kind: &Kind) {
    if !can_run(kind) {
        return;
    }
    let exporter = Exporter::start(TRUSTING);
    let proxy = Proxy::start(kind, &exporter);
    let allowed = format!("X-Forwarded-For: {ALLOWED}");
    let forged = [
        vec![],
        vec![allowed.clone()],
        vec![allowed.clone(), allowed],
        vec![format!("X-Forwarded-For: {ALLOWED}, {PROXY}")],
        vec![format!("X-Real-IP: {ALLOWED}"), format!("Forwarded: for={ALLOWED}")],
    ];
    for headers in forged {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        for path in ["/lifecycle/", "/lifecycle/metrics"] {
            assert_refused(&proxy.get(DENIED, path, &headers), DENIED);
            // A user of the proxy's machine, whose address is that of a trusted proxy.
            assert_refused(&proxy.get(PROXY, path, &headers), PROXY);
        }
    }
    // Neither does a client that is allowed shut itself out.
    let denied = format!("X-Forwarded-For: {DENIED}");
    assert_eq!(proxy.get(ALLOWED, "/lifecycle/metrics", &[&denied]).status, 200);
}

fn without_trust_the_exporter_sees_the_proxy(kind: &Kind) {
    if !can_run(kind) {
        return;
    }
    let exporter = Exporter::start("[stats]\nallowed_ips = 127.0.0.5\n");
    let proxy = Proxy::start(kind, &exporter);
    // The exporter answers such an address at once, without a request. A proxy that gets the answer before it has sent
    // its request takes it for a broken connection.
    let mut answer = proxy.get(ALLOWED, "/lifecycle/metrics", &[]);
    wait_until(
        || {
            let is_early = answer.status == 502;
            if is_early {
                answer = proxy.get(ALLOWED, "/lifecycle/metrics", &[]);
            }
            !is_early
        },
        || "the refusal never arrives".to_owned(),
    );
    assert_refused(&answer, PROXY);
    drop(proxy);
    // The proxy is let in, and so is whoever asks through it; the page is served under a name that is configured.
    for (hosts, page) in [("", 421), (NAME, 200)] {
        let config = format!("[http]\nhosts = {hosts}\n[stats]\nallowed_ips = {PROXY}\n");
        let exporter = Exporter::start(&config);
        let proxy = Proxy::start(kind, &exporter);
        assert_eq!(proxy.get(DENIED, "/lifecycle/metrics", &[]).status, 200);
        assert_eq!(proxy.get(DENIED, "/lifecycle/", &[]).status, page, "[http] hosts = {hosts}");
    }
}

/// The tests of one proxy.
macro_rules! tests_of {
    ($proxy:ident, $kind:ident: $($test:ident),*) => {
        mod $proxy {
            $(#[test]
            fn $test() {
                super::$test(&super::$kind);
            })*
        }
    };
}
tests_of!(nginx, NGINX: nobody_looks_without_the_password, the_page_and_its_links_are_below_the_path,
    a_client_cannot_choose_its_address, without_trust_the_exporter_sees_the_proxy);
tests_of!(caddy, CADDY: nobody_looks_without_the_password, the_page_and_its_links_are_below_the_path,
    a_client_cannot_choose_its_address, without_trust_the_exporter_sees_the_proxy);
