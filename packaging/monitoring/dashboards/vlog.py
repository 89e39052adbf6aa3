"""The vlog video platform."""

from .panels import FIRST, NONE, REDIS, Dashboard, Names, abandoned, bars, down, firing, heatmap, lines, now, oldest, p95, ranking, several, share, silence, stat, states, total

RECONCILED: Names = ((1, "complete", "green"), (0, "failed or never", "orange"), (-1, "partial", "orange"))

VLOG = Dashboard(
    "lifecycle-vlog",
    "vlog video platform",
    "API, transcoding, workers, storage and playback of vlog.",
    "vlog_info",
    "Vlog.*",
    [
        (FIRST, [
            firing("Vlog.*"),
            down("vlog"),
            silence("vlog"),
            now("Watching", "Playback sessions now. 0 on a busy day: see whether videos can be played.", "sum(vlog_playback_sessions_active{}) or vector(0)", width=4),
            now("Transcoding", "Transcoding jobs that run now. 0 while jobs wait: look at the workers.", "sum(vlog_transcoding_jobs_active{}) or vector(0)", width=4),
            stat("Workers", "Workers that are registered and not offline. 0: uploads are taken and not transcoded; start a worker, its log says why it cannot register.", 'sum(vlog_workers_total{status!="offline", {}}) or vector(0)', least="AT_LEAST", width=4),
            total("Failed jobs", "Transcoding jobs that failed in the time shown: those videos are not published. The workers' logs say what ffmpeg did not like.", 'vlog_transcoding_jobs_total{status="failed", {}}', warning="ANY", width=6),
            total("Failed uploads", "Uploads of videos that failed in the time shown. The application's log says why; a full disk and size limits of a proxy are usual.", 'vlog_video_uploads_total{result!="success", {}}', warning="ANY", width=6),
            total("Server errors", "HTTP requests that were answered with a 5xx in the time shown. The row of the API says when and where; the application's log says why.", 'vlog_http_requests_total{status_code=~"5..", {}}', warning="ANY", width=6),
            abandoned("vlog", 6),
        ]),
        ("How good is it?", [
            stat("Errors now", "Share of HTTP requests that are answered with a 5xx. The row of the API says where; the application's log says why.", share('vlog_http_requests_total{status_code=~"5..", {}}', "vlog_http_requests_total{}"), "percentunit", limit="HTTP_ERRORS_SHARE", width=3),
            stat("Response time, 95 %", "95 of 100 HTTP requests take less. The row of the API names the slow endpoints.", p95("vlog_http_request_duration_seconds"), "s", limit="HTTP_P95", decimals=1, width=3),
            stat("Waiting jobs", "Jobs that wait to be transcoded. Above the limit, start more workers.", "sum(vlog_transcoding_queue_size{}) or vector(0)", limit="QUEUE_LENGTH", width=3),
            oldest("Oldest open job", "How long the oldest transcoding job has been open, waiting or running. Above the limit, see in its worker's log whether it makes progress.", "vlog", "job", "OLDEST_JOB", 3),
            stat("Silent worker", "How long the worker that has been silent for longest has sent no heartbeat. See whether its process runs and reaches the API.", "max(vlog_worker_heartbeat_age_seconds{} < Inf) or vector(-1)", "s", limit="WORKER_SILENT", names=NONE, width=3),
            stat("Redis errors now", "Share of Redis operations that fail. See whether Redis runs and answers (redis-cli ping).", share('vlog_redis_operations_total{result!="success", {}}', "vlog_redis_operations_total{}"), "percentunit", limit="REDIS_ERRORS_SHARE", width=3),
            stat("Redis", "bypassed: vlog goes on without Redis, slower. It closes by itself when Redis answers.", "max(vlog_redis_circuit_breaker_state{}) or vector(0)", limit="ANY", names=REDIS, width=3),
            stat("Stale task", "How long ago the background task that is worst off last succeeded. Above the limit, look at the row of tasks.", "time() - min(vlog_background_task_last_success_timestamp_seconds{}) or vector(-1)", "s", limit="TASK_STALE", names=NONE, width=3),
        ]),
        ("API", [
            lines("Requests", "HTTP requests a second, by interface. A line that falls to 0: try that interface.", "sum by (api) (rate(vlog_http_requests_total{}[$__rate_interval]))", "{{api}}", "reqps"),
            lines("Status", "HTTP requests a second, by status code. Many 404: a link is broken. Any 5xx: see which endpoints below.", "sum by (status_code) (rate(vlog_http_requests_total{}[$__rate_interval]))", "{{status_code}}", "reqps"),
            heatmap("Duration", "How long requests take, over all endpoints. A second, higher band: see which endpoints beside it.", "vlog_http_request_duration_seconds", "s"),
            lines("Slow endpoints", "95 of 100 requests take less, the ten slowest endpoints. Compare with slow queries of the database.", "topk(10, histogram_quantile(0.95, sum by (le, endpoint) (rate(vlog_http_request_duration_seconds_bucket{}[$__rate_interval]))))", "{{endpoint}}", "s", limit="HTTP_P95"),
            bars("Faulty endpoints", "Requests that were answered with a 5xx, the ten endpoints with most. Read the application's log about them.", 'vlog_http_requests_total{status_code=~"5..", {}}', "endpoint", colour="red"),
            lines("In progress", "Requests that are being answered, by interface. A line that only rises: requests that hang.", "sum by (api) (vlog_http_requests_in_progress{})", "{{api}}"),
        ]),
        ("Transcoding and workers", [
            bars("Jobs", "Transcoding jobs, by what became of them. More retried and failed than completed: read the workers' logs.", "vlog_transcoding_jobs_total{}", "status"),
            bars("Failed jobs", "Transcoding jobs that failed within each hour. Read the workers' logs of that time.", 'vlog_transcoding_jobs_total{status="failed", {}}', interval="1h", limit="JOBS_FAILED_HOUR"),
            heatmap("Duration", "How long one quality of one video takes. A band that moves up: the workers are overloaded, or videos became longer.", "vlog_transcoding_job_duration_seconds", "s"),
            several("Queues", "Jobs and videos that wait. A line that only rises: start more workers.", [("sum(vlog_transcoding_queue_size{})", "transcoding"), ("sum by (status) (vlog_reencode_queue_size{})", "re-encoding, {{status}}")]),
            lines("Workers", "Registered workers, by status. All busy while jobs wait: start more.", "sum by (status) (vlog_workers_total{})", "{{status}}", stacked=True),
            ranking("Silent workers", "Time since the latest heartbeat, the ten workers with most. Remove a worker that is gone for good.", "topk(10, vlog_worker_heartbeat_age_seconds{} < Inf)", "{{site}} {{instance}} {{worker_name}}", "s", limit="WORKER_SILENT"),
            bars("Completed jobs", "Jobs completed, the ten workers with most. A worker that is missing here does not work.", "vlog_worker_jobs_completed_total{}", "worker_name"),
            bars("Re-encoding", "Videos encoded anew, by what became of them. Failed ones keep their former encoding; the workers' logs say why.", "vlog_reencode_jobs_total{}", "status"),
            lines("Heartbeats", "Heartbeats of workers a second, by result. Failed ones: a worker reaches the API, and it has an error.", "sum by (result) (rate(vlog_worker_heartbeat_total{}[$__rate_interval]))", "{{result}}", "ops"),
        ]),
        ("Videos and playback", [
            lines("Videos", "Videos, by status. A number that stays in processing: look at the oldest job.", "sum by (status) (vlog_videos_total{})", "{{status}}"),
            bars("Uploads", "Uploads of videos, by result. Failed ones: read the application's log of that time.", "vlog_video_uploads_total{}", "result"),
            lines("Watching", "Playback sessions, by server, the ten with most. One server with none: see whether it is among those that are balanced.", "topk(10, vlog_playback_sessions_active{})", "{{site}} {{instance}}"),
            bars("Views", "Views of videos. None on a busy day: see whether videos can be played.", "vlog_video_views_total{}"),
            lines("Watched", "Seconds of video watched a second: people who watch at the same time.", "sum(rate(vlog_videos_watch_time_seconds_total{}[$__rate_interval]))", "people"),
            lines("Applications", "Running applications, by version. Two versions: an upgrade is not complete.", "count by (app, version) (vlog_info{})", "{{app}} {{version}}"),
        ]),
        ("Storage, database, tasks", [
            stat("Stored", "Size of all videos at the latest complete look. Compare it with the size of the disk.", "sum(vlog_storage_videos_bytes{}) or vector(0)", "bytes", width=8),
            stat("Database connections", "Connections to the database now. Near the pool's size, requests wait: enlarge it, or look at slow queries.", "sum(vlog_db_connections_active{}) or vector(0)", width=8),
            total("Retried queries", "Database queries that were tried again in the time shown. Many: the database is overloaded, or restarts.", "vlog_db_query_retries_total{}", width=8),
            states("Reconciliation", "Results of the looks at the storage, the twenty worst servers. failed or never: the exporter's log says what could not be read, or no [scan ...] with system = vlog is configured.", "bottomk(20, vlog_storage_reconciliation_status{})", "{{site}} {{instance}}", RECONCILED),
            states("Redis circuit", "When vlog went on without Redis, the twenty worst servers. See in Redis's log what happened at that time.", "topk(20, vlog_redis_circuit_breaker_state{})", "{{site}} {{instance}}", REDIS),
            lines("Redis", "Redis operations a second, by result. Failed ones: see whether Redis runs and answers.", "sum by (result) (rate(vlog_redis_operations_total{}[$__rate_interval]))", "{{result}}", "ops"),
            heatmap("Database queries", "How long database queries take. A band that moves up: look at the database's load and its indexes.", "vlog_db_query_duration_seconds", "s"),
            lines("Slow queries", "95 of 100 database queries take less, by operation. Slow inserts and updates: look at its disk; slow selects: at its indexes.", "histogram_quantile(0.95, sum by (le, operation) (rate(vlog_db_query_duration_seconds_bucket{}[$__rate_interval])))", "{{operation}}", "s"),
            lines("Storage operations", "Storage operations a second, by operation and result. Failed ones: see whether the storage is mounted and has room.", "sum by (operation, result) (rate(vlog_storage_operations_total{}[$__rate_interval]))", "{{operation}} {{result}}", "ops"),
            lines("Written", "Bytes written to storage a second. Nothing while jobs run: see whether the disk is full.", "sum(rate(vlog_storage_bytes_written_total{}[$__rate_interval]))", "written", "Bps", width=6),
            heatmap("Duration of tasks", "How long background tasks take. Longer than the time between two runs: run them less often.", "vlog_background_task_duration_seconds", "s", width=6),
            bars("Failed tasks", "Background tasks that failed, the ten with most. The application's log says why.", "vlog_background_task_errors_total{}", "task_name", width=6),
            ranking("Since the last success", "How long ago each background task last succeeded, the ten worst off. Above the limit it fails, or does not run at all.", "topk(10, time() - vlog_background_task_last_success_timestamp_seconds{})", "{{site}} {{instance}} {{task_name}}", "s", limit="TASK_STALE", width=6),
        ]),
    ],
)
