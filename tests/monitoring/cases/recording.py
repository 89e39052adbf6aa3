"""Cases of alerts about Nextcloud Talk recording servers."""

from cases.table import Case, exceeds, grows

AGE = "lifecycle_exporter_oldest_entity_age_seconds"
BACKEND = 'backend="b"'
FAILED = "recording_recordings_failed_total"
FILES = "lifecycle_exporter_scan_files"
OLDEST = "lifecycle_exporter_scan_oldest_file_timestamp_seconds"
OF = 'scan="recordings"'

CASES = [
    grows("RecordingFailed", "critical", FAILED, BACKEND, 15, "1 recording of b failed on HOST.", keep=60),
    grows("RecordingFailed", "critical", FAILED, BACKEND, 15, "3 recordings of b failed on HOST.", by=3, keep=60),
    grows(
        "RecordingUploadFailed",
        "warning",
        "recording_recordings_uploads_failed_total",
        BACKEND,
        15,
        "1 recording of b could not be uploaded from HOST.",
        keep=720,
    ),
    exceeds(
        "RecordingOpenForADay",
        "warning",
        AGE,
        'system="recording", entity="recording"',
        86400,
        5,
        "A recording on HOST has been running for 1d 0h 0m 1s.",
    ),
    exceeds(
        "RecordingUploadTakesLong",
        "warning",
        AGE,
        'system="recording", entity="upload"',
        7200,
        5,
        "An upload from HOST has been going on for 2h 0m 1s.",
    ),
    # Another system's.
    Case("RecordingOpenForADay", "warning", {AGE + '{instance="h", system="vlog", entity="recording"}': "90000x200"}, {150: []}),
    Case("RecordingOpenForADay", "warning", {AGE + '{instance="h", system="recording", entity="upload"}': "90000x200"}, {150: []}),
    Case("RecordingUploadTakesLong", "warning", {AGE + '{instance="h", system="vlog", entity="upload"}': "90000x200"}, {150: []}),
    Case("RecordingUploadTakesLong", "warning", {AGE + '{instance="h", system="recording", entity="recording"}': "9000x200"}, {150: []}),
    # Time is 0 at the start. The file of `old` is a day old from minute 100 on; `young` has one of a recording that runs, `empty` has none,
    # and `other` is no directory of recordings.
    Case(
        "RecordingLeftovers",
        "warning",
        {
            f'{FILES}{{instance="old", {OF}}}': "1x500",
            f'{OLDEST}{{instance="old", {OF}}}': f"{100 * 60 - 86400 - 1}x500",
            f'{FILES}{{instance="young", {OF}}}': "1x500",
            f'{OLDEST}{{instance="young", {OF}}}': "-80400x500",
            f'{FILES}{{instance="empty", {OF}}}': "0x500",
            f'{OLDEST}{{instance="empty", {OF}}}': "-90000x500",
            FILES + '{instance="other", scan="videos"}': "5x500",
            OLDEST + '{instance="other", scan="videos"}': "-90000x500",
        },
        {
            99 + 15: [],
            100 + 15: [('instance="old", scan="recordings"', "1 file lies in recordings on old, the oldest for more than a day.")],
        },
    ),
    Case(
        "RecordingLeftovers",
        "warning",
        {FILES + '{instance="h", scan="my-recordings-2"}': "2x60", OLDEST + '{instance="h", scan="my-recordings-2"}': "-90000x60"},
        {30: [('instance="h", scan="my-recordings-2"', "2 files lie in my-recordings-2 on h, the oldest for more than a day.")]},
    ),
]
