"""Cases of alerts about the exporter itself."""

from cases.table import Case, exceeds, grows

INFO = 'lifecycle_exporter_build_info{instance="HOST", version="1.0.0", revision="abc"}'
LAST = "lifecycle_exporter_last_event_timestamp_seconds"
EXPECTED = "lifecycle_exporter_producer_expected"
CONNECTED = "lifecycle_exporter_producer_connected"
ABANDONED = 'lifecycle_exporter_abandoned_total{instance="HOST", system="signaling", entity="session"}'
STATUS = "lifecycle_exporter_scan_status"
DURATION = "lifecycle_exporter_scan_duration_seconds"
SUCCESS = "lifecycle_exporter_scan_last_success_timestamp_seconds"
DAY = 24 * 60
#: In steps of ten minutes.
WEEK = 7 * 144


def of(series: str, host: str) -> str:
    """The series of a host."""
    return series.replace("HOST", host)


DOWN = [('instance="down"', "The exporter on down cannot be scraped.")]

CASES = [
    # It stays down for hours; `other` is no exporter, and `back` was away for four minutes.
    Case(
        "LifecycleExporterDown",
        "critical",
        {
            'up{instance="down"}': "1x99 0x1700",
            of(INFO, "down"): "1x99 stale",
            'up{instance="back"}': "1x99 0x4 1x600",
            of(INFO, "back"): "1x99 stale _x3 1x600",
            'up{instance="other"}': "1x99 0x600",
            'up{job="node", instance="back"}': "1x90 0x600",
        },
        {104: [], 105: DOWN, 600: DOWN, 1650: DOWN},
        ends=False,
    ),
    # Beside an exporter: `new` answers nothing, `was` was one until a day ago, `late` answers within the hour, `node` is of another job.
    Case(
        "LifecycleExporterNeverUp",
        "warning",
        {
            'up{instance="one"}': "1x1700",
            of(INFO, "one"): "1x1700",
            'up{instance="new"}': "0x1700",
            'up{instance="late"}': "0x58 1x1700",
            of(INFO, "late"): "_x59 1x1700",
            'up{instance="was"}': "1x10 0x1700",
            of(INFO, "was"): "1x10 stale",
            'ALERTS{alertname="LifecycleExporterDown", alertstate="firing", severity="critical", instance="was"}': "_x15 1x1700",
            # Nobody said so of `once`.
            'up{instance="once"}': "1x10 0x1700",
            of(INFO, "once"): "1x10 stale",
            'up{job="node", instance="node"}': "0x1700",
        },
        {
            59: [],
            60: [('instance="new"', "new is scraped as an exporter, but none has answered there.")],
            1500: [('instance="new"', "new is scraped as an exporter, but none has answered there.")],
            1520: [(f'instance="{host}"', f"{host} is scraped as an exporter, but none has answered there.") for host in ("new", "once")],
        },
    ),
    Case(
        "LifecycleExporterFlaps",
        "warning",
        {
            'up{instance="flaps"}': "1x10 0x2 1x2 0x2 1x2 0x2 1x2 0x2 1x60",
            of(INFO, "flaps"): "1x100",
            'up{instance="rarely"}': "1x10 0x2 1x2 0x2 1x2 0x2 1x60",
            of(INFO, "rarely"): "1x100",
            'up{instance="other"}': "1x10 0x2 1x2 0x2 1x2 0x2 1x2 0x2 1x60",
            'up{job="node", instance="rarely"}': "1x10 0x2 1x2 0x2 1x2 0x2 1x2 0x2 1x60",
        },
        {28: [], 29: [('instance="flaps"', "The exporter on flaps comes and goes.")], 73: [('instance="flaps"', "The exporter on flaps comes and goes.")], 74: []},
        ends=False,
    ),
    Case(
        "LifecycleExporterAbsent",
        "critical",
        {of(INFO, "h"): "1x99 stale"},
        {104: [], 105: [("", "No lifecycle-exporter is scraped at all.")]},
        ends=False,
    ),
    Case(
        "LifecycleExporterAbsent",
        "critical",
        {of(INFO, "h"): "1x99 stale _x19 1x50"},
        {119: [("", "No lifecycle-exporter is scraped at all.")], 120: []},
        ends=False,
    ),
    # Busy for a week, and then silent. `quiet` was so at this time a week ago, too, `busy` goes on, `none` never began.
    Case(
        "LifecycleFeedSilent",
        "info",
        {
            LAST + '{instance="silent", system="signaling"}': f"0+600x{WEEK} {WEEK * 600}x200",
            LAST + '{instance="quiet", system="recording"}': f"60x{WEEK + 200}",
            LAST + '{instance="busy", system="signaling"}': f"0+600x{WEEK + 200}",
            LAST + '{instance="none", system="vlog"}': f"0x{WEEK + 200}",
        },
        {
            WEEK * 10 + 12 * 60 + 30: [],
            WEEK * 10 + 12 * 60 + 40: [('instance="silent", system="signaling"', "No event of signaling has come to silent for 12h 40m 0s.")],
        },
        every=10,
    ),
    Case(
        "LifecycleFeedNeverUsed",
        "info",
        {
            # One scrape fails now and then.
            LAST + '{instance="unused", system="vlog"}': f"0x900 _ 0x{DAY}",
            # The system beside it is busy.
            LAST + '{instance="unused", system="recording"}': f"60x{2 * DAY}",
            LAST + '{instance="late", system="vlog"}': f"0x{DAY - 1} 60x{DAY}",
            LAST + '{instance="new", system="vlog"}': f"_x100 0x{DAY - 10}",
            # It was used, and forgot it. `ends` is used in the end.
            LAST + '{instance="once", system="vlog"}': f"0x499 60x100 0x{2 * DAY}",
            LAST + '{instance="ends", system="vlog"}': f"0x{DAY + 5} 60x{DAY}",
        },
        {
            DAY - 1: [],
            DAY: [(f'instance="{host}", system="vlog"', f"No event of vlog has ever come to {host}.") for host in ("unused", "ends")],
            DAY + 6: [('instance="unused", system="vlog"', "No event of vlog has ever come to unused.")],
            DAY + 610: [(f'instance="{host}", system="vlog"', f"No event of vlog has ever come to {host}.") for host in ("unused", "once", "new")],
        },
        ends=False,
    ),
    grows(
        "LifecycleEventsRejected",
        "warning",
        "lifecycle_exporter_events_rejected_total",
        'reason="malformed"',
        15,
        "1 line was rejected on HOST (malformed).",
    ),
    grows(
        "LifecycleEventsRejected",
        "warning",
        "lifecycle_exporter_events_rejected_total",
        'reason="malformed"',
        15,
        "2 lines were rejected on HOST (malformed).",
        by=2,
    ),
    Case(
        "LifecycleProducerMissing",
        "critical",
        {
            EXPECTED + '{instance="h", producer="gone"}': "1x200",
            CONNECTED + '{instance="h", producer="gone"}': "1x99 0x100",
            EXPECTED + '{instance="h", producer="there"}': "1x200",
            CONNECTED + '{instance="h", producer="there"}': "1x200",
            CONNECTED + '{instance="h", producer="unexpected"}': "0x200",
            EXPECTED + '{instance="h", producer="former"}': "0x200",
            CONNECTED + '{instance="h", producer="former"}': "0x200",
        },
        {104: [], 105: [('instance="h", producer="gone"', "The producer gone is not connected to h.")]},
    ),
    # Three times within an hour, and twice; once with many.
    Case(
        "LifecycleProducerRestartsOften",
        "warning",
        {
            of(ABANDONED, "often"): "0x10 5x10 6x10 7x100",
            of(ABANDONED, "twice"): "0x10 5x10 6x100",
            of(ABANDONED, "once"): "0x10 5000x120",
        },
        {
            32: [],
            33: [
                (
                    'instance="often", system="signaling", entity="session"',
                    "What was open of signaling on often (session) was given up 3 times within an hour.",
                )
            ],
            70: [
                (
                    'instance="often", system="signaling", entity="session"',
                    "What was open of signaling on often (session) was given up 3 times within an hour.",
                )
            ],
            71: [],
        },
        ends=False,
    ),
    Case(
        "LifecycleStateNotWritten",
        "critical",
        {
            'lifecycle_exporter_state_writable{instance="stuck"}': "1x99 0x100",
            'lifecycle_exporter_state_writable{instance="good"}': "1x200",
            'lifecycle_exporter_journal_errors_total{instance="failing"}': "50x99 1x100",
            'lifecycle_exporter_journal_errors_total{instance="good"}': "3x200",
        },
        {
            101: [],
            102: [
                ('instance="stuck"', "The exporter on stuck cannot write its state."),
                ('instance="failing"', "The exporter on failing cannot write its state."),
            ],
            109: [
                ('instance="stuck"', "The exporter on stuck cannot write its state."),
                ('instance="failing"', "The exporter on failing cannot write its state."),
            ],
            111: [('instance="stuck"', "The exporter on stuck cannot write its state.")],
        },
        ends=False,
    ),
    Case(
        "LifecycleConfigurationFaulty",
        "warning",
        {
            'lifecycle_exporter_config_last_reload_successful{instance="bad"}': "1x99 0x100",
            'lifecycle_exporter_config_last_reload_successful{instance="good"}': "1x200",
        },
        {99: [], 100: [('instance="bad"', "The configuration of bad has a fault; the former one is in force.")]},
    ),
    grows(
        "LifecycleSeriesOverflow",
        "warning",
        "lifecycle_exporter_series_overflow_total",
        'metric="signaling_room_sessions"',
        15,
        "The metric signaling_room_sessions is at its limit of series on HOST.",
    ),
    Case(
        "LifecycleScanIncomplete",
        "warning",
        {
            STATUS + '{instance="failed", scan="s"}': "1x99 0x100",
            DURATION + '{instance="failed", scan="s"}': "2x200",
            STATUS + '{instance="partial", scan="s"}': "1x99 -1x100",
            DURATION + '{instance="partial", scan="s"}': "0.2x200",
            STATUS + '{instance="good", scan="s"}': "1x200",
            DURATION + '{instance="good", scan="s"}': "2x200",
            # Its first one has not ended.
            STATUS + '{instance="new", scan="s"}': "0x200",
            DURATION + '{instance="new", scan="s"}': "0x200",
        },
        {
            104: [],
            105: [
                ('instance="failed", scan="s"', "The latest scan s of failed was not complete."),
                ('instance="partial", scan="s"', "The latest scan s of partial was not complete."),
            ],
        },
    ),
    Case(
        "LifecycleScanNeverEnded",
        "warning",
        {
            STATUS + '{instance="hangs", scan="s"}': "0x200",
            DURATION + '{instance="hangs", scan="s"}': "0x200",
            STATUS + '{instance="failed", scan="s"}': "0x200",
            DURATION + '{instance="failed", scan="s"}': "2x200",
            STATUS + '{instance="fast", scan="s"}': "1x200",
            DURATION + '{instance="fast", scan="s"}': "0x200",
        },
        {59: [], 60: [('instance="hangs", scan="s"', "The first scan s of hangs does not end.")]},
    ),
    # `old` was complete at minute 100 for the last time; thirteen hours later is minute 880.
    Case(
        "LifecycleScanStale",
        "warning",
        {
            SUCCESS + '{instance="old", scan="s"}': f"{100 * 60}x1000",
            SUCCESS + '{instance="young", scan="s"}': f"{110 * 60}x1000",
            SUCCESS + '{instance="never", scan="s"}': "0x1000",
            SUCCESS + '{instance="first", scan="s"}': "_x876 1x300",
        },
        {
            880: [],
            881: [('instance="first", scan="s"', "The scan s of first was last complete 14h 40m 59s ago.")],
            886: [
                ('instance="old", scan="s"', "The scan s of old was last complete 13h 6m 0s ago."),
                ('instance="first", scan="s"', "The scan s of first was last complete 14h 45m 59s ago."),
            ],
        },
    ),
    grows(
        "LifecycleProducersRefused",
        "warning",
        "lifecycle_exporter_connections_refused_total",
        'reason="max_connections"',
        15,
        "1 connection of a producer was refused on HOST (max_connections).",
    ),
    Case(
        "LifecycleDescriptorsShort",
        "warning",
        {
            'process_open_fds{instance="short"}': "10x99 81x100",
            'process_max_fds{instance="short"}': "100x200",
            of(INFO, "short"): "1x200",
            'process_open_fds{instance="enough"}': "80x200",
            'process_max_fds{instance="enough"}': "100x200",
            of(INFO, "enough"): "1x200",
            'process_open_fds{instance="other"}': "99x200",
            'process_max_fds{instance="other"}': "100x200",
            'process_open_fds{job="node", instance="enough"}': "99x200",
            'process_max_fds{job="node", instance="enough"}': "100x200",
        },
        {104: [], 105: [('instance="short"', "The exporter on short uses 81% of its descriptors.")]},
    ),
]
