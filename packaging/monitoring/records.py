"""What is added up beforehand: sums over all hosts of a job, each a few series instead of thousands.

Counters are taken by `rate` or `increase`, host by host, before they are added: a host that goes away or comes back takes its own part out or
in, and nothing jumps. Of two agents that scrape the same (`replica`), one counts. Other labels of targets, such as a site, stay.
"""

from typing import List, NamedTuple


class Record(NamedTuple):
    """One recording rule. Its name is `level:metric:operations`; the level names the labels that are left beside the target's."""

    name: str
    expr: str


def total(series: str, without: str = "") -> str:
    """The sum over the hosts of each job."""
    labels = f"instance, {without}" if without else "instance"
    return f"sum without ({labels}) (max without (replica) ({series}))"


RECORDS: List[Record] = [
    Record("backend:recording_recordings_current:sum", total("recording_recordings_current")),
    Record("backend:recording_recordings:increase1h", total("increase(recording_recordings_total[1h])")),
    Record("backend:recording_recordings_failed:increase1h", total("increase(recording_recordings_failed_total[1h])")),
    Record("backend:recording_recordings_uploads_failed:increase1h", total("increase(recording_recordings_uploads_failed_total[1h])")),
    Record("backend:signaling_hub_sessions:sum", total("signaling_hub_sessions", "clienttype")),
    Record("backend:signaling_hub_rooms:sum", total("signaling_hub_rooms")),
    Record("backend:signaling_call_sessions:sum", total("signaling_call_sessions", "room, clienttype")),
    Record("type:signaling_mcu_publishers:sum", total("signaling_mcu_publishers")),
    Record("le:signaling_client_rtt_bucket:rate5m", total("rate(signaling_client_rtt_bucket[5m])")),
    Record(
        "backend_le:signaling_backend_client_requests_duration_bucket:rate5m",
        total("rate(signaling_backend_client_requests_duration_bucket[5m])"),
    ),
    Record("type:signaling_proxy_publishers:sum", total("signaling_proxy_publishers")),
    Record("job:edumeet_rooms:sum", total("edumeet_rooms")),
    Record("job:edumeet_peers:sum", total("edumeet_peers", "room_id")),
    Record("job:vlog_playback_sessions_active:sum", total("vlog_playback_sessions_active")),
    Record("status_code:vlog_http_requests:rate5m", total("rate(vlog_http_requests_total[5m])", "method, endpoint, api")),
    Record(
        "le:vlog_http_request_duration_seconds_bucket:rate5m",
        total("rate(vlog_http_request_duration_seconds_bucket[5m])", "method, endpoint"),
    ),
    Record("event:lifecycle_exporter_events:rate5m", total("rate(lifecycle_exporter_events_total[5m])")),
    Record("reason:lifecycle_exporter_events_rejected:rate5m", total("rate(lifecycle_exporter_events_rejected_total[5m])")),
    Record(
        "job:lifecycle_exporter_build_info:count",
        "count without (instance, version, revision) (max without (replica) (lifecycle_exporter_build_info))",
    ),
]
