"""What the dashboards show: a table for people to edit. `build.py` makes Grafana's JSON of it.

A query is PromQL with `{}` behind each metric, which becomes the selector of job and instance. Where a metric is a counter it stands in
`rate`, `increase` or the like; `RATE` is the range to use there, `RANGE` that of the whole picture.
"""

from typing import List, NamedTuple, Optional, Tuple

RATE = "$__rate_interval"
RANGE = "$__range"


class Panel(NamedTuple):
    """A picture of some queries."""

    title: str
    about: str
    #: Queries with their legends.
    queries: List[Tuple[str, str]]
    unit: str = "short"
    #: `timeseries`, or `stat` for one number.
    kind: str = "timeseries"
    #: Columns of 24.
    width: int = 8
    #: From which value on it is orange, and red.
    thresholds: Tuple[float, ...] = ()
    #: Below which value it is red.
    least: Optional[float] = None
    stacked: bool = False


class Dashboard(NamedTuple):
    """A page."""

    uid: str
    title: str
    about: str
    #: A metric that every target of this system has.
    metric: str
    #: Titles of rows, with their panels.
    rows: List[Tuple[str, List[Panel]]]


def stat(title: str, about: str, query: str, unit: str = "short", thresholds: Tuple[float, ...] = (), width: int = 4, least: Optional[float] = None) -> Panel:
    """One number."""
    return Panel(title, about, [(query, "")], unit, "stat", width, thresholds, least)


def lines(title: str, about: str, query: str, legend: str, unit: str = "short", **more: object) -> Panel:
    """A line for each series of one query."""
    return Panel(title, about, [(query, legend)], unit, **more)  # type: ignore[arg-type]


def quantiles(title: str, about: str, metric: str, by: str, unit: str, **more: object) -> Panel:
    """Median and 95th percentile of a histogram."""
    labels, legend = (f"le, {by}", f"{{{{{by}}}}} ") if by else ("le", "")
    queries = [
        (f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{}}[{RATE}])))", f"{legend}{name}")
        for q, name in ((0.5, "median"), (0.95, "95 %"))
    ]
    return Panel(title, about, queries, unit, **more)  # type: ignore[arg-type]


RECORDING = Dashboard(
    "lifecycle-recording",
    "Nextcloud Talk recordings",
    "Recordings now, failed, and not uploaded, and the hours recorded, of Nextcloud Talk recording servers.",
    "recording_recordings_total",
    [
        ("At a glance", [
            stat("Recordings now", "Recordings that run at this moment.", "sum(recording_recordings_current{})"),
            stat("Started", "Recordings begun in the time shown.", f"sum(increase(recording_recordings_total{{}}[{RANGE}]))"),
            stat("Failed", "Recordings that failed in the time shown: nothing of them is there.", f"sum(increase(recording_recordings_failed_total{{}}[{RANGE}]))", thresholds=(0.5, 5)),
            stat("Not uploaded", "Recordings that could not be uploaded in the time shown: their files wait on the recording server.", f"sum(increase(recording_recordings_uploads_failed_total{{}}[{RANGE}]))", thresholds=(0.5, 5)),
            stat("Recorded", "Duration of all recordings that ended well in the time shown.", f"sum(increase(recording_recordings_duration_seconds{{}}[{RANGE}]))", "s"),
            stat("Longest running", "How long the oldest recording has been open.", 'max(lifecycle_exporter_oldest_entity_age_seconds{system="recording", entity="recording", {}})', "s", (43200, 86400)),
        ]),
        ("By backend", [
            lines("Recordings now", "Recordings that run, by Nextcloud server.", "sum by (backend) (recording_recordings_current{})", "{{backend}}", width=12, stacked=True),
            lines("Recordings begun", "Recordings begun a second, by Nextcloud server.", f"sum by (backend) (rate(recording_recordings_total{{}}[{RATE}]))", "{{backend}}", "ops", width=12),
            lines("Failed", "Failed recordings within a sliding window of some scrapes, by Nextcloud server.", f"sum by (backend) (increase(recording_recordings_failed_total{{}}[{RATE}]))", "{{backend}}"),
            lines("Not uploaded", "Failed uploads within a sliding window of some scrapes, by Nextcloud server.", f"sum by (backend) (increase(recording_recordings_uploads_failed_total{{}}[{RATE}]))", "{{backend}}"),
            lines("Hours recorded", "Hours of recordings that ended well within a sliding window of some scrapes, by Nextcloud server.", f"sum by (backend) (increase(recording_recordings_duration_seconds{{}}[{RATE}])) / 3600", "{{backend}}", "h"),
        ]),
    ],
)

SIGNALING = Dashboard(
    "lifecycle-signaling",
    "Nextcloud signaling server",
    "Sessions, rooms, calls, publishers and proxies of Nextcloud signaling servers.",
    "signaling_hub_sessions_total",
    [
        ("At a glance", [
            stat("Sessions", "Sessions connected now.", "sum(signaling_hub_sessions{})"),
            stat("Rooms", "Rooms that are open now.", "sum(signaling_hub_rooms{})"),
            stat("In calls", "Sessions that are in a call now.", "sum(signaling_call_sessions{})"),
            stat("Publishers", "Publishers of media now.", "sum(signaling_mcu_publishers{})"),
            stat("No proxy", "Publishing requests in the time shown for which no proxy was available.", f"sum(increase(signaling_mcu_no_backend_available_total{{}}[{RANGE}]))", thresholds=(0.5, 10)),
            stat("Brute force", "Requests in the time shown that were rejected as brute force.", f"sum(increase(signaling_throttle_bruteforce_total{{}}[{RANGE}]))", thresholds=(0.5, 10)),
        ]),
        ("Sessions and rooms", [
            lines("Sessions", "Sessions connected, by Nextcloud server and kind of client.", "sum by (backend, clienttype) (signaling_hub_sessions{})", "{{backend}} {{clienttype}}", stacked=True),
            lines("Share of the session limit", "Sessions connected to each signaling server, as a share of the limit of their Nextcloud server there, where it has one.", "sum by (instance, backend) (signaling_hub_sessions{}) / (max by (instance, backend) (signaling_backend_session_limit{}) > 0)", "{{instance}} {{backend}}", "percentunit", thresholds=(0.8, 0.95)),
            lines("Rooms", "Rooms that are open, by Nextcloud server.", "sum by (backend) (signaling_hub_rooms{})", "{{backend}}"),
            lines("Joined", "Sessions that joined a second, by Nextcloud server.", f"sum by (backend) (rate(signaling_hub_sessions_total{{}}[{RATE}]))", "{{backend}}", "ops"),
            Panel("Resumed", "Sessions that came back a second, and that tried in vain.", [(f"sum(rate(signaling_hub_sessions_resume_total{{}}[{RATE}]))", "resumed"), (f"sum(rate(signaling_hub_sessions_resume_failed_total{{}}[{RATE}]))", "in vain")], "ops"),
            lines("Countries", "Connections a second, by country.", f"sum by (country) (rate(signaling_client_countries_total{{}}[{RATE}]))", "{{country}}", "ops"),
        ]),
        ("Media", [
            lines("Publishers", "Publishers, by what they send.", "sum by (type) (signaling_mcu_publishers{})", "{{type}}"),
            lines("Subscribers", "Subscribers, by what they receive.", "sum by (type) (signaling_mcu_subscribers{})", "{{type}}"),
            lines("Load of proxies", "Load of each signaling proxy, in its own measure.", "max by (url) (signaling_mcu_backend_load{})", "{{url}}"),
            lines("Bandwidth", "Media in bytes a second, by direction.", "sum by (direction) (signaling_mcu_bandwidth{})", "{{direction}}", "Bps"),
            lines("Bandwidth of proxies", "Media in bytes a second, by proxy and direction.", "sum by (url, direction) (signaling_mcu_backend_bandwidth{})", "{{url}} {{direction}}", "Bps"),
            Panel("Requests in vain", "Subscribe requests without a publisher and publishing requests without a proxy, a second.", [(f"sum by (type) (rate(signaling_mcu_nopublisher_total{{}}[{RATE}]))", "no publisher {{type}}"), (f"sum by (type) (rate(signaling_mcu_no_backend_available_total{{}}[{RATE}]))", "no proxy {{type}}")], "ops"),
        ]),
        ("Requests", [
            lines("Messages", "Signaling messages a second, by type.", f"sum by (type) (rate(signaling_server_messages_total{{}}[{RATE}]))", "{{type}}", "ops"),
            quantiles("Backend requests", "How long requests to Nextcloud take.", "signaling_backend_client_requests_duration", "backend", "s"),
            lines("Backend errors", "Requests to Nextcloud that had an error, a second.", f"sum by (backend, error) (rate(signaling_backend_client_requests_errors_total{{}}[{RATE}]))", "{{backend}} {{error}}", "ops"),
            lines("Throttled", "Requests delayed a second, by action.", f"sum by (action) (rate(signaling_throttle_delayed_total{{}}[{RATE}]))", "{{action}}", "ops"),
            lines("Brute force", "Requests rejected a second, by action.", f"sum by (action) (rate(signaling_throttle_bruteforce_total{{}}[{RATE}]))", "{{action}}", "ops"),
            Panel("GRPC calls", "Calls between signaling servers a second, by method.", [(f"sum by (method) (rate(signaling_grpc_client_calls_total{{}}[{RATE}]))", "out {{method}}"), (f"sum by (method) (rate(signaling_grpc_server_calls_total{{}}[{RATE}]))", "in {{method}}")], "ops"),
        ]),
    ],
)

PROXY = Dashboard(
    "lifecycle-proxy",
    "Nextcloud signaling proxy",
    "Sessions, streams and load of Nextcloud signaling proxies.",
    "signaling_proxy_sessions",
    [
        ("At a glance", [
            stat("Sessions", "Signaling servers and clients connected now.", "sum(signaling_proxy_sessions{})", width=6),
            stat("Publishers", "Publishers of media now.", "sum(signaling_proxy_publishers{})", width=6),
            stat("Subscribers", "Subscribers of media now.", "sum(signaling_proxy_subscribers{})", width=6),
            stat("Token errors", "Sessions in the time shown that came with a bad token.", f"sum(increase(signaling_proxy_token_errors_total{{}}[{RANGE}]))", thresholds=(0.5, 10), width=6),
        ]),
        ("Streams", [
            lines("Load", "Load of each proxy, in its own measure.", "max by (instance) (signaling_proxy_load{})", "{{instance}}"),
            lines("Publishers", "Publishers, by what they send.", "sum by (type) (signaling_proxy_publishers{})", "{{type}}", stacked=True),
            lines("Subscribers", "Subscribers, by what they receive.", "sum by (type) (signaling_proxy_subscribers{})", "{{type}}", stacked=True),
            lines("Sessions", "Sessions of each proxy.", "sum by (instance) (signaling_proxy_sessions{})", "{{instance}}"),
            Panel("Created and resumed", "Sessions created and resumed a second.", [(f"sum(rate(signaling_proxy_sessions_total{{}}[{RATE}]))", "created"), (f"sum(rate(signaling_proxy_sessions_resumed_total{{}}[{RATE}]))", "resumed")], "ops"),
            lines("Token errors", "Sessions a second that came with a bad token, by reason.", f"sum by (reason) (rate(signaling_proxy_token_errors_total{{}}[{RATE}]))", "{{reason}}", "ops"),
            lines("Commands", "Command messages a second, by type.", f"sum by (type) (rate(signaling_proxy_command_messages_total{{}}[{RATE}]))", "{{type}}", "ops", width=12),
            lines("Payloads", "Payload messages a second, by type.", f"sum by (type) (rate(signaling_proxy_payload_messages_total{{}}[{RATE}]))", "{{type}}", "ops", width=12),
        ]),
    ],
)

EDUMEET = Dashboard(
    "lifecycle-edumeet",
    "edumeet and mediasoup",
    "Rooms, peers, bytes and scores of edumeet's media server.",
    "edumeet_rooms",
    [
        ("At a glance", [
            stat("Rooms", "Rooms that are open now.", "sum(edumeet_rooms{})", width=6),
            stat("Peers", "Peers in all rooms now.", "sum(edumeet_peers{})", width=6),
            stat("Producers", "Streams that peers send now.", "count(mediasoup_producer_score{})", width=6),
            stat("Worst score", "The worst transmission quality of a consumer now, from 0 to 10.", "min(mediasoup_consumer_score{})", width=6, least=4),
        ]),
        ("By room", [
            lines("Peers", "Peers, by room.", "sum by (room_id) (edumeet_peers{})", "{{room_id}}", stacked=True),
            lines("Received", "Bytes a second that producers send to the server, by room.", f"sum by (room_id) (rate(mediasoup_producer_byte_count_bytes{{}}[{RATE}]))", "{{room_id}}", "Bps"),
            lines("Sent", "Bytes a second that consumers are sent by the server, by room.", f"sum by (room_id) (rate(mediasoup_consumer_byte_count_bytes{{}}[{RATE}]))", "{{room_id}}", "Bps"),
            lines("Score of producers", "The worst transmission quality of a producer from 0 to 10, by room.", "min by (room_id) (mediasoup_producer_score{})", "{{room_id}}", width=12),
            lines("Score of consumers", "The worst transmission quality of a consumer from 0 to 10, by room.", "min by (room_id) (mediasoup_consumer_score{})", "{{room_id}}", width=12),
        ]),
        ("By codec and worker", [
            lines("Streams by codec", "Streams that peers send, by codec.", "count by (codec) (mediasoup_producer_score{})", "{{codec}}", width=12),
            lines("Bytes by worker", "Bytes sent a second, by the process that sends them.", f"sum by (pid) (rate(mediasoup_consumer_byte_count_bytes{{}}[{RATE}]))", "{{pid}}", "Bps", width=12),
        ]),
    ],
)

VLOG = Dashboard(
    "lifecycle-vlog",
    "vlog video platform",
    "API, transcoding, workers, storage and playback of vlog.",
    "vlog_info",
    [
        ("At a glance", [
            stat("Requests", "HTTP requests a second.", f"sum(rate(vlog_http_requests_total{{}}[{RATE}]))", "reqps"),
            stat("Errors", "Share of HTTP requests that were answered with a 5xx.", f'sum(rate(vlog_http_requests_total{{status_code=~"5..", {{}}}}[{RATE}])) / sum(rate(vlog_http_requests_total{{}}[{RATE}]))', "percentunit", (0.01, 0.05)),
            stat("Watching", "Playback sessions now.", "sum(vlog_playback_sessions_active{})"),
            stat("Transcoding", "Transcoding jobs that run now.", "sum(vlog_transcoding_jobs_active{})"),
            stat("Queue", "Jobs that wait to be transcoded.", "sum(vlog_transcoding_queue_size{})", thresholds=(50, 200)),
            stat("Workers", "Workers that are registered.", "sum(vlog_workers_total{})", least=1),
        ]),
        ("API", [
            lines("Requests", "HTTP requests a second, by interface.", f"sum by (api) (rate(vlog_http_requests_total{{}}[{RATE}]))", "{{api}}", "reqps"),
            lines("Status", "HTTP requests a second, by status code.", f"sum by (status_code) (rate(vlog_http_requests_total{{}}[{RATE}]))", "{{status_code}}", "reqps"),
            quantiles("Duration", "How long requests take, over all endpoints.", "vlog_http_request_duration_seconds", "", "s"),
            lines("In progress", "Requests that are being answered, by interface.", "sum by (api) (vlog_http_requests_in_progress{})", "{{api}}"),
            quantiles("Slow endpoints", "How long requests take, by endpoint.", "vlog_http_request_duration_seconds", "endpoint", "s", width=16),
        ]),
        ("Transcoding and workers", [
            lines("Jobs", "Transcoding jobs a second, by what became of them.", f"sum by (status) (rate(vlog_transcoding_jobs_total{{}}[{RATE}]))", "{{status}}", "ops"),
            quantiles("Duration", "How long one quality takes.", "vlog_transcoding_job_duration_seconds", "quality", "s"),
            Panel("Queues", "Jobs and videos that wait.", [("sum(vlog_transcoding_queue_size{})", "transcoding"), ("sum by (status) (vlog_reencode_queue_size{})", "re-encode {{status}}")]),
            lines("Workers", "Registered workers, by status.", "sum by (status) (vlog_workers_total{})", "{{status}}", stacked=True),
            lines("Silence", "Time since the latest heartbeat of each worker.", "max by (worker_name) (vlog_worker_heartbeat_age_seconds{})", "{{worker_name}}", "s", thresholds=(60, 300)),
            lines("Jobs completed", "Jobs that each worker completed a second.", f"sum by (worker_name) (rate(vlog_worker_jobs_completed_total{{}}[{RATE}]))", "{{worker_name}}", "ops"),
        ]),
        ("Videos and playback", [
            lines("Videos", "Videos, by status.", "sum by (status) (vlog_videos_total{})", "{{status}}"),
            lines("Uploads", "Uploads a second, by result.", f"sum by (result) (rate(vlog_video_uploads_total{{}}[{RATE}]))", "{{result}}", "ops"),
            Panel("Playback", "Views a second, and viewers at the same time by the time watched.", [(f"sum(rate(vlog_video_views_total{{}}[{RATE}]))", "views a second"), (f"sum(rate(vlog_videos_watch_time_seconds_total{{}}[{RATE}]))", "watching")]),
        ]),
        ("Storage, database, tasks", [
            stat("Stored", "Size of all videos at the latest complete look.", "sum(vlog_storage_videos_bytes{})", "bytes", width=6),
            stat("Reconciliation", "Result of the latest look at the storage: 1 complete, 0 failed, −1 partial.", "min(vlog_storage_reconciliation_status{})", width=6, least=1),
            stat("Redis circuit", "0 closed, 1 open: then it goes on without Redis.", "max(vlog_redis_circuit_breaker_state{})", thresholds=(0.5, 1), width=6),
            stat("Database connections", "Connections to the database now.", "sum(vlog_db_connections_active{})", width=6),
            lines("Written", "Bytes written to storage a second.", f"sum(rate(vlog_storage_bytes_written_total{{}}[{RATE}]))", "written", "Bps"),
            quantiles("Queries", "How long database queries take.", "vlog_db_query_duration_seconds", "operation", "s"),
            lines("Redis", "Redis operations a second, by result.", f"sum by (result) (rate(vlog_redis_operations_total{{}}[{RATE}]))", "{{result}}", "ops"),
            lines("Storage operations", "Storage operations a second, by operation and result.", f"sum by (operation, result) (rate(vlog_storage_operations_total{{}}[{RATE}]))", "{{operation}} {{result}}", "ops"),
            lines("Task errors", "Background tasks that failed, a second.", f"sum by (task_name) (rate(vlog_background_task_errors_total{{}}[{RATE}]))", "{{task_name}}", "ops"),
            lines("Since the last success", "How long ago each background task last succeeded.", "time() - max by (task_name) (vlog_background_task_last_success_timestamp_seconds{})", "{{task_name}}", "s"),
        ]),
    ],
)

EXPORTER = Dashboard(
    "lifecycle-exporter",
    "lifecycle-exporter",
    "The exporter itself: what it reads, what is open, its producers, its state and what it costs.",
    "lifecycle_exporter_build_info",
    [
        ("At a glance", [
            stat("Events", "Events applied a second.", f"sum(rate(lifecycle_exporter_events_total{{}}[{RATE}]))", "ops"),
            stat("Rejected", "Lines rejected in the time shown.", f"sum(increase(lifecycle_exporter_events_rejected_total{{}}[{RANGE}]))", thresholds=(0.5, 100)),
            stat("Producers", "Connections of producers now.", "sum(lifecycle_exporter_producers{})"),
            stat("Open", "Entities open now, of all systems.", "sum(lifecycle_exporter_entities{})"),
            stat("Series", "Series of all systems now.", "sum(lifecycle_exporter_series{})", thresholds=(100000, 1000000)),
            stat("Configured", "Whether the configuration on disk is in force everywhere.", "min(lifecycle_exporter_config_last_reload_successful{})", least=1),
        ]),
        ("Feed", [
            lines("Events", "Events applied a second, the most frequent ones.", f"topk(10, sum by (event) (rate(lifecycle_exporter_events_total{{}}[{RATE}])))", "{{event}}", "ops", width=12),
            lines("Rejected", "Lines rejected a second, by reason.", f"sum by (reason) (rate(lifecycle_exporter_events_rejected_total{{}}[{RATE}]))", "{{reason}}", "ops", width=12),
            lines("Producers", "Connected runs of each producer: 0 where none is connected and one may still come back.", "sum by (producer) (lifecycle_exporter_producer_connected{})", "{{producer}}"),
            lines("Abandoned", "Entities a second that their producer gave up, by kind.", f"sum by (system, entity) (rate(lifecycle_exporter_abandoned_total{{}}[{RATE}]))", "{{system}} {{entity}}", "ops"),
            lines("Refused", "Connections of producers refused a second, by reason.", f"sum by (reason) (rate(lifecycle_exporter_connections_refused_total{{}}[{RATE}]))", "{{reason}}", "ops"),
        ]),
        ("What is open", [
            lines("Entities", "Entities that are open, by kind.", "sum by (system, entity) (lifecycle_exporter_entities{})", "{{system}} {{entity}}"),
            lines("Oldest", "How long the oldest entity of each kind has been open.", "max by (system, entity) (lifecycle_exporter_oldest_entity_age_seconds{})", "{{system}} {{entity}}", "s"),
            lines("Series", "Series, by system.", "sum by (system) (lifecycle_exporter_series{})", "{{system}}", stacked=True),
        ]),
        ("State and cost", [
            lines("Journal", "Size of the journal.", "sum by (instance) (lifecycle_exporter_journal_bytes{})", "{{instance}}", "bytes"),
            lines("Failures to write", "Failures to write state, a second.", f"sum by (instance) (rate(lifecycle_exporter_journal_errors_total{{}}[{RATE}]))", "{{instance}}", "ops"),
            lines("Answers", "HTTP requests answered a second, by status code.", f"sum by (code) (rate(lifecycle_exporter_http_requests_total{{}}[{RATE}]))", "{{code}}", "reqps"),
            lines("Processor", "Processor time used, in cores.", f"sum by (instance) (rate(process_cpu_seconds_total{{}}[{RATE}]))", "{{instance}}"),
            lines("Memory", "Memory resident.", "sum by (instance) (process_resident_memory_bytes{})", "{{instance}}", "bytes"),
            lines("Descriptors", "Files and sockets that are open.", "sum by (instance) (process_open_fds{})", "{{instance}}"),
        ]),
    ],
)

ALL = [RECORDING, SIGNALING, PROXY, EDUMEET, VLOG, EXPORTER]
