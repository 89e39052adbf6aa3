"""Cases of recording rules: what is recorded before, while and after a host is away.

Two hosts: `a`, which two agents scrape, and which begins anew at minute 60, twice as fast; and `b`, which is away from minute 100 to 109 and
goes on counting meanwhile.
"""

from typing import Dict, List, NamedTuple

from cases.table import join

GAUGE, RATE, INCREASE = "gauge", "rate", "increase"
#: What is recorded at minutes 63, 90, 105 and 120: of `a`, of `b`, of what else is to be added, and of what is to be kept apart.
#: A gauge of 10, 20, 5 and 7; counters that grow by 6 and then 12, 12, 3 and 4.2 a minute. An hour in which the last five minutes of `b` are
#: missing has 654 of its 720.
RECORDED: Dict[str, Dict[int, List[float]]] = {
    GAUGE: {63: [10, 20, 5, 7], 90: [10, 20, 5, 7], 105: [10, 0, 5, 7], 120: [10, 20, 5, 7]},
    RATE: {63: [0.18, 0.2, 0.05, 0.07], 90: [0.2, 0.2, 0.05, 0.07], 105: [0.2, 0, 0.05, 0.07], 120: [0.2, 0.2, 0.05, 0.07]},
    INCREASE: {63: [384, 720, 180, 252], 90: [546, 720, 180, 252], 105: [636, 654, 180, 252], 120: [720, 720, 180, 252]},
}


class Case(NamedTuple):
    """One rule, some hosts, and what it has recorded by minute: labels and value."""

    rule: str
    series: Dict[str, str]
    records: Dict[int, Dict[str, float]]

    def expects(self) -> bool:
        """Whether anything is recorded."""
        return any(self.records.values())


def labelled(labels: List[str], value: str) -> str:
    """These labels with the same value."""
    return join(*(f'{label}="{value}"' for label in labels))


def case(name: str, metric: str, kept: str = "", dropped: str = "", kind: str = GAUGE) -> Case:
    """`kept` and `dropped` are the labels that are left and that are added over."""
    keep, drop = kept.split(), dropped.split()

    def values(number: int, away: bool = False) -> str:
        gauge = [10, 20, 5, 7][number]
        each = [6, 12, 3, 4.2][number]
        if kind == GAUGE:
            return f"{gauge}x99 stale _x9 {gauge}x60" if away else f"{gauge}x200"
        if away:
            return f"0+{each}x99 stale _x9 {each * 110:g}+{each}x60"
        if number == 0:
            return "0+6x59 12+12x140"
        return f"0+{each:g}x200"

    def series(instance: str, replica: str, kept_value: str, dropped_value: str, site: str = "") -> str:
        own = [f'instance="{instance}"', f'replica="{replica}"', labelled(keep, kept_value), labelled(drop, dropped_value), site]
        return f"{metric}{{{join(*own)}}}"

    made = {
        series("a", "1", "k", "d"): values(0),
        series("a", "2", "k", "d"): values(0),
        series("b", "1", "k", "d"): values(1, away=True),
        # A site of its own.
        series("a", "1", "k", "d", 'site="s"'): values(3),
    }
    for label in drop:
        # One more for each label that is added over.
        made[series("a", "1", "k", "d").replace(f'{label}="d"', f'{label}="e"')] = values(2)
    for label in keep:
        made[series("a", "1", "k", "d").replace(f'{label}="k"', f'{label}="l"')] = values(3)
    records: Dict[int, Dict[str, float]] = {}
    for minute, (a, b, more, apart) in RECORDED[kind].items():
        job = 'job="lifecycles"'
        found = {f"{{{join(job, labelled(keep, 'k'))}}}": round(a + b + len(drop) * more, 9), f"{{{join(job, labelled(keep, 'k'))}, site=\"s\"}}": apart}
        for label in keep:
            found[f"{{{join(job, labelled(keep, 'k')).replace(f'{label}={chr(34)}k', f'{label}={chr(34)}l')}}}"] = apart
        records[minute] = found
    return Case(name, made, records)


CASES: List[Case] = [
    case("backend:recording_recordings_current:sum", "recording_recordings_current", "backend"),
    case("backend:recording_recordings:increase1h", "recording_recordings_total", "backend", kind=INCREASE),
    case("backend:recording_recordings_failed:increase1h", "recording_recordings_failed_total", "backend", kind=INCREASE),
    case("backend:recording_recordings_uploads_failed:increase1h", "recording_recordings_uploads_failed_total", "backend", kind=INCREASE),
    case("backend:signaling_hub_sessions:sum", "signaling_hub_sessions", "backend", "clienttype"),
    case("backend:signaling_hub_rooms:sum", "signaling_hub_rooms", "backend"),
    case("backend:signaling_call_sessions:sum", "signaling_call_sessions", "backend", "room clienttype"),
    case("type:signaling_mcu_publishers:sum", "signaling_mcu_publishers", "type"),
    case("le:signaling_client_rtt_bucket:rate5m", "signaling_client_rtt_bucket", "le", kind=RATE),
    case(
        "backend_le:signaling_backend_client_requests_duration_bucket:rate5m",
        "signaling_backend_client_requests_duration_bucket",
        "backend le",
        kind=RATE,
    ),
    case("type:signaling_proxy_publishers:sum", "signaling_proxy_publishers", "type"),
    case("job:edumeet_rooms:sum", "edumeet_rooms"),
    case("job:edumeet_peers:sum", "edumeet_peers", "", "room_id"),
    case("job:vlog_playback_sessions_active:sum", "vlog_playback_sessions_active"),
    case("status_code:vlog_http_requests:rate5m", "vlog_http_requests_total", "status_code", "method endpoint api", kind=RATE),
    case("le:vlog_http_request_duration_seconds_bucket:rate5m", "vlog_http_request_duration_seconds_bucket", "le", "method endpoint", kind=RATE),
    case("event:lifecycle_exporter_events:rate5m", "lifecycle_exporter_events_total", "event", kind=RATE),
    case("reason:lifecycle_exporter_events_rejected:rate5m", "lifecycle_exporter_events_rejected_total", "reason", kind=RATE),
    Case(
        "job:lifecycle_exporter_build_info:count",
        {
            'lifecycle_exporter_build_info{instance="a", replica="1", version="1", revision="r"}': "1x200",
            'lifecycle_exporter_build_info{instance="a", replica="2", version="1", revision="r"}': "1x200",
            'lifecycle_exporter_build_info{instance="b", replica="1", version="2", revision="s"}': "1x99 stale _x9 1x60",
            'lifecycle_exporter_build_info{instance="c", replica="1", version="2", revision="s", site="s"}': "1x200",
        },
        {
            90: {'{job="lifecycles"}': 2, '{job="lifecycles", site="s"}': 1},
            105: {'{job="lifecycles"}': 1, '{job="lifecycles", site="s"}': 1},
            120: {'{job="lifecycles"}': 2, '{job="lifecycles", site="s"}': 1},
        },
    ),
]
