"""The exporter itself."""

from .panels import FIRST, GOOD_BAD, NEVER, OF_EXPORTERS, SCAN, UP_DOWN, Dashboard, bars, down, firing, lines, now, ranking, stat, states, total, up

UPTIME = f"time() - (process_start_time_seconds{{}}{OF_EXPORTERS})"
MISSING = "((lifecycle_exporter_producer_expected{} > 0) unless (lifecycle_exporter_producer_connected{} > 0))"

EXPORTER = Dashboard(
    "lifecycle-exporter",
    "lifecycle-exporter",
    "The exporter itself: what it reads and rejects, its producers, its state, its scans and what it costs.",
    "lifecycle_exporter_build_info",
    "Lifecycle.*",
    [
        (FIRST, [
            firing("Lifecycle.*", 3),
            down(width=3),
            stat("Producers missing", "Producers that [events] expect names and that are not connected: what happens there is not counted. See whether those servers run.", f"count({MISSING}) or vector(0)", limit="ANY", width=3),
            stat("State", "bad: the state of an exporter cannot be written. It goes on in memory; its log names the file and the error, such as a full disk.", "min(lifecycle_exporter_state_writable{})", least="AT_LEAST", names=GOOD_BAD, width=3),
            stat("Configuration", "bad: a configuration on disk has a fault, and the former one is in force. lifecycle-exporter check names it.", "min(lifecycle_exporter_config_last_reload_successful{})", least="AT_LEAST", names=GOOD_BAD, width=3),
            now("Open now", "Recordings, sessions, jobs and all else that is open. The row What is open says of which kind.", "sum(lifecycle_exporter_entities{}) or vector(0)"),
            total("Rejected", "Lines rejected in the time shown: those events are not counted. The status page shows the latest line of each reason.", "lifecycle_exporter_events_rejected_total{}", warning="ANY", width=3),
            total("Lost with server", "What was given up in the time shown because its producer ended. See why that server ended or was restarted.", "lifecycle_exporter_abandoned_total{}", warning="ANY", width=3),
        ]),
        ("Exporters", [
            stat("Up", "Exporters that can be scraped now. Compare it with the number of your hosts.", f"count({up()} == 1) or vector(0)", least="AT_LEAST"),
            stat("Versions", "How many exporters run which version. More than one number: an upgrade is not complete.", "count by (version) (lifecycle_exporter_build_info{})", legend="{{version}}"),
            stat("Latest restart", "How long ago an exporter was last started. If nobody restarted it, read its log: journalctl -u lifecycle-exporter.", f"min({UPTIME})", "s"),
            stat("Configuration read", "How long ago the exporter that is worst off last read its configuration with success. After a change, reload: systemctl reload lifecycle-exporter.", "time() - min(lifecycle_exporter_config_last_reload_success_timestamp_seconds{})", "s"),
            stat("State saved", "How long ago the exporter that is worst off last saved all of its state. In between, it writes a journal. never: it has no state directory, or has just begun.", "max((time() - (lifecycle_exporter_snapshot_timestamp_seconds{} > 0)) or (lifecycle_exporter_snapshot_timestamp_seconds{} - 1))", "s", names=NEVER),
            now("Series", "Series of all systems now: what Prometheus has to store.", "sum(lifecycle_exporter_series{})", width=4),
            states("Up", "When exporters could be scraped, the twenty worst. Often up and down: look at the network, and at the scrape's timeout.", f"bottomk(20, {up()})", "{{site}} {{instance}}", UP_DOWN),
            states("State can be written", "When state was kept as configured, the twenty worst. A bad time: a full disk, or one that did not answer.", "bottomk(20, lifecycle_exporter_state_writable{})", "{{site}} {{instance}}", GOOD_BAD),
            states("Configuration", "When the configuration on disk was in force, the twenty worst. lifecycle-exporter check names the fault.", "bottomk(20, lifecycle_exporter_config_last_reload_successful{})", "{{site}} {{instance}}", GOOD_BAD),
        ]),
        ("Events and producers", [
            lines("Events", "Events applied a second, the ten most frequent. One that stops while others go on: that producer does not report any more.", "topk(10, sum by (event) (rate(lifecycle_exporter_events_total{}[$__rate_interval])))", "{{event}}", "ops"),
            bars("Rejected", "Lines rejected, by reason. The README tells what each reason means.", "lifecycle_exporter_events_rejected_total{}", "reason", colour="orange"),
            ranking("Silence", "How long no event has come, the ten systems and exporters that have been silent for longest. If people use them, try the socket: lifecycle-exporter send.", "topk(10, time() - (lifecycle_exporter_last_event_timestamp_seconds{} > 0))", "{{site}} {{instance}} {{system}}", "s", warning="FEED_SILENT"),
            states("Producers", "Whether producers are connected, the twenty with fewest connections: 0 where none is and one may still come back.", "bottomk(20, clamp_max(lifecycle_exporter_producer_connected{}, 1))", "{{site}} {{instance}} {{producer}}", ((1, "connected", "green"), (0, "gone", "red"))),
            lines("Connections", "Connections of producers, by exporter, the ten with most. A line that only rises: a producer leaves connections open.", "topk(10, lifecycle_exporter_producers{})", "{{site}} {{instance}}"),
            bars("Refused", "Connections of producers refused, by reason. peer_credentials: allow that user or group in [events]; max_connections: raise it, or see who leaves connections open.", "lifecycle_exporter_connections_refused_total{}", "reason"),
            bars("Lost with server", "What was given up because its producer ended, by kind. Read the log of that server at that time.", "lifecycle_exporter_abandoned_total{}", "system, entity", colour="orange"),
            bars("Times ignored", "Event times that were more than a day off the clock. Set that producer's clock.", "lifecycle_exporter_event_times_ignored_total{}"),
            bars("Labels cut", "Labels cut to 1024 bytes, by system. Something long is sent as a label.", "lifecycle_exporter_label_cuts_total{}", "system"),
        ]),
        ("What is open", [
            lines("Open", "What is open, the ten kinds with most. A line that only rises: ends are not reported.", "topk(10, sum by (system, entity) (lifecycle_exporter_entities{}))", "{{system}} {{entity}}"),
            ranking("Oldest", "How long the oldest of each kind has been open, the ten highest. The status page names them.", "topk(10, max by (system, entity) (lifecycle_exporter_oldest_entity_age_seconds{}))", "{{system}} {{entity}}", "s"),
            lines("Series", "Series, by system. A line that only rises: a label holds something unbounded.", "sum by (system) (lifecycle_exporter_series{})", "{{system}}", stacked=True, width=4),
            bars("Over the limit of series", "Changes that found their metric at its limit, the ten metrics with most. New labels are counted together: find out what is unbounded, or raise [limits] series_per_metric.", "lifecycle_exporter_series_overflow_total{}", "metric", width=4),
        ]),
        ("Scans", [
            states("Results", "Results of scans, the twenty worst. The log says what could not be read, or that time or files did not suffice ([scan NAME] timeout, max_files).", "bottomk(20, lifecycle_exporter_scan_status{})", "{{site}} {{instance}} {{scan}}", SCAN),
            ranking("Since the last success", "How long ago each scan was last complete, the ten worst off. Above the limit it hangs or fails.", "topk(10, time() - (lifecycle_exporter_scan_last_success_timestamp_seconds{} > 0))", "{{site}} {{instance}} {{scan}}", "s", limit="SCAN_STALE"),
            ranking("Oldest file", "Age of the oldest file found, the ten highest. In a recorder's directory, an old file was never uploaded.", "topk(10, time() - (lifecycle_exporter_scan_oldest_file_timestamp_seconds{} > 0))", "{{site}} {{instance}} {{scan}}", "s"),
            lines("Size", "Size of the files found, the ten largest. Compare it with the size of the disk.", "topk(10, lifecycle_exporter_scan_bytes{})", "{{site}} {{instance}} {{scan}}", "bytes"),
            lines("Files", "Number of files found, the ten highest. A line that only rises: nothing clears that directory.", "topk(10, lifecycle_exporter_scan_files{})", "{{site}} {{instance}} {{scan}}"),
            lines("Duration", "How long scans take, the ten longest. Longer than their interval: look less often.", "topk(10, lifecycle_exporter_scan_duration_seconds{})", "{{site}} {{instance}} {{scan}}", "s"),
        ]),
        ("What it costs", [
            lines("Processor", "Processor time used, in cores, the ten highest. Near 1, events wait: see which are so frequent.", f"topk(10, rate(process_cpu_seconds_total{{}}[$__rate_interval]){OF_EXPORTERS})", "{{site}} {{instance}}", interval="15m"),
            lines("Memory", "Memory resident, the ten highest. [limits] memory bounds what entities and series take.", f"topk(10, process_resident_memory_bytes{{}}{OF_EXPORTERS})", "{{site}} {{instance}}", "bytes"),
            lines("Descriptors", "Files and sockets that are open, as a share of those allowed, the ten highest. Above the limit, raise LimitNOFILE, or see who leaves connections open.", f"topk(10, process_open_fds{{}} / process_max_fds{{}}{OF_EXPORTERS})", "{{site}} {{instance}}", "percentunit", limit="DESCRIPTORS_SHARE"),
            lines("Journal", "Size of the journal, the ten largest. It becomes small when all of the state is saved.", "topk(10, lifecycle_exporter_journal_bytes{})", "{{site}} {{instance}}", "bytes"),
            bars("Failures to write", "Failures to write state. The exporter's log names the file and the error.", "lifecycle_exporter_journal_errors_total{}"),
            bars("Answers", "HTTP requests answered, by status code. 403: [stats] allowed_ips does not have that client.", "lifecycle_exporter_http_requests_total{}", "code"),
        ]),
    ],
)
