//! The shipped rules, run by `vmalert` over what `VictoriaMetrics` has received.

use std::fs;
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

use crate::servers::{Process, Server};
use crate::support::{Exporter, has_program};
use crate::{BACKEND, files};

#[test]
fn vmalert_runs_the_same_rules() {
    if !has_program("vmalert") || !has_program("victoria-metrics") || !has_program("prometheus") {
        return;
    }
    let event = |name: &str| {
        format!("{{\"event\":\"recording.{name}\",\"backend\":\"{BACKEND}\",\"recording\":\"r\"}}\n")
    };
    let directory = tempfile::tempdir().unwrap();
    for path in files("packaging/prometheus/rules", ".yml") {
        // An older vmalert, such as Debian's, does not know it. The README says so.
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| !line.contains("keep_firing_for"));
        let text = lines.collect::<Vec<_>>().join("\n").replace("interval: 30s", "interval: 200ms");
        fs::write(directory.path().join(path.file_name().unwrap()), text).unwrap();
    }
    let config = format!("[startup]\nevent = recording.backend_configured backend={BACKEND}\n");
    let exporter = Exporter::start(&config);
    let victoria = Server::victoria_metrics();
    // It has been scraped for a while. `young`, which has failures, too, has not.
    let now = UNIX_EPOCH.elapsed().unwrap().as_millis();
    let known = |ago: u128| format!("up{{job=\"lifecycles\",instance=\"host\"}} 1 {}\n", now - ago * 30_000);
    victoria.import(&(20..45).map(known).collect::<String>());
    let young = Exporter::start(&config);
    young.feed(event("started") + &event("failed"));
    let _prometheus = Server::prometheus(
        &format!(
            "global: {{scrape_interval: 200ms}}\nscrape_configs:\n  - job_name: lifecycles\n    static_configs: [{{targets: [\"{}\"], labels: {{instance: host}}}}, {{targets: [\"{}\"], labels: {{instance: young}}}}]\nremote_write: [{{url: \"http://{}/api/v1/write\", queue_config: {{batch_send_deadline: 200ms}}}}]\n",
            exporter.address, young.address, victoria.address
        ),
        &[],
    );
    victoria.wait_for(
        &format!("recording_recordings_failed_total{{backend=\"{BACKEND}\",instance=\"host\"}}"),
        0.0,
    );
    let store = format!("http://{}", victoria.address);
    let mut vmalert = Command::new("vmalert");
    vmalert
        .arg(format!("-rule={}/*.yml", directory.path().display()))
        .arg(format!("-datasource.url={store}"))
        .arg(format!("-remoteWrite.url={store}"))
        .args([
            "-remoteWrite.flushInterval=200ms",
            "-evaluationInterval=200ms",
            "-httpListenAddr=127.0.0.1:0",
        ])
        .args(["-notifier.url=http://127.0.0.1:1", "-external.url=http://127.0.0.1"])
        .stderr(Stdio::null());
    let _vmalert = Process::spawn(&mut vmalert);
    exporter.feed(event("started"));
    victoria.wait_for("backend:recording_recordings_current:sum", 1.0);
    victoria.wait_for("job:lifecycle_exporter_build_info:count", 2.0);
    let failed = "count(ALERTS{alertname=\"RecordingFailed\",alertstate=\"firing\",severity=\"critical\",instance=\"host\"})";
    assert_eq!(victoria.value(failed), None);
    exporter.feed(event("failed"));
    victoria.wait_for(failed, 1.0);
    assert_eq!(victoria.value("count(ALERTS{alertname=\"RecordingFailed\",instance=\"young\"})"), None);
}
