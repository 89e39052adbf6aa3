"""What is wrong, for whom, and what to do: a table for people to edit. `rules.py` makes rules and the runbook of it.

An expression keeps all labels of the target, so that sites whose hosts have the same name stay apart. Its counters are taken by `grown`: a
first failure is seen where its series begins with it, and an exporter that Prometheus has only just heard of says nothing.
"""

from typing import Dict, List, NamedTuple

import limits
from promql import STREAM, counted, grown, share

CRITICAL, WARNING, INFO = "critical", "warning", "info"


class Alert(NamedTuple):
    """One alert, and its section in the runbook."""

    name: str
    expr: str
    severity: str
    #: One line with the host. `{n:one|many}` is the value with the word that fits it, `{n:many}` where it is never 1.
    summary: str
    meaning: str
    impact: str
    #: Where to look, and what to do.
    look: str
    do: str
    #: How long it has to be so before it fires, and goes on firing when it is over.
    wait: str = ""
    keep: str = ""


def oldest(system: str, entity: str, limit: float) -> str:
    """The oldest open entity of a kind is older than that."""
    return f'lifecycle_exporter_oldest_entity_age_seconds{{system="{system}", entity="{entity}"}} > {limit:g}'


RECORDING = [
    Alert(
        "RecordingFailed",
        f"{grown('recording_recordings_failed_total', '15m', 'backend')} > 0",
        CRITICAL,
        "{n:recording|recordings} of {{ $labels.backend }} failed on {{ $labels.instance }}",
        "A recording ended without a file.",
        "Nothing of it is there. Those who asked for it have been told by Nextcloud.",
        "The recording server's log around that time: browser, ffmpeg and PulseAudio say there why they ended. If the server itself ended, "
        "its unit's log says why.",
        "If all recordings fail, try one by hand, and mend what it meets. A single one cannot be brought back.",
        keep="1h",
    ),
    Alert(
        "RecordingUploadFailed",
        f"{grown('recording_recordings_uploads_failed_total', '15m', 'backend')} > 0",
        WARNING,
        "{n:recording|recordings} of {{ $labels.backend }} could not be uploaded from {{ $labels.instance }}",
        "A recording is complete, but Nextcloud did not take it.",
        "The file waits in the recording server's directory; whoever asked for it does not have it. Nobody uploads it again by himself.",
        "The directory of the backend ([backend] directory of server.conf) has the files of that time; the log says why the upload failed: "
        "a limit of size before Nextcloud, a full disk, a server that cannot be reached.",
        "Mend the cause and upload the files by hand. The alert goes on for half a day, since no metric says that somebody has done so: "
        "silence it then.",
        keep="12h",
    ),
    Alert(
        "RecordingOpenForADay",
        oldest("recording", "recording", limits.RECORDING_OPEN),
        WARNING,
        "A recording on {{ $labels.instance }} has been running for {{ $value | humanizeDuration }}",
        "Somebody may have forgotten to stop it, or its end was never reported.",
        "It fills the disk, and the number of recordings is one too high if it has ended.",
        "The exporter's status page names the recording and its backend.",
        "If the call is still going on, ask its moderators. If not, stop the recording there, or restart the recording server, which gives up "
        "what was open.",
        wait="5m",
    ),
    Alert(
        "RecordingUploadTakesLong",
        oldest("recording", "upload", limits.UPLOAD_OPEN),
        WARNING,
        "An upload from {{ $labels.instance }} has been going on for {{ $value | humanizeDuration }}",
        "Nextcloud does not take the file, or takes it slowly.",
        "The recording is not with whoever asked for it.",
        "The recording server's log says whether the upload goes on, the access log of Nextcloud whether it arrives.",
        "Restart the recording server if nothing moves, and upload the file by hand.",
        wait="5m",
    ),
    Alert(
        "RecordingLeftovers",
        'lifecycle_exporter_scan_files{scan=~".*recording.*"} > 0\n'
        f"and time() - lifecycle_exporter_scan_oldest_file_timestamp_seconds > {limits.LEFTOVER_AGE}",
        WARNING,
        "{n:file lies|files lie} in {{ $labels.scan }} on {{ $labels.instance }}, the oldest for more than a day",
        "The recorder's directory has files that are too old to be of a recording that runs.",
        "They are recordings that were never uploaded, and they fill the disk.",
        "The directory that the scan is configured for ([scan NAME] directory).",
        "Upload them by hand or remove them. The next scan ends the alert.",
        wait="15m",
    ),
]

SESSIONS = "sum without (clienttype) (signaling_hub_sessions)"
REQUESTS = counted("signaling_backend_client_requests_total", "10m")
REQUEST_ERRORS = grown("signaling_backend_client_requests_errors_total", "10m", "backend, error")


def failed_states(metric: str, limit: float) -> str:
    """Of the connections that came to something, the share of those that failed."""
    failed = grown(f'{metric}{{state="failed"}}', "10m", "state")
    ended = counted(f'{metric}{{state=~"connected|failed"}}', "10m")
    return share(f"sum without (state) {failed}", f"sum without (state) {ended}", 20) + f" > {limit:g}"


#: The exporters among what has sessions.
OF_SESSIONS = "ignoring (backend, clienttype, version, revision) lifecycle_exporter_build_info"

SIGNALING = [
    Alert(
        "SignalingSessionsNearLimit",
        f"{SESSIONS}\n  / (signaling_backend_session_limit > 0) > {limits.SESSIONS_SHARE:g}",
        WARNING,
        "{{ $labels.backend }} uses {{ $value | humanizePercentage }} of its sessions on {{ $labels.instance }}",
        "The sessions of a backend come near the limit that is configured for it.",
        "At the limit, users cannot join any more.",
        "signaling_hub_sessions by clienttype says who is connected.",
        "Raise sessionlimit of this backend in the signaling server's configuration if the machine can take it.",
        wait="5m",
    ),
    Alert(
        "SignalingSessionLimitExceeded",
        f"{grown('signaling_backend_session_limit_exceeded_total', '10m', 'backend')} > 0",
        CRITICAL,
        "{n:user was|users were} turned away from {{ $labels.backend }} on {{ $labels.instance }}: its limit of sessions is reached",
        "A backend has as many sessions as it may have.",
        "Users were turned away.",
        "signaling_hub_sessions by clienttype says who is connected.",
        "Raise sessionlimit of this backend, or find out who opens so many sessions.",
        keep="30m",
    ),
    Alert(
        "SignalingBruteforce",
        f"sum without (action) {grown('signaling_throttle_bruteforce_total', '10m', 'action')} > {limits.BRUTEFORCE_TEN_MINUTES}",
        WARNING,
        "{n:requests were} rejected as brute force on {{ $labels.instance }} within ten minutes",
        "Somebody guesses rooms or tokens, or a client goes wrong in a loop.",
        "Nobody gets in as long as they are rejected; users behind the same address are slowed down with them.",
        "The signaling server's log names the addresses, signaling_throttle_bruteforce_total by action what they tried.",
        "If the addresses belong to a proxy of your own, set trustedproxies, so that the real ones are counted. Otherwise block them.",
    ),
    Alert(
        "SignalingNoProxyAvailable",
        f"sum without (type) {grown('signaling_mcu_no_backend_available_total', '10m', 'type')} > 0",
        CRITICAL,
        "{n:publishing request|publishing requests} found no proxy on {{ $labels.instance }}",
        "No signaling proxy took somebody's media.",
        "Those users are neither heard nor seen.",
        "signaling_mcu_backend_connections says whether proxies are connected, signaling_mcu_backend_usage whether they are full.",
        "Start the proxies that are down. If all are full, add one or raise their bandwidth limits.",
        keep="15m",
    ),
    Alert(
        "SignalingProxyLost",
        "sum without (country) (signaling_mcu_backend_connections)\n"
        "  < max_over_time(sum without (country) (signaling_mcu_backend_connections)[1d:5m])",
        WARNING,
        "{{ $labels.instance }} has {n:connection|connections} to proxies, fewer than within the last day",
        "The signaling server has lost a signaling proxy and does not get it back.",
        "The others have more to carry; without any, nobody is heard or seen.",
        "The signaling server's log names the proxy; its own log and unit say whether it runs.",
        "Start it, or take it out of the signaling server's [mcu] urls if it is gone for good.",
        wait="5m",
    ),
    Alert(
        "SignalingProxyFull",
        f"max without (direction) (signaling_mcu_backend_usage) > {limits.PROXY_USAGE_PERCENT}",
        WARNING,
        "The proxy {{ $labels.url }} uses {{ $value | printf \"%.0f\" }} % of its bandwidth ({{ $labels.instance }})",
        "A signaling proxy is nearly at its bandwidth limit.",
        "New streams go to other proxies; if all are full, new users are neither heard nor seen.",
        "signaling_mcu_backend_usage of the other proxies: is one full while another idles?",
        "Add a proxy, or raise the limit of this one if its line can take it.",
        wait="5m",
    ),
    Alert(
        "SignalingBackendErrors",
        share(f"sum without (error) {REQUEST_ERRORS}", REQUESTS, 20) + f" > {limits.BACKEND_ERRORS_SHARE:g}",
        WARNING,
        "{{ $value | humanizePercentage }} of the requests from {{ $labels.instance }} to {{ $labels.backend }} fail",
        "Requests of the signaling server to Nextcloud have errors.",
        "Users may not be able to join, or may not be told who is there.",
        "signaling_backend_client_requests_errors_total says the kind of error, Nextcloud's log of that server why.",
        "Mend Nextcloud, or the way to it.",
        wait="5m",
    ),
    Alert(
        "SignalingBackendSlow",
        "histogram_quantile(0.95, rate(signaling_backend_client_requests_duration_bucket[10m]))\n"
        f"  > {limits.BACKEND_P95:g} and increase(signaling_backend_client_requests_duration_count[10m]) >= 20",
        WARNING,
        "One in twenty requests from {{ $labels.instance }} to {{ $labels.backend }} takes {{ $value | humanizeDuration }} or more",
        "Nextcloud answers the signaling server slowly.",
        "Joining takes long, and may time out.",
        "The load of the Nextcloud server, its database and its PHP workers.",
        "Give Nextcloud more workers, or find what slows it down.",
        wait="10m",
    ),
    Alert(
        "SignalingClientsSlow",
        "histogram_quantile(0.95, rate(signaling_client_rtt_bucket[10m]))\n"
        f"  > {limits.CLIENT_RTT_P95:g} and increase(signaling_client_rtt_count[10m]) >= 20",
        WARNING,
        "One in twenty clients of {{ $labels.instance }} waits {{ $value | printf \"%.0f\" }} ms or more for an answer",
        "The way between many clients and the signaling server is slow.",
        "Joining and changes in calls are delayed; media is affected where it takes the same way.",
        "The host's network and load; signaling_client_rtt as a heatmap says whether all clients are slow or some.",
        "Mend the network of the host, or add a signaling server near those clients.",
        wait="10m",
    ),
    Alert(
        "SignalingMediaSlow",
        "histogram_quantile(0.95, sum without (media) (rate(signaling_mcu_media_rtt_bucket[10m])))\n"
        f"  > {limits.MEDIA_RTT_P95:g} and sum without (media) (increase(signaling_mcu_media_rtt_count[10m])) >= 20",
        WARNING,
        "One in twenty media connections of {{ $labels.instance }} takes {{ $value | printf \"%.0f\" }} ms or more there and back",
        "Media take long between many people and the media server.",
        "People interrupt each other.",
        "signaling_mcu_media_rtt as a heatmap says whether all are slow or some; the host's network and load.",
        "Mend the network of the host, or add a signaling proxy near those people.",
        wait="10m",
    ),
    Alert(
        "SignalingMediaJitters",
        "histogram_quantile(0.95, sum without (media, origin) (rate(signaling_mcu_media_jitter_bucket[10m])))\n"
        f"  > {limits.MEDIA_JITTER_P95:g} and sum without (media, origin) (increase(signaling_mcu_media_jitter_count[10m])) >= 20",
        WARNING,
        "One in twenty media connections of {{ $labels.instance }} has a jitter of {{ $value | printf \"%.0f\" }} ms or more",
        "Packets of media arrive unevenly.",
        "Voices are chopped, and pictures freeze.",
        "signaling_mcu_media_jitter as a heatmap says whether it is so for all or some; signaling_mcu_media_lost_total, and the host's load.",
        "If it is so for all, mend the network of the host or give it more processors.",
        wait="10m",
    ),
    Alert(
        "SignalingResumesFail",
        # Those that came back begin to be counted with the first session.
        share(
            "increase(signaling_hub_sessions_resume_failed_total[10m])",
            "increase(signaling_hub_sessions_resume_failed_total[10m])\n"
            "  + (sum without (backend, clienttype) (increase(signaling_hub_sessions_resume_total[10m]))\n"
            "    or 0 * increase(signaling_hub_sessions_resume_failed_total[10m]))",
            20,
        )
        + f" > {limits.RESUME_FAILED_SHARE:g}",
        WARNING,
        "{{ $value | humanizePercentage }} of the sessions that came back to {{ $labels.instance }} could not be resumed",
        "Clients come back after a break, and the signaling server no longer knows them.",
        "They join anew: users drop out of their calls for a moment.",
        "Whether the signaling server was restarted, and whether a load balancer sends clients to another server than before.",
        "Keep clients with their server, or let the servers know each other by GRPC.",
        wait="15m",
    ),
    Alert(
        "SignalingIceFails",
        failed_states("signaling_mcu_ice_state_total", limits.ICE_FAILED_SHARE),
        WARNING,
        "{{ $value | humanizePercentage }} of the media connections to {{ $labels.instance }} find no way (ICE)",
        "Clients and the media server do not reach each other.",
        "Those users are neither heard nor seen.",
        "signaling_mcu_selected_candidate_total says which ways are found: host, srflx, relay.",
        "See that the media server's UDP ports are open, its public address is right, and the TURN server answers.",
        wait="5m",
    ),
    Alert(
        "SignalingDtlsFails",
        failed_states("signaling_mcu_dtls_state_total", limits.DTLS_FAILED_SHARE),
        WARNING,
        "{{ $value | humanizePercentage }} of the media connections to {{ $labels.instance }} fail in their handshake (DTLS)",
        "Media connections find a way, but their encryption is not agreed upon.",
        "Those users are neither heard nor seen.",
        "The media server's log; whether packets larger than 1,200 bytes get through.",
        "Lower the DTLS packet size of the media server, or mend the network on the way.",
        wait="5m",
    ),
    Alert(
        "SignalingCountedTwice",
        f"(signaling_hub_sessions unless {OF_SESSIONS})\n"
        f"and on (backend, clienttype) (signaling_hub_sessions and {OF_SESSIONS})",
        INFO,
        "The sessions of {{ $labels.backend }} come from {{ $labels.instance }} and from an exporter that follows its log",
        "A signaling server's own /metrics is scraped beside an exporter that has the same metrics.",
        "Sums count each session twice.",
        "The targets of Prometheus: which of them have signaling_hub_sessions.",
        "Drop the metrics of one of them (metric_relabel_configs), or stop scraping it.",
        wait="15m",
    ),
]

PROXY = [
    Alert(
        "ProxyTokenErrors",
        f"sum without (reason) {grown('signaling_proxy_token_errors_total', '10m', 'reason')} > {limits.TOKEN_ERRORS_TEN_MINUTES}",
        WARNING,
        "{n:sessions} came with a bad token to {{ $labels.instance }} within ten minutes",
        "A signaling server has a key that this proxy does not know, its clock is wrong, or somebody tries.",
        "That signaling server cannot use this proxy.",
        "signaling_proxy_token_errors_total by reason; the proxy's log names who came.",
        "Compare the keys under [tokens] with those of the signaling servers, and the clocks of both machines.",
    ),
    Alert(
        "ProxyUnused",
        "max_over_time(signaling_proxy_sessions[30m]) == 0 and signaling_proxy_sessions offset 30m == 0",
        WARNING,
        "No signaling server is connected to the proxy {{ $labels.instance }}",
        "A signaling proxy runs, but nobody uses it.",
        "It takes no media, so the other proxies have more to carry.",
        "The urls of the signaling servers' [mcu] section, and their logs.",
        "Add the proxy there, or mend the way to it.",
        wait="5m",
    ),
]

SCORES = '(mediasoup_producer_score{type!="simulcast"} or mediasoup_consumer_score{type!="simulcast"})'

EDUMEET = [
    Alert(
        "EdumeetBadTransmission",
        share(
            f"count without ({STREAM}) ({SCORES} < {limits.STREAM_SCORE})",
            f"count without ({STREAM}) {SCORES}",
            4,
        )
        + f" > {limits.BAD_STREAMS_SHARE:g}",
        WARNING,
        "{{ $value | humanizePercentage }} of the streams on {{ $labels.instance }} are transmitted badly",
        "Many streams have a score below 4 of 10. Streams of several layers are left out: their lowest layer is often off.",
        "People do not understand or see each other.",
        "mediasoup_producer_score says whose streams into the server are bad, mediasoup_consumer_score those out of it.",
        "If all rooms are affected, look at the server's own network and load. If it is one room or peer, it is theirs.",
        wait="5m",
    ),
    Alert(
        "EdumeetRoomOpenForADay",
        oldest("edumeet", "room", limits.ROOM_OPEN),
        INFO,
        "A room on {{ $labels.instance }} has been open for {{ $value | humanizeDuration }}",
        "It may be in use all the time, or its end was never reported.",
        "Nobody is harmed, but the number of rooms may be one too high.",
        "The exporter's status page names the room.",
        "If nobody is in it, restart edumeet when nobody else is, either.",
        wait="5m",
    ),
]

HTTP = "method, endpoint, status_code, api"

VLOG = [
    Alert(
        "VlogWorkerSilent",
        f"vlog_worker_heartbeat_age_seconds > {limits.WORKER_SILENT} and vlog_worker_heartbeat_age_seconds < Inf",
        WARNING,
        "The worker {{ $labels.worker_name }} of {{ $labels.instance }} has been silent for {{ $value | humanizeDuration }}",
        "A worker that was there does not send heartbeats any more.",
        "Its job is given to another one, if there is one.",
        "Whether its process runs and reaches the API; its log.",
        "Start it again, or remove it if it is gone for good.",
        wait="2m",
    ),
    Alert(
        "VlogWorkerNeverHeard",
        "vlog_worker_heartbeat_age_seconds == Inf",
        WARNING,
        "The worker {{ $labels.worker_name }} of {{ $labels.instance }} was registered and has not been heard of since",
        "A worker has been registered for some minutes, and has sent no heartbeat.",
        "It does not work.",
        "Whether its process runs and reaches the API; its log.",
        "Start it, or remove it.",
        wait="6m",
    ),
    Alert(
        "VlogNoWorkers",
        "max without (version, app) (vlog_info)\n"
        '  unless count without (status) (vlog_workers_total{status!="offline"} > 0)',
        CRITICAL,
        "No worker of {{ $labels.instance }} is online",
        "No worker is registered, or all are offline.",
        "Uploads are taken and not transcoded.",
        "vlog_workers_total by status; the workers' logs.",
        "Start a worker; its log says why it cannot register.",
        wait="5m",
    ),
    Alert(
        "VlogErrors",
        share(
            f"sum without ({HTTP}) {grown('''vlog_http_requests_total{status_code=~'5..'}''', '10m', HTTP)}",
            f"sum without ({HTTP}) {counted('vlog_http_requests_total', '10m')}",
            20,
        )
        + f" > {limits.HTTP_ERRORS_SHARE:g}",
        CRITICAL,
        "{{ $value | humanizePercentage }} of the requests to {{ $labels.instance }} are answered with a 5xx",
        "The application fails to answer.",
        "Visitors see errors.",
        "vlog_http_requests_total by endpoint says where, the application's log why.",
        "Mend what the log names; go back to the former version if this began with an upgrade.",
        wait="5m",
    ),
    Alert(
        "VlogSlow",
        "histogram_quantile(0.95, sum without (method, endpoint) (rate(vlog_http_request_duration_seconds_bucket[10m])))\n"
        f"  > {limits.HTTP_P95:g} and sum without (method, endpoint) (increase(vlog_http_request_duration_seconds_count[10m])) >= 20",
        WARNING,
        "One in twenty requests to {{ $labels.instance }} takes {{ $value | humanizeDuration }} or more",
        "The application answers slowly.",
        "Pages load slowly, and videos begin late.",
        "vlog_http_request_duration_seconds by endpoint, vlog_db_query_duration_seconds by operation, the host's load.",
        "Find the slow endpoint or query; give the database or the host more.",
        wait="10m",
    ),
    Alert(
        "VlogUploadsFail",
        f"sum without (result) {grown('''vlog_video_uploads_total{result!='success'}''', '1h', 'result')} > 0",
        WARNING,
        "{n:upload|uploads} to {{ $labels.instance }} failed within an hour",
        "The platform did not take somebody's video.",
        "The video is not there; its author may not know.",
        "The application's log; whether the disk is full or a limit of size was met.",
        "Mend the cause, and tell the author. The alert goes on for half a day, since no metric says that somebody has done so: silence it then.",
        keep="12h",
    ),
    Alert(
        "VlogTranscodingFails",
        f"{grown('''vlog_transcoding_jobs_total{status='failed'}''', '1h', 'status')} > {limits.JOBS_FAILED_HOUR}",
        WARNING,
        "{n:transcoding jobs} of {{ $labels.instance }} failed within an hour",
        "Workers take jobs and cannot finish them.",
        "Those videos are not published.",
        "The workers' logs; ffmpeg says there what it does not like, or that the disk is full.",
        "Mend the cause and start the jobs again. The alert goes on for half a day, since no metric says that somebody has done so: silence it "
        "then.",
        keep="12h",
    ),
    Alert(
        "VlogQueueLong",
        f"min_over_time(vlog_transcoding_queue_size[30m]) > {limits.QUEUE_LENGTH}\n"
        f"and vlog_transcoding_queue_size offset 30m > {limits.QUEUE_LENGTH}",
        WARNING,
        "{n:jobs wait} to be transcoded on {{ $labels.instance }}",
        "The workers do not keep up.",
        "Videos are published late.",
        "vlog_worker_jobs_completed_total says which workers do something.",
        "Start more workers, or mend those that do nothing.",
    ),
    Alert(
        "VlogJobWaits",
        oldest("vlog", "job", limits.OLDEST_JOB),
        WARNING,
        "A job on {{ $labels.instance }} has not been done for {{ $value | humanizeDuration }}",
        "The oldest job waits, or is being transcoded without an end.",
        "That video is not published.",
        "The exporter's status page names the job; the log of its worker says how far it is.",
        "Start the job again on another worker.",
        wait="5m",
    ),
    Alert(
        "VlogRedisCircuitOpen",
        "vlog_redis_circuit_breaker_state == 1",
        WARNING,
        "vlog on {{ $labels.instance }} goes on without Redis",
        "Redis failed so often that the platform no longer asks it.",
        "It is slower, and what it counts across processes is not exact.",
        "Whether Redis runs and answers (redis-cli ping).",
        "Start Redis again; the platform comes back to it by itself.",
        wait="2m",
    ),
    Alert(
        "VlogRedisErrors",
        share(
            f"sum without (operation, result) {grown('''vlog_redis_operations_total{result!='success'}''', '10m', 'operation, result')}",
            f"sum without (operation, result) {counted('vlog_redis_operations_total', '10m')}",
            100,
        )
        + f" > {limits.REDIS_ERRORS_SHARE:g}",
        WARNING,
        "{{ $value | humanizePercentage }} of the Redis operations of {{ $labels.instance }} fail",
        "Redis answers with errors or too late.",
        "The platform is slower, and will soon go on without Redis.",
        "vlog_redis_operations_total by operation; Redis's log, memory and latency.",
        "Give Redis more memory, or mend the way to it.",
        wait="5m",
    ),
    Alert(
        "VlogStorageNotReconciled",
        "vlog_storage_reconciliation_status != 1",
        WARNING,
        "The latest look at the storage of {{ $labels.instance }} was not complete",
        "Not all files could be looked at.",
        "The size that is shown may be wrong.",
        "The exporter's log says what could not be read, or that time or files did not suffice.",
        "Mend permissions, or raise [scan NAME] timeout or max_files.",
        wait="1h",
    ),
    Alert(
        "VlogTaskNeverSucceeded",
        "vlog_background_task_errors_total > 0 unless vlog_background_task_last_success_timestamp_seconds",
        WARNING,
        "The task {{ $labels.task_name }} of {{ $labels.instance }} failed {n:time|times} and never succeeded",
        "A background task has failed since the start.",
        "What it does is not done.",
        "The application's log says why.",
        "Mend what the log names.",
        wait="1h",
    ),
    Alert(
        "VlogTaskStale",
        f"time() - vlog_background_task_last_success_timestamp_seconds > {limits.TASK_STALE}",
        WARNING,
        "The task {{ $labels.task_name }} of {{ $labels.instance }} last succeeded {{ $value | humanizeDuration }} ago",
        "A background task fails, or does not run at all.",
        "What it does is not done.",
        "vlog_background_task_errors_total says whether it fails, the application's log why.",
        "Mend what the log names, or start the scheduler.",
        wait="10m",
    ),
]

WEEK = 7 * limits.DAY
LAST = "lifecycle_exporter_last_event_timestamp_seconds"

#: That a target was an exporter within the last day, or is known to be one that is down.
WAS_EXPORTER = (
    "ignoring (version, revision, alertname, alertstate, severity)\n"
    '(last_over_time(lifecycle_exporter_build_info[1d]) or ALERTS{alertname="LifecycleExporterDown"})'
)

EXPORTER = [
    Alert(
        "LifecycleExporterDown",
        f"up == 0\nand {WAS_EXPORTER}",
        CRITICAL,
        "The exporter on {{ $labels.instance }} cannot be scraped",
        "Prometheus does not reach the exporter.",
        "Nothing is known of what runs there. What the servers report is counted when the exporter is back, if they keep it so long.",
        "systemctl status lifecycle-exporter on that host; whether this Prometheus is among [stats] allowed_ips.",
        "Start it; its log says why it ended.",
        wait="5m",
    ),
    Alert(
        "LifecycleExporterNeverUp",
        f"(up == 0 unless {WAS_EXPORTER})\nand on (job) lifecycle_exporter_build_info",
        WARNING,
        "{{ $labels.instance }} is scraped as an exporter, but none has answered there",
        "A target that stands beside exporters has not been one within the last day.",
        "Nothing is known of what runs there.",
        "The targets page of Prometheus says why the scrape fails. 403: [stats] allowed_ips of that host does not have this Prometheus.",
        "Finish the installation there, or take the host out of the targets.",
        wait="1h",
    ),
    Alert(
        "LifecycleExporterFlaps",
        "changes(up[1h]) > 6 and ignoring (version, revision) last_over_time(lifecycle_exporter_build_info[1h])",
        WARNING,
        "The exporter on {{ $labels.instance }} comes and goes",
        "It was away and back more than three times within an hour.",
        "Alerts that need some minutes of data may be late.",
        "The unit's log: restarts, memory; the network between this Prometheus and the host.",
        "Mend what the log names.",
    ),
    Alert(
        "LifecycleExporterAbsent",
        "absent(lifecycle_exporter_build_info)",
        CRITICAL,
        "No lifecycle-exporter is scraped at all",
        "Prometheus has no exporter among its targets, or reaches none.",
        "All other alerts of these files are silent.",
        "The targets page of Prometheus: its scrape configuration, its discovery.",
        "Mend the configuration. Without exporters, remove these rules.",
        wait="5m",
    ),
    Alert(
        "LifecycleFeedSilent",
        f"time() - {LAST} > {limits.FEED_SILENT}\n"
        f"and {LAST} > 0\n"
        f"and (time() - {WEEK}) - ({LAST} offset 7d) < {limits.FEED_SILENT}",
        INFO,
        "No event of {{ $labels.system }} has come to {{ $labels.instance }} for {{ $value | humanizeDuration }}",
        "A system is silent that was busy at this time a week ago.",
        "If it runs, nothing of it is counted.",
        "The status page says which producers are connected.",
        "See whether the server runs and may write to the socket (lifecycle-exporter send tries it).",
        wait="30m",
    ),
    Alert(
        "LifecycleFeedNeverUsed",
        f"max_over_time({LAST}[1d]) == 0 and {LAST} offset 1d == 0",
        INFO,
        "No event of {{ $labels.system }} has ever come to {{ $labels.instance }}",
        "A system is set up there by name or by its start-up events, and nobody reports to it.",
        "Nothing of it is counted there.",
        "Whether a server is configured to report to the socket, and is in the group lifecycle-feed.",
        "Finish the installation, or take the system out of [systems] enabled and its events out of [startup].",
    ),
    Alert(
        "LifecycleEventsRejected",
        f"{grown('lifecycle_exporter_events_rejected_total', '15m', 'reason')} > 0",
        WARNING,
        "{n:line was|lines were} rejected on {{ $labels.instance }} ({{ $labels.reason }})",
        "A producer writes lines that the exporter cannot take.",
        "Those events are not counted.",
        "The status page shows the latest line of each reason, the log the first ones. The README tells what each reason means.",
        "Mend the producer, or its catalog.",
    ),
    Alert(
        "LifecycleProducerMissing",
        "lifecycle_exporter_producer_expected == 1 and lifecycle_exporter_producer_connected == 0",
        CRITICAL,
        "The producer {{ $labels.producer }} is not connected to {{ $labels.instance }}",
        "A producer that [events] expect names is not there.",
        "What it had open is given up, and what it does is not counted.",
        "Whether that server runs, and what it logs about the socket.",
        "Start it. If it is gone for good, take its name out of [events] expect.",
        wait="5m",
    ),
    Alert(
        "LifecycleProducerRestartsOften",
        "changes(lifecycle_exporter_abandoned_total[1h]) > 2",
        WARNING,
        "What was open of {{ $labels.system }} on {{ $labels.instance }} ({{ $labels.entity }}) was given up {n:times} within an hour",
        "A server ended again and again with something open.",
        "What it had open is lost each time: recordings fail, users drop out.",
        "The log of that server's unit: why it ends.",
        "Mend what the log names.",
    ),
    Alert(
        "LifecycleStateNotWritten",
        "lifecycle_exporter_state_writable == 0 or increase(lifecycle_exporter_journal_errors_total[10m]) > 0",
        CRITICAL,
        "The exporter on {{ $labels.instance }} cannot write its state",
        "The journal cannot be written, or the disk does not answer.",
        "Counting goes on in memory. Reliable producers get no acknowledgements, and their buffers fill; a power loss now loses counts.",
        "The exporter's log names the file and the error, such as a full disk.",
        "Mend the disk. The exporter goes on by itself as soon as it can write.",
        wait="2m",
    ),
    Alert(
        "LifecycleConfigurationFaulty",
        "lifecycle_exporter_config_last_reload_successful == 0",
        WARNING,
        "The configuration of {{ $labels.instance }} has a fault; the former one is in force",
        "The files were changed, and the exporter cannot use them.",
        "The change has no effect, and the next start fails.",
        "lifecycle-exporter check names the file, section and key.",
        "Mend it, then systemctl reload lifecycle-exporter.",
    ),
    Alert(
        "LifecycleSeriesOverflow",
        f"{grown('lifecycle_exporter_series_overflow_total', '15m', 'metric')} > 0",
        WARNING,
        "The metric {{ $labels.metric }} is at its limit of series on {{ $labels.instance }}",
        "A label has more values than series are allowed.",
        "New values are counted together, in one series whose labels are all _overflow.",
        "Which label of the metric has so many values.",
        "If it holds something unbounded, leave it out of the catalog. If all of it is wanted, raise [limits] series_per_metric.",
    ),
    Alert(
        "LifecycleScanIncomplete",
        "lifecycle_exporter_scan_status != 1 and lifecycle_exporter_scan_duration_seconds > 0",
        WARNING,
        "The latest scan {{ $labels.scan }} of {{ $labels.instance }} was not complete",
        "A directory could not be read to its end.",
        "Sizes and counts are those of the last complete scan.",
        "The exporter's log says what could not be read, or that time or files did not suffice.",
        "Mend permissions, or raise [scan NAME] timeout or max_files.",
        wait="5m",
    ),
    Alert(
        "LifecycleScanNeverEnded",
        "lifecycle_exporter_scan_status == 0 and lifecycle_exporter_scan_duration_seconds == 0",
        WARNING,
        "The first scan {{ $labels.scan }} of {{ $labels.instance }} does not end",
        "A directory has been looked at since the exporter was started.",
        "There are no sizes and counts of it.",
        "Whether the directory's file system answers; [scan NAME] timeout.",
        "Mend the file system. If the directory is that large, look at a part of it.",
        wait="1h",
    ),
    Alert(
        "LifecycleScanStale",
        f"time() - (lifecycle_exporter_scan_last_success_timestamp_seconds > 0) > {limits.SCAN_STALE}",
        WARNING,
        "The scan {{ $labels.scan }} of {{ $labels.instance }} was last complete {{ $value | humanizeDuration }} ago",
        "A scan hangs, fails, or is due more rarely than every twelve hours.",
        "Sizes and counts are that old.",
        "The exporter's log; whether the directory's file system answers.",
        "Mend the file system or the permissions. If the scan is meant to be rare, raise the limit of this alert.",
        wait="5m",
    ),
    Alert(
        "LifecycleProducersRefused",
        f"{grown('lifecycle_exporter_connections_refused_total', '15m', 'reason')} > 0",
        WARNING,
        "{n:connection of a producer was|connections of producers were} refused on {{ $labels.instance }} ({{ $labels.reason }})",
        "Somebody wants to write to the socket who may not, or there are too many.",
        "What those producers tell is not counted.",
        "peer_credentials: [events] allowed_users and allowed_groups. max_connections: who opens so many.",
        "Allow them, or stop them.",
    ),
    Alert(
        "LifecycleDescriptorsShort",
        "process_open_fds / process_max_fds\n"
        f"  > {limits.DESCRIPTORS_SHARE:g} and ignoring (version, revision) lifecycle_exporter_build_info",
        WARNING,
        "The exporter on {{ $labels.instance }} uses {{ $value | humanizePercentage }} of its descriptors",
        "Nearly all descriptors that the process may have are in use.",
        "Soon no further producer can connect.",
        "lifecycle_exporter_producers and the status page say who is connected.",
        "Find who opens so many connections, or raise LimitNOFILE of the unit.",
        wait="5m",
    ),
]

#: Files of rules, with what they are about.
GROUPS: Dict[str, List[Alert]] = {
    "recording": RECORDING,
    "signaling": SIGNALING,
    "proxy": PROXY,
    "edumeet": EDUMEET,
    "vlog": VLOG,
    "exporter": EXPORTER,
}
