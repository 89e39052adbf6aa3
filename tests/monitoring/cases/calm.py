"""What must not make any alert fire, not even for one evaluation.

One host has all systems, with failures long ago. Each scenario plays ten hours of it: Prometheus hears of it for the first time; it is
reloaded; the exporter or the servers restart; it is night; nobody has ever used it.
"""

from typing import Callable, Dict, NamedTuple

MINUTES = 600
#: When something happens.
THEN = 300


class Series(NamedTuple):
    """One series, and what it is when all is well."""

    #: `counter` grows with the traffic, `failures` stays where it is, `busy` follows the traffic, `kept` stays, `clock` is the time.
    kind: str
    value: float


HOST = 'instance="h"'
STREAM = ", ".join(
    f'{name}="1"'
    for name in ["pid", "room_id", "peer_id", "display_name", "user_agent", "transport_id", "proto", "local_addr", "remote_addr", "id", "kind"]
)
OLDEST = "lifecycle_exporter_oldest_entity_age_seconds"
SERIES: Dict[str, Series] = {
    "up{}": Series("kept", 1),
    # Recording
    'recording_recordings_failed_total{backend="b"}': Series("failures", 57),
    'recording_recordings_uploads_failed_total{backend="b"}': Series("failures", 57),
    f'{OLDEST}{{system="recording", entity="recording"}}': Series("busy", 4000),
    f'{OLDEST}{{system="recording", entity="upload"}}': Series("busy", 100),
    'lifecycle_exporter_scan_files{scan="recordings"}': Series("busy", 1),
    'lifecycle_exporter_scan_oldest_file_timestamp_seconds{scan="recordings"}': Series("clock", 1),
    # Signaling
    'signaling_hub_sessions{backend="b", clienttype="client"}': Series("busy", 40),
    'signaling_backend_session_limit{backend="b"}': Series("kept", 100),
    'signaling_backend_session_limit_exceeded_total{backend="b"}': Series("failures", 57),
    'signaling_throttle_bruteforce_total{action="join"}': Series("failures", 57),
    'signaling_mcu_no_backend_available_total{type="video"}': Series("failures", 57),
    'signaling_mcu_backend_connections{country="DE"}': Series("kept", 2),
    'signaling_mcu_backend_usage{url="u", direction="outgoing"}': Series("busy", 50),
    'signaling_backend_client_requests_total{backend="b"}': Series("counter", 10),
    'signaling_backend_client_requests_errors_total{backend="b", error="timeout"}': Series("failures", 57),
    'signaling_backend_client_requests_duration_bucket{backend="b", le="1"}': Series("counter", 10),
    'signaling_backend_client_requests_duration_bucket{backend="b", le="+Inf"}': Series("counter", 10),
    'signaling_backend_client_requests_duration_count{backend="b"}': Series("counter", 10),
    'signaling_client_rtt_bucket{le="100"}': Series("counter", 10),
    'signaling_client_rtt_bucket{le="+Inf"}': Series("counter", 10),
    "signaling_client_rtt_count{}": Series("counter", 10),
    "signaling_hub_sessions_resume_failed_total{}": Series("failures", 57),
    'signaling_hub_sessions_resume_total{backend="b", clienttype="client"}': Series("counter", 1),
    'signaling_mcu_ice_state_total{state="failed"}': Series("failures", 57),
    'signaling_mcu_ice_state_total{state="connected"}': Series("counter", 5),
    'signaling_mcu_dtls_state_total{state="failed"}': Series("failures", 57),
    'signaling_mcu_dtls_state_total{state="connected"}': Series("counter", 5),
    # Proxy
    'signaling_proxy_token_errors_total{reason="expired"}': Series("failures", 57),
    "signaling_proxy_sessions{}": Series("kept", 2),
    # edumeet
    f'mediasoup_producer_score{{{STREAM}, codec="opus", type="simple"}}': Series("busy", 10),
    f'mediasoup_producer_score{{{STREAM}, codec="vp8", type="simulcast"}}': Series("kept", 0),
    f'mediasoup_consumer_score{{{STREAM}, codec="opus", type="simple"}}': Series("busy", 10),
    f'{OLDEST}{{system="edumeet", entity="room"}}': Series("busy", 4000),
    # vlog
    'vlog_worker_heartbeat_age_seconds{worker_name="w"}': Series("kept", 20),
    'vlog_info{version="1", app="vlog"}': Series("kept", 1),
    'vlog_workers_total{status="online"}': Series("kept", 2),
    'vlog_workers_total{status="offline"}': Series("kept", 1),
    'vlog_http_requests_total{method="GET", endpoint="/", status_code="200", api="public"}': Series("counter", 100),
    'vlog_http_requests_total{method="GET", endpoint="/", status_code="500", api="public"}': Series("failures", 57),
    'vlog_http_request_duration_seconds_bucket{method="GET", endpoint="/", le="1"}': Series("counter", 100),
    'vlog_http_request_duration_seconds_bucket{method="GET", endpoint="/", le="+Inf"}': Series("counter", 100),
    'vlog_http_request_duration_seconds_count{method="GET", endpoint="/"}': Series("counter", 100),
    'vlog_video_uploads_total{result="success"}': Series("counter", 0.1),
    'vlog_video_uploads_total{result="failed"}': Series("failures", 57),
    'vlog_transcoding_jobs_total{status="failed"}': Series("failures", 57),
    "vlog_transcoding_queue_size{}": Series("busy", 3),
    f'{OLDEST}{{system="vlog", entity="job"}}': Series("busy", 600),
    "vlog_redis_circuit_breaker_state{}": Series("kept", 0),
    'vlog_redis_operations_total{operation="get", result="success"}': Series("counter", 100),
    'vlog_redis_operations_total{operation="get", result="failed"}': Series("failures", 57),
    "vlog_storage_reconciliation_status{}": Series("kept", 1),
    'vlog_background_task_errors_total{task_name="t"}': Series("failures", 57),
    'vlog_background_task_last_success_timestamp_seconds{task_name="t"}': Series("clock", 1),
    # The exporter
    'lifecycle_exporter_build_info{version="1.0.0", revision="abc"}': Series("kept", 1),
    'lifecycle_exporter_last_event_timestamp_seconds{system="signaling"}': Series("clock", 1),
    'lifecycle_exporter_events_rejected_total{reason="malformed"}': Series("failures", 57),
    'lifecycle_exporter_producer_expected{producer="p"}': Series("kept", 1),
    'lifecycle_exporter_producer_connected{producer="p"}': Series("kept", 1),
    'lifecycle_exporter_abandoned_total{system="signaling", entity="session"}': Series("failures", 57),
    "lifecycle_exporter_state_writable{}": Series("kept", 1),
    "lifecycle_exporter_journal_errors_total{}": Series("failures", 57),
    "lifecycle_exporter_config_last_reload_successful{}": Series("kept", 1),
    'lifecycle_exporter_series_overflow_total{metric="signaling_room_sessions"}': Series("failures", 57),
    'lifecycle_exporter_scan_status{scan="recordings"}': Series("kept", 1),
    'lifecycle_exporter_scan_duration_seconds{scan="recordings"}': Series("kept", 2),
    'lifecycle_exporter_scan_last_success_timestamp_seconds{scan="recordings"}': Series("clock", 1),
    'lifecycle_exporter_connections_refused_total{reason="max_connections"}': Series("failures", 57),
    "process_open_fds{}": Series("kept", 20),
    "process_max_fds{}": Series("kept", 1024),
}


def values(series: Series, minutes: int, begin: float = 0) -> str:
    """So many minutes of a day like any other, from this minute on."""
    kind, value = series
    if kind == "counter":
        return f"{value * begin:.10g}+{value:.10g}x{minutes - 1}"
    if kind == "clock":
        return f"{60 * begin:.10g}+60x{minutes - 1}"
    return f"{value:.10g}x{minutes - 1}"


def flat(series: Series, minutes: int, begin: float) -> str:
    """So many minutes without any traffic."""
    kind, value = series
    return {
        "counter": f"{value * begin:.10g}x{minutes - 1}",
        "busy": f"0x{minutes - 1}",
        # The servers are there, and workers, scans and tasks go on.
        "clock": f"{60 * begin:.10g}+60x{minutes - 1}",
    }.get(kind, f"{value:.10g}x{minutes - 1}")


def fresh(name: str, series: Series) -> str:
    """Prometheus hears of the host for the first time. Its servers come some minutes later."""
    late = {"signaling_proxy_sessions": 10, "lifecycle_exporter_producer_connected": 3, "vlog_workers_total": 3}
    zero = next((minutes for metric, minutes in late.items() if name.startswith(metric)), 0)
    before = f"_x4 0x{zero - 1}" if zero else "_x4"
    return f"{before} {values(series, MINUTES - zero, THEN + zero)}"


def reload(name: str, series: Series) -> str:
    """A backend and a label more are known from then on."""
    if series.kind == "failures":
        return f"{series.value:g}x{MINUTES}"
    return values(series, MINUTES)


def exporter_restarts(name: str, series: Series) -> str:
    """It is away for a minute, and so is each series."""
    away = "0" if name.startswith("up") else "stale"
    disconnected = " 0" if name.startswith("lifecycle_exporter_producer_connected") else f" {values(series, 1, THEN + 1)}"
    return f"{values(series, THEN)} {away}{disconnected} {values(series, MINUTES - THEN - 2, THEN + 2)}"


def servers_restart(name: str, series: Series) -> str:
    """All that was open is given up. They are back after two minutes."""
    before, after = values(series, THEN), values(series, MINUTES - THEN - 2, THEN + 2)
    if name.startswith("lifecycle_exporter_abandoned_total"):
        return f"{series.value:g}x{THEN} {series.value + 40:g}x{MINUTES - THEN}"
    if name.startswith("signaling_hub_sessions_resume_failed"):
        return f"{series.value:g}x{THEN} {series.value + 15:g}x{MINUTES - THEN}"
    if name.startswith("vlog_worker_heartbeat_age"):
        return f"{before} 80 140 {after}"
    gone = ("signaling_mcu_backend_connections", "signaling_proxy_sessions", "vlog_workers_total", "lifecycle_exporter_producer_connected")
    if series.kind == "busy" or name.startswith(gone):
        return f"{before} 0 0 {after}"
    return f"{before} {flat(series, 2, THEN)} {after}"


def night(name: str, series: Series) -> str:
    """Nobody comes for five hours. One request at night fails: that is all of them."""
    if name.startswith("lifecycle_exporter_last_event"):
        return f"{values(series, THEN)} {60 * THEN:g}x{MINUTES - THEN}"
    if 'status_code="500"' in name:
        return f"{series.value:g}x{THEN + 100} {series.value + 1:g}x{MINUTES - THEN - 100}"
    return f"{values(series, THEN)} {flat(series, MINUTES - THEN, THEN)}"


def never_used(name: str, series: Series) -> str:
    """Everything is installed, and nobody has come yet."""
    if series.kind in ("counter", "failures", "busy") or name.startswith("lifecycle_exporter_last_event"):
        return f"0x{MINUTES}"
    return values(series, MINUTES)


def play(scenario: Callable[[str, Series], str]) -> Dict[str, str]:
    """All series of the host in a scenario."""

    def named(name: str) -> str:
        metric, _, labels = name.rstrip("}").partition("{")
        return f"{metric}{{{HOST}{', ' + labels if labels else ''}}}"

    return {named(name): scenario(name, series) for name, series in SERIES.items()}


SCENARIOS: Dict[str, Dict[str, str]] = {
    scenario.__name__: play(scenario) for scenario in (fresh, reload, exporter_restarts, servers_restart, night, never_used)
}
# A reload brings labels that were not there before, at 0.
SCENARIOS["reload"].update(
    {
        'recording_recordings_failed_total{instance="h", backend="c"}': f"_x{THEN} 0x{MINUTES - THEN}",
        'signaling_mcu_no_backend_available_total{instance="h", type="screen"}': f"_x{THEN} 0x{MINUTES - THEN}",
    }
)
