"""All systems on one page."""

from .edumeet import CAMERAS as EDUMEET_CAMERAS
from .exporter import MISSING, UPTIME
from .panels import FIRST, UP_DOWN, Dashboard, Panel, bars, bars_of, down, firing, increased, lines, now, ranking, several, stat, states, total, up

UPLOADS_FAILED = 'vlog_video_uploads_total{result!="success", {}}'
JOBS_FAILED = 'vlog_transcoding_jobs_total{status="failed", {}}'
ALERTS = "(Recording|Signaling|Proxy|Edumeet|Vlog|Lifecycle).*"
#: The same as on the dashboards of both systems, but for the variable of Nextcloud servers, which is not here.
TALK = 'signaling_call_sessions{clienttype!="internal", {}}'
CALLS = f"(count(sum by (backend, room) ({TALK}) > 0) or vector(0)) + (sum(edumeet_rooms{{}}) or vector(0))"
PEOPLE = f"(sum({TALK}) or vector(0)) + (sum(edumeet_peers{{}}) or vector(0))"
CAMERAS = f'(sum(signaling_mcu_publisher_streams{{type="video", {{}}}}) or vector(0)) + ({EDUMEET_CAMERAS} or vector(0))'

OVERVIEW = Dashboard(
    "lifecycle-overview",
    "Overview of all systems",
    "Whether all is well, what is going on, and whether anything was lost: recordings, calls and videos, and the exporters that tell of them.",
    "lifecycle_exporter_build_info",
    ALERTS,
    [
        (FIRST, [
            firing(ALERTS, 6),
            down(width=6),
            stat("Exporters up", "Exporters that can be scraped now. 0: nothing on these pages is true; see whether Prometheus has them among its targets.", f"count({up()} == 1) or vector(0)", least="AT_LEAST", width=6),
            stat("Servers not connected", "Servers that [events] expect names, such as a recording server, and that are not connected: what happens there is not counted. See whether they run.", f"count({MISSING}) or 0 * count(lifecycle_exporter_producer_expected{{}}) or vector(-1)", limit="ANY", names=((-1, "none expected", "text"),), width=6),
            total("Recordings lost", "Recordings that failed in the time shown: nothing of them is there. The dashboard of recordings says on which server.", "recording_recordings_failed_total{}", limit="ANY", width=4),
            total("Not uploaded", "Recordings in the time shown whose files wait on the recording server. Upload them by hand.", "recording_recordings_uploads_failed_total{}", warning="ANY", width=4),
            stat("Turned away", "Sessions over a limit, and publishing requests without a proxy, in the time shown. The dashboard of the signaling server says which.", f"({increased('signaling_backend_session_limit_exceeded_total{}')}) + ({increased('signaling_mcu_no_backend_available_total{}')})", limit="ANY", width=4),
            stat("Videos failed", "Uploads and transcoding jobs of videos that failed in the time shown. The dashboard of vlog says which.", f"({increased(UPLOADS_FAILED)}) + ({increased(JOBS_FAILED)})", warning="ANY", width=4),
            total("Server errors", "HTTP requests that vlog answered with a 5xx in the time shown. The dashboard of vlog says when and where.", 'vlog_http_requests_total{status_code=~"5..", {}}', warning="ANY", width=4),
            total("Lost with server", "What was open when its server ended, in the time shown: recordings, calls, jobs. The dashboard of the exporter says what.", "lifecycle_exporter_abandoned_total{}", warning="ANY", width=4),
            now("Calls", "Rooms with a call on signaling servers, and rooms of edumeet, now. Before maintenance, wait until it is 0.", CALLS),
            now("People in calls", "People in calls and in rooms of edumeet now, without recorders and other programs. They are thrown out if you restart a server.", PEOPLE),
            now("With a camera", "Those of them who send video. Video needs most of the bandwidth. See the signaling dashboard if it is short.", CAMERAS),
            now("Without a camera", "Those of them who send none. Many more than usual: see whether proxies are full or missing.", f"clamp_min({PEOPLE} - ({CAMERAS}), 0)"),
            now("Recordings", "Recordings that run now. A recording server that is restarted loses them.", "sum(recording_recordings_current{}) or vector(0)"),
            now("Streams at proxies", "Publishers and subscribers at the proxies now. The dashboard of the proxy says how they are spread.", "(sum(signaling_proxy_publishers{}) or vector(0)) + (sum(signaling_proxy_subscribers{}) or vector(0))"),
            now("Watching videos", "Playback sessions of vlog now. 0 on a busy day: see whether vlog answers.", "sum(vlog_playback_sessions_active{}) or vector(0)"),
            now("Transcoding", "Transcoding jobs of vlog that run now. 0 while jobs wait: look at the workers on the dashboard of vlog.", "sum(vlog_transcoding_jobs_active{}) or vector(0)"),
        ]),
        ("Alerts and exporters", [
            Panel("Firing alerts", "Alerts that fire now. Open one in Prometheus or Alertmanager to read what it means and what to do.", [(f'ALERTS{{alertstate="firing", alertname=~"{ALERTS}", {{alerts}}}}', "")], kind="alerts", width=12),
            states("Exporters", "When exporters could be scraped, the twenty worst. While one is down, nothing is known of its host.", f"bottomk(20, {up()})", "{{site}} {{instance}}", UP_DOWN, width=6),
            ranking("Versions", "How many exporters run which version. More than one: an upgrade is not complete.", "count by (version) (lifecycle_exporter_build_info{})", "{{version}}", width=3),
            ranking("Uptime", "The ten exporters that were started last. What was open is kept over a restart.", f"bottomk(10, {UPTIME})", "{{site}} {{instance}}", "s", width=3),
        ]),
        ("Over time", [
            several("People in calls", "Calls of signaling servers and rooms of edumeet, the people in them, and their cameras. A sudden fall to 0 is a server that was restarted: look for its mark.", [(PEOPLE, "people"), (CAMERAS, "cameras"), (CALLS, "calls")]),
            bars("Lost with server", "What was open when its server ended, by system. Read the log of that server at that time.", "lifecycle_exporter_abandoned_total{}", "system", colour="orange"),
            bars_of("Lost and failed", "What went wrong, at the time it did. The dashboard of that system says more.", [
                ("recording_recordings_failed_total{}", "", "recordings lost"),
                ("recording_recordings_uploads_failed_total{}", "", "recordings not uploaded"),
                (UPLOADS_FAILED, "", "videos not uploaded"),
                (JOBS_FAILED, "", "videos not transcoded"),
                ("signaling_backend_session_limit_exceeded_total{}", "", "sessions over a limit"),
                ("signaling_mcu_no_backend_available_total{}", "", "streams without a proxy"),
            ]),
            lines("Open", "What is open on every system, the ten kinds with most. A line that only rises: ends are not reported.", "topk(10, sum by (system, entity) (lifecycle_exporter_entities{}))", "{{system}} {{entity}}")._replace(height=14),
            ranking("Open now", "What is open on every system now, the twenty kinds with most. The exporter's status page names each of them.", "topk(20, sum by (system, entity) (lifecycle_exporter_entities{}) > 0)", "{{system}} {{entity}}", width=8)._replace(height=14),
            ranking("Silence", "How long no event has come, by system, on the exporter that has been silent for longest. If people use it, see there which producers are connected.", "topk(10, max by (system) (time() - (lifecycle_exporter_last_event_timestamp_seconds{} > 0)))", "{{system}}", "s", warning="FEED_SILENT")._replace(height=14),
        ]),
    ],
)
