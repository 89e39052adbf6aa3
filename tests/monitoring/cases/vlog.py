"""Cases of alerts about the vlog video platform."""

from cases.table import Case, exceeds, grows, shares, slow

HEARTBEAT = "vlog_worker_heartbeat_age_seconds"
WORKERS = "vlog_workers_total"
INFO = "vlog_info"
REQUESTS = "vlog_http_requests_total"
ERRORS = "vlog_background_task_errors_total"
SUCCESS = "vlog_background_task_last_success_timestamp_seconds"

CASES = [
    exceeds(
        "VlogWorkerSilent", "warning", HEARTBEAT, 'worker_name="w"', 300, 2, "The worker w of HOST has been silent for 5m 1s."
    ),
    Case("VlogWorkerSilent", "warning", {HEARTBEAT + '{instance="h", worker_name="w"}': "Inf " * 60}, {30: []}),
    Case(
        "VlogWorkerNeverHeard",
        "warning",
        {HEARTBEAT + '{instance="h", worker_name="w"}': "_x20 " + "Inf " * 60, HEARTBEAT + '{instance="h", worker_name="v"}': "1e9x60"},
        {25: [], 26: [('instance="h", worker_name="w"', "The worker w of h was registered and has not been heard of since.")]},
    ),
    # `offline` has one that is offline, `none` none at all; `other` is no vlog.
    Case(
        "VlogNoWorkers",
        "critical",
        {
            INFO + '{instance="offline", version="1", app="vlog"}': "1x200",
            WORKERS + '{instance="offline", status="online"}': "2x99 0x100",
            WORKERS + '{instance="offline", status="offline"}': "0x99 2x100",
            INFO + '{instance="none", version="1", app="vlog"}': "_x150 1x50",
            INFO + '{instance="good", version="1", app="vlog"}': "1x200",
            WORKERS + '{instance="good", status="online"}': "1x200",
            WORKERS + '{instance="good", status="offline"}': "1x200",
            WORKERS + '{instance="other", status="online"}': "0x200",
        },
        {
            104: [],
            105: [('instance="offline"', "No worker of offline is online.")],
            155: [('instance="offline"', "No worker of offline is online."), ('instance="none"', "No worker of none is online.")],
        },
    ),
    shares(
        "VlogErrors",
        "critical",
        REQUESTS + '{method="GET", endpoint="/videos", status_code="502", api="public"}',
        REQUESTS + '{method="POST", endpoint="/upload", status_code="200", api="admin"}',
        0.05,
        20,
        "SHARE of the requests to HOST are answered with a 5xx.",
    ),
    # Errors of several kinds, among requests of several.
    Case(
        "VlogErrors",
        "critical",
        {
            REQUESTS + '{instance="h", method="GET", endpoint="/", status_code="500", api="public"}': "0+4x60",
            REQUESTS + '{instance="h", method="POST", endpoint="/", status_code="503", api="admin"}': "0+6x60",
            REQUESTS + '{instance="h", method="GET", endpoint="/", status_code="200", api="public"}': "0+50x60",
            REQUESTS + '{instance="h", method="POST", endpoint="/", status_code="200", api="admin"}': "0+40x60",
        },
        {30: [('instance="h"', "10% of the requests to h are answered with a 5xx.")]},
        ends=False,
    ),
    Case(
        "VlogRedisErrors",
        "warning",
        {
            'vlog_redis_operations_total{instance="h", operation="get", result="failed"}': "0+4x60",
            'vlog_redis_operations_total{instance="h", operation="set", result="timeout"}': "0+6x60",
            'vlog_redis_operations_total{instance="h", operation="get", result="success"}': "0+50x60",
            'vlog_redis_operations_total{instance="h", operation="set", result="success"}': "0+40x60",
        },
        {30: [('instance="h"', "10% of the Redis operations of h fail.")]},
        ends=False,
    ),
    # A 4xx is no error of ours.
    Case(
        "VlogErrors",
        "critical",
        {
            REQUESTS + '{instance="h", method="GET", endpoint="/", status_code="404", api="public"}': "0+50x60",
            REQUESTS + '{instance="h", method="GET", endpoint="/", status_code="200", api="public"}': "0+50x60",
        },
        {30: []},
        ends=False,
    ),
    slow(
        "VlogSlow",
        "vlog_http_request_duration_seconds",
        'method="GET", endpoint="/videos"',
        2,
        "One in twenty requests to HOST takes TIME or more.",
        "2.333s",
        "3.9s",
        second='method="POST", endpoint="/"',
    ),
    grows(
        "VlogUploadsFail",
        "warning",
        "vlog_video_uploads_total",
        'result="failed"',
        60,
        "1 upload to HOST failed within an hour.",
        left="",
        keep=720,
    ),
    Case(
        "VlogUploadsFail",
        "warning",
        {
            'vlog_video_uploads_total{instance="h", result="failed"}': "0x99 1x60",
            'vlog_video_uploads_total{instance="h", result="refused"}': "0x99 1x60",
            'vlog_video_uploads_total{instance="h", result="success"}': "0x99 7x60",
        },
        {100: [('instance="h"', "2 uploads to h failed within an hour.")]},
        ends=False,
    ),
    grows(
        "VlogTranscodingFails",
        "warning",
        "vlog_transcoding_jobs_total",
        'status="failed"',
        60,
        "4 transcoding jobs of HOST failed within an hour.",
        by=4,
        limit=3,
        keep=720,
    ),
    Case("VlogTranscodingFails", "warning", {'vlog_transcoding_jobs_total{instance="h", status="completed"}': "0+9x60"}, {30: []}, ends=False),
    # `gaps` is not scraped now and then, `dips` and `fresh` have not been long for half an hour, `even` is at the limit.
    Case(
        "VlogQueueLong",
        "warning",
        {
            'vlog_transcoding_queue_size{instance="gaps"}': "150x100 stale 150x18 stale 150x80",
            'vlog_transcoding_queue_size{instance="dips"}': "150x109 90 150x90",
            'vlog_transcoding_queue_size{instance="fresh"}': "_x100 150x100",
            'vlog_transcoding_queue_size{instance="even"}': "100x200",
        },
        {
            126: [('instance="gaps"', "150 jobs wait to be transcoded on gaps.")],
            139: [(f'instance="{host}"', f"150 jobs wait to be transcoded on {host}.") for host in ("fresh", "gaps")],
            141: [(f'instance="{host}"', f"150 jobs wait to be transcoded on {host}.") for host in ("dips", "fresh", "gaps")],
        },
        ends=False,
    ),
    exceeds("VlogQueueLong", "warning", "vlog_transcoding_queue_size", "", 100, 30, "101 jobs wait to be transcoded on HOST."),
    exceeds(
        "VlogJobWaits",
        "warning",
        "lifecycle_exporter_oldest_entity_age_seconds",
        'system="vlog", entity="job"',
        7200,
        5,
        "A job on HOST has not been done for 2h 0m 1s.",
    ),
    Case(
        "VlogJobWaits",
        "warning",
        {
            'lifecycle_exporter_oldest_entity_age_seconds{instance="h", system="vlog", entity="video"}': "9000x200",
            'lifecycle_exporter_oldest_entity_age_seconds{instance="h", system="other", entity="job"}': "9000x200",
        },
        {150: []},
    ),
    exceeds("VlogRedisCircuitOpen", "warning", "vlog_redis_circuit_breaker_state", "", 0, 2, "vlog on HOST goes on without Redis."),
    Case("VlogRedisCircuitOpen", "warning", {'vlog_redis_circuit_breaker_state{instance="h"}': "2x60"}, {30: []}),
    shares(
        "VlogRedisErrors",
        "warning",
        'vlog_redis_operations_total{operation="get", result="failed"}',
        'vlog_redis_operations_total{operation="set", result="success"}',
        0.05,
        100,
        "SHARE of the Redis operations of HOST fail.",
    ),
    # Partly, and not at all; the third is complete.
    Case(
        "VlogStorageNotReconciled",
        "warning",
        {
            'vlog_storage_reconciliation_status{instance="partly"}': "1x99 -1x200",
            'vlog_storage_reconciliation_status{instance="failed"}': "1x99 0x200",
            'vlog_storage_reconciliation_status{instance="good"}': "1x300",
        },
        {
            159: [],
            160: [
                ('instance="partly"', "The latest look at the storage of partly was not complete."),
                ('instance="failed"', "The latest look at the storage of failed was not complete."),
            ],
        },
    ),
    Case(
        "VlogTaskNeverSucceeded",
        "warning",
        {
            ERRORS + '{instance="never", task_name="t"}': "0x99 1x200",
            ERRORS + '{instance="once", task_name="t"}': "1x300",
            SUCCESS + '{instance="once", task_name="t"}': "60x300",
            ERRORS + '{instance="good", task_name="t"}': "0x300",
        },
        {159: [], 160: [('instance="never", task_name="t"', "The task t of never failed 1 time and never succeeded.")]},
    ),
    Case(
        "VlogTaskStale",
        "warning",
        {
            SUCCESS + '{instance="old", task_name="t"}': f"{100 * 60 - 86400 - 1}x200",
            SUCCESS + '{instance="young", task_name="t"}': f"{110 * 60 - 86400}x200",
        },
        {109: [], 110: [('instance="old", task_name="t"', "The task t of old last succeeded 1d 0h 10m 1s ago.")]},
    ),
]
