"""What a type checker says about calls: each line with a mark is an error, and would be one here if it were none."""

from lifecycle_events import Client


def report(events: Client) -> None:
    """Not meant to be run."""
    events.recording.started(backend="b", recording="r")
    events.recording.stopped(backend="b", recording="r", duration=2.5, time=1.0)
    events.emit("myapp.thing.happened", colour="red")
    Client(producer="nightly-encode", owner=False).vlog.job_started(job="42")
    events.recording.startd(backend="b", recording="r")  # type: ignore[attr-defined]
    events.recording.started(backend="b", recoding="r")  # type: ignore[call-arg]
    events.recording.started(backend="b")  # type: ignore[call-arg]
    events.recording.stopped(backend="b", recording="r", duration="long")  # type: ignore[arg-type]
    events.recordings.started(backend="b", recording="r")  # type: ignore[attr-defined]
    Client(overflow="middle")  # type: ignore[arg-type]
