"""edumeet and mediasoup."""

from limits import STREAM_SCORE

from .panels import FIRST, Dashboard, abandoned, bars, down, firing, lines, now, oldest, ranking, several, silence, stat

#: What tells the streams of one peer apart, and the streams of one room.
STREAM = "pid, transport_id, proto, local_addr, remote_addr, id, codec, type"
ROOM = f"{STREAM}, kind, peer_id, display_name, user_agent"
WORKER = ROOM.replace("pid, ", "") + ", room_id"
CAMERAS = f'count(count without ({STREAM}) (mediasoup_producer_score{{kind="video", {{}}}}))'
#: Streams into the server and out of it, without those of several layers, whose lowest layer is often off. Metrics of both have the same labels.
SENT = 'mediasoup_producer_score{type!="simulcast", {}}'
RECEIVED = 'mediasoup_consumer_score{type!="simulcast", {}}'
BAD = f"((count({SENT} < {STREAM_SCORE}) or vector(0)) + (count({RECEIVED} < {STREAM_SCORE}) or vector(0)))"
STREAMS = f"((count({SENT}) or vector(0)) + (count({RECEIVED}) or vector(0)))"

EDUMEET = Dashboard(
    "lifecycle-edumeet",
    "edumeet and mediasoup",
    "Rooms and peers of edumeet, and how well mediasoup's streams arrive.",
    "edumeet_rooms",
    "Edumeet.*",
    [
        (FIRST, [
            firing("Edumeet.*", 3),
            down("edumeet", 3),
            silence("edumeet", 3),
            now("Rooms", "Rooms that are open now. Before maintenance, wait until it is 0.", "sum(edumeet_rooms{}) or vector(0)"),
            now("People", "People in all rooms now. They are thrown out if you restart the server.", "sum(edumeet_peers{}) or vector(0)"),
            now("With a camera", "People who send video now. A shared screen counts as video, too.", f"{CAMERAS} or vector(0)"),
            now("Without a camera", "People who send no video now. Many more than usual: look at the scores below.", f"clamp_min((sum(edumeet_peers{{}}) or vector(0)) - ({CAMERAS} or vector(0)), 0)"),
            abandoned("edumeet", 3),
        ]),
        ("How good is it?", [
            stat("Bad streams", f"Share of streams with a score below {STREAM_SCORE} of 10. If it is high in all rooms, look at the server's own network; a few bad ones are people's networks.", f"{BAD} / ({STREAMS} > 0) or vector(0)", "percentunit", limit="BAD_STREAMS_SHARE", width=6),
            now("Streams", "Streams into the server and out of it now. Each costs bandwidth and processor time.", STREAMS, width=6),
            oldest("Oldest room", "How long the oldest room has been open. After a day its end may never have been reported: the exporter's status page names it.", "edumeet", "room", "ROOM_OPEN", 6),
            stat("Sent to people", "Bits a second from servers to people. Compare it with what your network can carry.", "8 * (sum(rate(mediasoup_consumer_byte_count_bytes{}[$__rate_interval])) or vector(0))", "bps", width=6),
            ranking("Worst score sent, by room", "The worst score of a stream into the server, from 0 to 10, which is best, the ten worst rooms now. Bad for one person: their network. Streams of several layers are left out.", f"bottomk(10, min without ({ROOM}) ({SENT}))", "{{site}} {{instance}} {{room_id}}", least="STREAM_SCORE", most=10),
            ranking("Worst score received, by room", "The worst score of a stream out of the server, from 0 to 10, which is best, the ten worst rooms now. Bad for one person: their network. Bad in all rooms: the server's.", f"bottomk(10, min without ({ROOM}) ({RECEIVED}))", "{{site}} {{instance}} {{room_id}}", least="STREAM_SCORE", most=10),
            several("Mean score", "The mean score of streams from 0 to 10, by direction and kind. A line that falls for all is the server's network or its processor.", [("avg by (kind) (mediasoup_producer_score{})", "into the server, {{kind}}"), ("avg by (kind) (mediasoup_consumer_score{})", "out of the server, {{kind}}")], least="STREAM_SCORE"),
        ]),
        ("In detail", [
            ranking("Largest rooms", "The ten rooms with most people now. Large rooms need most bandwidth.", "topk(10, edumeet_peers{})", "{{site}} {{instance}} {{room_id}}"),
            lines("Rooms", "Rooms that are open, by server, the ten with most. A line that never goes down: rooms whose end is not reported.", "topk(10, edumeet_rooms{})", "{{site}} {{instance}}"),
            lines("People", "People in all rooms, by server, the ten with most. A sudden fall to 0: that server was restarted, or its network was gone.", "topk(10, sum without (room_id) (edumeet_peers{}))", "{{site}} {{instance}}"),
            lines("Received", "Bytes a second from people to servers, by kind. Video that stops while people stay: look at the scores.", "sum by (kind) (rate(mediasoup_producer_byte_count_bytes{}[$__rate_interval]))", "{{kind}}", "Bps"),
            lines("Sent", "Bytes a second from servers to people, by kind. Compare the sum with what your network can carry.", "sum by (kind) (rate(mediasoup_consumer_byte_count_bytes{}[$__rate_interval]))", "{{kind}}", "Bps"),
            lines("Sent by worker", "Bytes a second that each worker process sends, the ten with most. One far above the others: rooms are spread badly.", f"topk(10, sum without ({WORKER}) (rate(mediasoup_consumer_byte_count_bytes{{}}[$__rate_interval])))", "{{site}} {{instance}} process {{pid}}", "Bps"),
            lines("Streams by codec", "Streams that people send, by codec. One that surprises you: look at the router's media codecs in edumeet's configuration.", "count by (codec) (mediasoup_producer_score{})", "{{codec}}", width=12),
            bars("Lost with server", "What was open when its server ended, by kind. Read edumeet's log of that time.", 'lifecycle_exporter_abandoned_total{system="edumeet", {}}', "entity", width=12, colour="orange"),
        ]),
    ],
)
