"""Cases of alerts about Nextcloud signaling servers."""

from typing import List

from cases.table import Case, at, grows, shares, slow

BACKEND = 'backend="b"'
SESSIONS = "signaling_hub_sessions"
LIMIT = "signaling_backend_session_limit"
BRUTEFORCE = "signaling_throttle_bruteforce_total"
CONNECTIONS = "signaling_mcu_backend_connections"
USAGE = "signaling_mcu_backend_usage"
RESUMED = 'signaling_hub_sessions_resume_total{backend="b", clienttype="client"}'
FROM_EXPORTER = 'lifecycle_exporter_build_info{instance="HOST", version="1.0.0", revision="abc"}'


def states(alert: str, metric: str, on_the_way: str, happens: str) -> List[Case]:
    """Of the media connections that came to something, too many failed. A state on the way there does not count."""
    says = f"SHARE of the media connections to HOST {happens}."
    failed, connected = f'{metric}{{state="failed"}}', f'{metric}{{state="connected"}}'
    series = {at(failed, "h"): "0+11x60", at(connected, "h"): "0+89x60", at(f'{metric}{{state="{on_the_way}"}}', "h"): "0+1000x60"}
    return [
        shares(alert, "warning", failed, connected, 0.1, 20, says),
        Case(alert, "warning", series, {30: [('instance="h"', says.replace("SHARE", "11%").replace("HOST", "h"))]}, ends=False),
    ]


CASES = [
    Case(
        "SignalingSessionsNearLimit",
        "warning",
        {
            f'{SESSIONS}{{instance="over", {BACKEND}, clienttype="client"}}': "60x99 61x100",
            f'{SESSIONS}{{instance="over", {BACKEND}, clienttype="internal"}}': "30x200",
            f'{LIMIT}{{instance="over", {BACKEND}}}': "100x200",
            f'{SESSIONS}{{instance="under", {BACKEND}, clienttype="client"}}': "90x200",
            f'{LIMIT}{{instance="under", {BACKEND}}}': "100x200",
            f'{SESSIONS}{{instance="one", {BACKEND}, clienttype="client"}}': "0x109 1x90",
            f'{LIMIT}{{instance="one", {BACKEND}}}': "1x200",
            # No limit.
            f'{SESSIONS}{{instance="free", {BACKEND}, clienttype="client"}}': "1000x200",
            f'{LIMIT}{{instance="free", {BACKEND}}}': "0x200",
            # Of another backend.
            f'{LIMIT}{{instance="free", backend="c"}}': "10x200",
        },
        {
            104: [],
            105: [(f'instance="over", {BACKEND}', "b uses 91% of its sessions on over.")],
            115: [
                (f'instance="over", {BACKEND}', "b uses 91% of its sessions on over."),
                (f'instance="one", {BACKEND}', "b uses 100% of its sessions on one."),
            ],
        },
    ),
    grows(
        "SignalingSessionLimitExceeded",
        "critical",
        "signaling_backend_session_limit_exceeded_total",
        BACKEND,
        10,
        "1 user was turned away from b on HOST: its limit of sessions is reached.",
        keep=30,
    ),
    grows(
        "SignalingSessionLimitExceeded",
        "critical",
        "signaling_backend_session_limit_exceeded_total",
        BACKEND,
        10,
        "2 users were turned away from b on HOST: its limit of sessions is reached.",
        by=2,
        keep=30,
    ),
    grows(
        "SignalingBruteforce",
        "warning",
        BRUTEFORCE,
        'action="join"',
        10,
        "11 requests were rejected as brute force on HOST within ten minutes.",
        by=11,
        limit=10,
        left="",
    ),
    # What was tried does not matter.
    Case(
        "SignalingBruteforce",
        "warning",
        {BRUTEFORCE + '{instance="h", action="join"}': "0x99 6x60", BRUTEFORCE + '{instance="h", action="auth"}': "0x99 6x60"},
        {99: [], 100: [('instance="h"', "12 requests were rejected as brute force on h within ten minutes.")]},
        ends=False,
    ),
    grows(
        "SignalingNoProxyAvailable",
        "critical",
        "signaling_mcu_no_backend_available_total",
        'type="video"',
        10,
        "1 publishing request found no proxy on HOST.",
        keep=15,
        left="",
    ),
    Case(
        "SignalingNoProxyAvailable",
        "critical",
        {
            'signaling_mcu_no_backend_available_total{instance="h", type="video"}': "0x99 2x60",
            'signaling_mcu_no_backend_available_total{instance="h", type="screen"}': "0x99 1x60",
        },
        {100: [('instance="h"', "3 publishing requests found no proxy on h.")]},
        ends=False,
    ),
    Case(
        "SignalingProxyLost",
        "warning",
        {
            CONNECTIONS + '{instance="lost", country="DE"}': "1x99 0x1600",
            CONNECTIONS + '{instance="lost", country="FR"}': "1x1700",
            CONNECTIONS + '{instance="three", country="DE"}': "3x99 2x100 3x1600",
            CONNECTIONS + '{instance="steady", country="DE"}': "1x99 2x1600",
            # A country that becomes known is no proxy that is lost.
            CONNECTIONS + '{instance="moved", country=""}': "1x99 stale",
            CONNECTIONS + '{instance="moved", country="DE"}': "_x100 1x1600",
        },
        {
            104: [],
            105: [
                ('instance="lost"', "lost has 1 connection to proxies, fewer than within the last day."),
                ('instance="three"', "three has 2 connections to proxies, fewer than within the last day."),
            ],
            201: [('instance="lost"', "lost has 1 connection to proxies, fewer than within the last day.")],
            1534: [('instance="lost"', "lost has 1 connection to proxies, fewer than within the last day.")],
            1540: [],
        },
        ends=False,
    ),
    Case(
        "SignalingProxyFull",
        "warning",
        {
            USAGE + '{instance="h", url="u", direction="incoming"}': "20x200",
            USAGE + '{instance="h", url="u", direction="outgoing"}': "90x99 91x100",
            USAGE + '{instance="h", url="v", direction="incoming"}': "50x200",
            USAGE + '{instance="h", url="v", direction="outgoing"}': "50x200",
        },
        {104: [], 105: [('instance="h", url="u"', "The proxy u uses 91 % of its bandwidth (h).")]},
    ),
    shares(
        "SignalingBackendErrors",
        "warning",
        'signaling_backend_client_requests_errors_total{backend="b", error="timeout"}',
        'signaling_backend_client_requests_total{backend="b"}',
        0.1,
        20,
        "SHARE of the requests from HOST to b fail.",
        left=BACKEND,
        includes_part=True,
    ),
    # Of two kinds, and of another backend.
    Case(
        "SignalingBackendErrors",
        "warning",
        {
            'signaling_backend_client_requests_errors_total{instance="h", backend="b", error="timeout"}': "0+6x60",
            'signaling_backend_client_requests_errors_total{instance="h", backend="b", error="status"}': "0+6x60",
            'signaling_backend_client_requests_total{instance="h", backend="b"}': "0+100x60",
            'signaling_backend_client_requests_errors_total{instance="h", backend="c", error="status"}': "0+6x60",
            'signaling_backend_client_requests_total{instance="h", backend="c"}': "0+100x60",
        },
        {30: [('instance="h", backend="b"', "12% of the requests from h to b fail.")]},
        ends=False,
    ),
    slow(
        "SignalingBackendSlow",
        "signaling_backend_client_requests_duration",
        BACKEND,
        2,
        "One in twenty requests from HOST to b takes TIME or more.",
        "2.333s",
        "3.9s",
        left=BACKEND,
    ),
    slow(
        "SignalingClientsSlow",
        "signaling_client_rtt",
        "",
        500,
        "One in twenty clients of HOST waits TIME ms or more for an answer.",
        "583",
        "975",
    ),
    slow(
        "SignalingMediaSlow",
        "signaling_mcu_media_rtt",
        'media="audio"',
        300,
        "One in twenty media connections of HOST takes TIME ms or more there and back.",
        "350",
        "585",
        second='media="video"',
    ),
    slow(
        "SignalingMediaJitters",
        "signaling_mcu_media_jitter",
        'media="audio", origin="local"',
        50,
        "One in twenty media connections of HOST has a jitter of TIME ms or more.",
        "58",
        "98",
        second='media="audio", origin="remote"',
    ),
    shares(
        "SignalingResumesFail",
        "warning",
        "signaling_hub_sessions_resume_failed_total",
        RESUMED,
        0.5,
        20,
        "SHARE of the sessions that came back to HOST could not be resumed.",
        wait=15,
    ),
    # None has been counted as resumed.
    Case(
        "SignalingResumesFail",
        "warning",
        {'signaling_hub_sessions_resume_failed_total{instance="h"}': "0+3x60"},
        {30: [('instance="h"', "100% of the sessions that came back to h could not be resumed.")]},
        ends=False,
    ),
    *states("SignalingIceFails", "signaling_mcu_ice_state_total", "checking", "find no way (ICE)"),
    *states("SignalingDtlsFails", "signaling_mcu_dtls_state_total", "trying", "fail in their handshake (DTLS)"),
    # `server` is its own /metrics, `host` an exporter; `other` has sessions of another backend, and `alone` of other clients.
    Case(
        "SignalingCountedTwice",
        "info",
        {
            f'{SESSIONS}{{instance="server", {BACKEND}, clienttype="client"}}': "_x100 3x100",
            f'{SESSIONS}{{instance="host", {BACKEND}, clienttype="client"}}': "3x200",
            FROM_EXPORTER.replace("HOST", "host"): "1x200",
            f'{SESSIONS}{{instance="other", backend="c", clienttype="client"}}': "3x200",
            f'{SESSIONS}{{instance="alone", {BACKEND}, clienttype="internal"}}': "3x200",
            f'{SESSIONS}{{instance="second", {BACKEND}, clienttype="client"}}': "3x200",
            FROM_EXPORTER.replace("HOST", "second"): "1x200",
            # On the host of an exporter, scraped by another job.
            f'{SESSIONS}{{job="own", instance="second", {BACKEND}, clienttype="client"}}': "_x150 3x50",
        },
        {
            114: [],
            115: [
                (
                    f'instance="server", {BACKEND}, clienttype="client"',
                    "The sessions of b come from server and from an exporter that follows its log.",
                )
            ],
        },
    ),
]
