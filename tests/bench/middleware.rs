//! What the Python client's ASGI middleware adds to a request, beside two middlewares that count in the process itself.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::RUNS;
use crate::programs::{result, shipped};
use crate::report::{report, skipped};
use crate::support::python::python_with;
use crate::support::run;
use crate::tools::exporter;

/// Requests of one run, for each middleware.
const REQUESTS: usize = 20_000;

pub fn middleware() {
    let Some(python) = python_with("starlette, prometheus_client") else {
        return skipped("ASGI middlewares", "target/python/bin/pip install starlette prometheus_client");
    };
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers/middleware.py");
    let runs: Vec<Value> = (0..RUNS)
        .map(|_| {
            let exporter = exporter();
            let mut command = Command::new(&python);
            command.arg(&program).arg(REQUESTS.to_string());
            command.env("PYTHONPATH", shipped("python")).env("LIFECYCLE_EVENTS_SOCKET", &exporter.socket);
            result(&run(&mut command))
        })
        .collect();
    let all = |key: &str| runs.iter().map(|run| run[key].as_f64().unwrap() * 1e6).collect::<Vec<_>>();
    let times =
        |key: &str| all(key).iter().zip(all("ours")).map(|(theirs, ours)| theirs / ours).collect::<Vec<_>>();
    report("ASGI middleware of the Python client: microseconds a request", all("ours"));
    report("  counting in an ASGI application of its own: microseconds", all("pure"));
    report("  times ours", times("pure"));
    report("  counting in Starlette's BaseHTTPMiddleware: microseconds", all("base"));
    report("  times ours", times("base"));
}
