//! The clients of `packaging/producers`: what an `emit` takes of its caller, beside counting in the process itself with the usual library,
//! and how many events a second arrive for good.

use serde_json::Value;

use crate::RUNS;
use crate::programs::{Emitter, result};
use crate::report::{report, skipped};
use crate::support::run;
use crate::tools::exporter;

/// Events of one run.
const EVENTS: usize = 200_000;

pub fn producers() {
    let emitters = Emitter::all();
    if emitters.is_empty() {
        skipped("clients", "neither Python nor Node nor Go is on this machine");
    }
    for emitter in emitters {
        let results: Vec<Value> = (0..RUNS)
            .map(|_| {
                let exporter = exporter();
                result(&run(emitter.command(&exporter.socket, EVENTS).arg("compare")))
            })
            .collect();
        let all = |key: &str, scale: f64| -> Vec<f64> {
            results.iter().filter_map(|result| result[key].as_f64()).map(|figure| figure * scale).collect()
        };
        let language = emitter.language;
        let emit = report(&format!("{language} client: microseconds an emit"), all("emit_seconds", 1e6));
        let inc = all("inc_seconds", 1e6);
        let library = match language {
            "Python" => "prometheus_client",
            "Node" => "prom-client",
            _ => "",
        };
        if inc.is_empty() && !library.is_empty() {
            skipped(&format!("  microseconds an inc() of {library}"), "the library is not installed");
        } else if !inc.is_empty() {
            let inc = report(&format!("  microseconds an inc() of {library}"), inc);
            report(&format!("  times an inc() of {library}"), vec![emit / inc]);
        }
        report(
            &format!("{language} client: thousand events a second, acknowledged"),
            all("events_per_second", 1e-3),
        );
    }
}
