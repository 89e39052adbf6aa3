"""Pieces of PromQL that rules share."""

#: Labels of a stream of mediasoup, beside those of its target.
STREAM = "pid, room_id, peer_id, display_name, user_agent, transport_id, proto, local_addr, remote_addr, id, kind, codec, type"


def grown(series: str, window: str, labels: str = "") -> str:
    """By how much a counter has grown within a window, what a series that is new has begun with included.

    A series is new if its target was scraped before the window, and had no such series. Of a target that was not there then, nothing is said:
    VictoriaMetrics takes the first small value of a series for an increase. `labels` are those that the series has beside the target's own.
    """
    was_up = f"ignoring ({labels}) (up offset {window} == 1)" if labels else f"(up offset {window} == 1)"
    return f"({counted(series, window)} and {was_up})"


def counted(series: str, window: str) -> str:
    """The same of any target: for the whole, where the part is asked of targets that were there."""
    return f"(({series} unless {series} offset {window}) or increase({series}[{window}]))"


def share(part: str, whole: str, least: float) -> str:
    """The part of a whole, where that is at least so much: one failure of two at night says nothing."""
    return f"{part}\n  / ({whole} >= {least:g})"
