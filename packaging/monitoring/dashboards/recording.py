"""Nextcloud Talk recording servers."""

from .panels import FIRST, Dashboard, bars, down, firing, lines, now, oldest, silence, stat, total

RECORDING = Dashboard(
    "lifecycle-recording",
    "Nextcloud Talk recordings",
    "What is being recorded, what failed, and what waits to be uploaded, on Nextcloud Talk recording servers.",
    "recording_recordings_total",
    "Recording.*",
    [
        (FIRST, [
            firing("Recording.*", 3),
            down("recording", 3),
            silence("recording", 3),
            now("Recordings now", "Recordings that run at this moment. Do not restart the recording server while there are any.", "sum(recording_recordings_current{backend}) or vector(0)"),
            now("Uploads now", "Recordings that have ended and are being uploaded. If the number stays, see whether Nextcloud takes them.", 'sum(lifecycle_exporter_entities{system="recording", entity="upload", {}}) or vector(0)'),
            total("Begun", "Recordings begun in the time shown. 0 although somebody tried: see in Nextcloud's log whether it reaches the recording server.", "recording_recordings_total{backend}", width=3),
            total("Lost", "Recordings that failed in the time shown, those that ran when their server ended included: nothing of them is there. The recording server's log says why; tell those who recorded.", "recording_recordings_failed_total{backend}", limit="ANY", width=3),
            total("Not uploaded", "Recordings that could not be uploaded in the time shown. Their files wait on the recording server: upload them by hand.", "recording_recordings_uploads_failed_total{backend}", warning="ANY", width=3),
        ]),
        ("Does anything hang?", [
            oldest("Longest recording now", "How long the oldest recording has been open. After a day, somebody may have forgotten to stop it: the exporter's status page names it.", "recording", "recording", "RECORDING_OPEN", 6),
            oldest("Longest upload now", "How long the oldest upload has been going on. After two hours, see in the recording server's log whether it makes progress.", "recording", "upload", "UPLOAD_OPEN", 6),
            stat("Oldest file on disk", "Age of the oldest file in the recorders' directories, where [scan ...] sections with recording in their name look at them. After some hours its upload has failed, after a day nobody has seen to it: upload or remove it.", 'time() - min(lifecycle_exporter_scan_oldest_file_timestamp_seconds{scan=~".*recording.*", {}} > 0) or vector(-1)', "s", warning="UPLOAD_OPEN", limit="LEFTOVER_AGE", names=((-1, "no file", "green"),), width=6),
            stat("Recorded time", "Duration of all recordings that ended well in the time shown. Use it to plan how much the disks must hold.", "sum(increase(recording_recordings_duration_seconds{backend}[$__range])) or vector(0)", "s", width=6),
        ]),
        ("By Nextcloud server", [
            lines("Recordings now", "Recordings that run, by Nextcloud server, the ten with most. A server whose line never goes down has recordings that do not end.", "topk(10, sum by (backend) (recording_recordings_current{backend}))", "{{backend}}", width=12, stacked=True),
            bars("Begun", "Recordings begun, by Nextcloud server. Compare with those that were lost at the same time.", "recording_recordings_total{backend}", "backend", width=12),
            bars("Lost", "Recordings that failed, by Nextcloud server. Look at the recording server's log of that time.", "recording_recordings_failed_total{backend}", "backend", colour="red"),
            bars("Not uploaded", "Failed uploads, by Nextcloud server. If all are of one server, look there: size limits of its proxy, a full disk.", "recording_recordings_uploads_failed_total{backend}", "backend", colour="orange"),
            bars("Recorded time", "Duration of recordings that ended well, at the time they ended, by Nextcloud server. Long ones need time and space for their upload.", "recording_recordings_duration_seconds{backend}", "backend")._replace(unit="s"),
        ]),
    ],
    "recording_recordings_total",
)
