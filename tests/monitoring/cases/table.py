"""What the cases of alerts are made of.

A case plays some hosts, a sample a minute, in the notation of promtool, and says what has to fire when, and what not. Values are chosen so
that `increase` is exact: a whole window of samples, at whole minutes.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple


class Case(NamedTuple):
    """One alert, and some hosts that make it fire or leave it quiet."""

    rule: str
    severity: str
    #: Series with their values. The job is added where none is given.
    series: Dict[str, str]
    #: By minute: the labels of all that fires then, without job and severity, and the summary.
    fires: Dict[int, List[Tuple[str, str]]]
    #: Minutes from one sample to the next.
    every: int = 1
    #: Whether nothing fires any more as soon as no series is there.
    ends: bool = True

    def expects(self) -> bool:
        """Whether the alert fires at all."""
        return any(self.fires.values())


def join(*labels: str) -> str:
    """Labels as one text."""
    return ", ".join(label for label in labels if label)


def counter(metric: str, labels: str, window: int, by: int, limit: int) -> Dict[str, str]:
    """A counter of seven hosts. The first four have to be heard of within the window, from minute 120 on.

    - `grown`: it stood at 5 and grows by so much;
    - `again`: it begins anew from 0, since the exporter has no state;
    - `new`: it begins with that, on a host that was there before;
    - `young`: the same, on a host that Prometheus has known for one window;
    - `less`: it grows up to the limit, and once more when the window is over;
    - `fresh`: Prometheus has only just heard of the host, which begins with more;
    - `gap`: the host was away for longer than a window, and is back with what it had.
    """
    then = f"{7 + limit}x{window} {7 + limit + 1}x60" if limit else "7x200"
    end = window + 100
    of_hosts = {
        "grown": f"5x119 {5 + by}x{end}",
        "again": f"50x119 {by}x{end}",
        "new": f"_x120 {by}x{end}",
        "young": f"_x120 {by}x{end}",
        "less": f"7x119 {then}",
        "fresh": f"_x120 {by + 50}x{end}",
        "gap": f"{by + 50}x40 _x79 {by + 50}x{end}",
    }
    series = {at(f"{metric}{{{labels}}}", host): values for host, values in of_hosts.items()}
    for host in ("grown", "again", "new", "less"):
        series[at("up", host)] = f"1x{120 + end}"
    series[at("up", "young")] = f"_x{120 - window} 1x{window + end}"
    series[at("up", "fresh")] = f"_x120 1x{end}"
    series[at("up", "gap")] = f"1x40 0x78 1x{end}"
    return series


def grows(
    alert: str,
    severity: str,
    metric: str,
    labels: str,
    window: int,
    says: str,
    by: int = 1,
    limit: int = 0,
    keep: int = 0,
    left: Optional[str] = None,
) -> Case:
    """The alert fires from the minute of the change to the end of the window, and as long as it is kept after that.

    `says` is the summary, with `HOST`; `left` are the labels that the alert has, where these are not all.
    """
    rest = labels if left is None else left
    hosts = ("grown", "again", "new", "young")
    fired = [(join(f'instance="{host}"', rest), says.replace("HOST", host)) for host in hosts]
    end = 120 + window + keep
    fires: Dict[int, List[Tuple[str, str]]] = {119: [], 120: fired, 120 + window - 1: fired}
    if keep:
        fires[end - 1] = fired
    fires[end + 1] = []
    return Case(alert, severity, counter(metric, labels, window, by, limit), fires, ends=False)


def exceeds(alert: str, severity: str, metric: str, labels: str, limit: float, wait: int, says: str, step: float = 1) -> Case:
    """A gauge of two hosts: `over` is one step above the limit from minute 100 to 199, `under` reaches the limit."""
    series = {
        at(f"{metric}{{{labels}}}", "over"): f"{limit:g}x99 {limit + step:.10g}x99 {limit:g}x50",
        at(f"{metric}{{{labels}}}", "under"): f"{limit:g}x250",
    }
    fired = [(join('instance="over"', labels), says.replace("HOST", "over"))]
    return Case(alert, severity, series, {100 + wait - 1: [], 100 + wait: fired, 199: fired, 200: []})


def at(series: str, host: str) -> str:
    """A series such as `a{b="c"}` or `a` of a host."""
    name, _, labels = series.rstrip("}").partition("{")
    return f'{name}{{{join(f"instance={chr(34)}{host}{chr(34)}", labels)}}}'


def shares(
    alert: str,
    severity: str,
    part: str,
    rest: str,
    limit: float,
    least: float,
    says: str,
    left: str = "",
    includes_part: bool = False,
    wait: int = 5,
) -> Case:
    """Two counters grow from minute 100 to 139, and the alert is about the share of the first one in both of ten minutes.

    `rest` is the other series; `includes_part` says that it counts the first one's events, too. Hosts:

    - `over` has one percent more than the limit, `under` has the limit; `again` is like `over`, but its counters begin anew from 0;
    - `few` has one event less than is needed to say anything, and all fail; `enough` has one more;
    - `new` and `young` begin with a burst at minute 100, which is all; `fresh`, too, but Prometheus has only just heard of it;
    - `burst` has had other events for long, and then 60 that fail of 100 in ten minutes.
    """
    series: Dict[str, str] = {}

    def add(host: str, failing: float, other: float, before: float = 0) -> None:
        counted = failing + other if includes_part else other
        for name, value in ((part, failing), (rest, counted)):
            series[at(name, host)] = f"{before:g}x99 {value:.10g}+{value:.10g}x39 {40 * value:.10g}x60"
        series[at("up", host)] = "1x200"

    percent = 100 * limit
    add("over", percent + 1, 99 - percent)
    add("again", percent + 1, 99 - percent, before=1e6)
    add("under", percent, 100 - percent)
    add("few", (least - 1) / 10, 0)
    add("enough", least / 10, 0)
    for host, known in (("new", "1x200"), ("young", "_x90 1x110"), ("fresh", "_x100 1x100")):
        for name, value in ((part, percent + 1), (rest, 100 if includes_part else 99 - percent)):
            series[at(name, host)] = f"_x100 {value:.10g}x100"
        series[at("up", host)] = known

    begun = f"0+4x99 {100 * 4 + 60:g}+4x100" if includes_part else "0+4x200"
    series.update({at(part, "burst"): "_x100 60x100", at(rest, "burst"): begun, at("up", "burst"): "1x200"})

    def fired(share: str, *hosts: str) -> List[Tuple[str, str]]:
        return [(join(f'instance="{host}"', left), says.replace("HOST", host).replace("SHARE", share)) for host in hosts]

    over, burst, enough = fired(f"{percent + 1:g}%", "over", "again"), fired(f"{percent + 1:g}%", "new", "young") + fired("60%", "burst"), fired("100%", "enough")
    fires = {100 + wait - 1: [], 100 + wait: over + (burst if wait < 10 else []), 139: over + enough, 148: over, 149: []}
    if wait < 10:
        fires[109] = over + burst
        # It takes ten minutes until `enough` has as many as are needed.
        fires[109 + wait - 1] = over
        fires[109 + wait] = over + enough
    return Case(alert, severity, series, fires, ends=False)


def slow(alert: str, histogram: str, labels: str, limit: int, says: str, at_slow: str, at_enough: str, left: str = "", second: str = "") -> Case:
    """A histogram of four hosts from minute 100 to 200: of `slow`, 94 of 100 are within the limit and none takes twice as long.

    Of `fast`, 95 are. Of `few` and `enough`, none is; `few` has 19 in ten minutes, `enough` 20, half of them with the labels `second`, if
    there are such. `says` is the summary, with `HOST` and `TIME`.
    """
    series: Dict[str, str] = {}

    def add(host: str, of: str, within: float, each: float) -> None:
        for bound, value in ((f"{limit}", within), (f"{2 * limit}", each), ("+Inf", each)):
            bucket = f"{histogram}_bucket{{{join(of, f'le={chr(34)}{bound}{chr(34)}')}}}"
            series[at(bucket, host)] = f"0x99 {value:g}+{value:g}x100"
        series[at(f"{histogram}_count{{{of}}}", host)] = f"0x99 {each:g}+{each:g}x100"

    add("slow", labels, 94, 100)
    add("fast", labels, 95, 100)
    add("few", labels, 0, 1.9)
    add("enough", labels, 0, 1 if second else 2)
    if second:
        add("enough", second, 0, 1)

    def fired(host: str, time: str) -> Tuple[str, str]:
        return join(f'instance="{host}"', left), says.replace("HOST", host).replace("TIME", time)

    only, both = [fired("slow", at_slow)], [fired("slow", at_slow), fired("enough", at_enough)]
    # Twenty in ten minutes for the first time at minute 109. The last samples are of minutes 199 and 200.
    return Case(alert, "warning", series, {109: [], 110: only, 118: only, 119: both, 209: only, 210: []}, ends=False)
