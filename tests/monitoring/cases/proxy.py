"""Cases of alerts about Nextcloud signaling proxies."""

from cases.table import Case, grows

ERRORS = "signaling_proxy_token_errors_total"
SESSIONS = "signaling_proxy_sessions"

CASES = [
    grows(
        "ProxyTokenErrors",
        "warning",
        ERRORS,
        'reason="expired"',
        10,
        "11 sessions came with a bad token to HOST within ten minutes.",
        by=11,
        limit=10,
        left="",
    ),
    Case(
        "ProxyTokenErrors",
        "warning",
        {ERRORS + '{instance="h", reason="expired"}': "0x99 6x60", ERRORS + '{instance="h", reason="auth"}': "0x99 6x60"},
        {99: [], 100: [('instance="h"', "12 sessions came with a bad token to h within ten minutes.")]},
        ends=False,
    ),
    # `unused` loses its last session at minute 100; with `gaps`, Prometheus misses a scrape now and then; `new` has only just begun.
    Case(
        "ProxyUnused",
        "warning",
        {
            SESSIONS + '{instance="unused"}': "2x99 0x200",
            SESSIONS + '{instance="gaps"}': "1x99 0x18 stale 0x18 stale 0x18 stale 0x100",
            SESSIONS + '{instance="used"}': "2x110 0x10 1x200",
            SESSIONS + '{instance="new"}': "_x110 0x200",
        },
        {
            134: [],
            135: [
                ('instance="unused"', "No signaling server is connected to the proxy unused."),
                ('instance="gaps"', "No signaling server is connected to the proxy gaps."),
            ],
            145: [
                ('instance="unused"', "No signaling server is connected to the proxy unused."),
                ('instance="gaps"', "No signaling server is connected to the proxy gaps."),
                ('instance="new"', "No signaling server is connected to the proxy new."),
            ],
        },
        ends=False,
    ),
]
