"""The words of the tables: panels, rows and dashboards, and the panels that several dashboards have.

A query is PromQL. `{}` behind a metric becomes the selector of site, job and instance; `{backend}` adds the Nextcloud server, for metrics
with that label; `{alerts}` is for ALERTS, some of which have no job or instance. All three may stand among other matchers:
`{type="video", {}}`.

Which range to use:

- `$__rate_interval` in `rate`, for lines of what happens often;
- `$__interval` in `increase`, for bars of what happens rarely;
- `$__range` in `increase`, for one number over the time shown.

Leave labels out with `without (...)` rather than name those to keep: a site may put labels of its own on every series.
"""

from typing import List, NamedTuple, Optional, Tuple

#: What a value is called, and its colour.
Names = Tuple[Tuple[int, str, str], ...]

GOOD_BAD: Names = ((1, "good", "green"), (0, "bad", "red"))
UP_DOWN: Names = ((1, "up", "green"), (0, "down", "red"))
SCAN: Names = ((1, "complete", "green"), (0, "failed", "red"), (-1, "partial", "orange"))
REDIS: Names = ((0, "in use", "green"), (1, "bypassed", "red"))
NEVER: Names = ((-1, "never", "text"),)
NONE: Names = ((-1, "none", "green"),)

#: The first row of a page. What was lost is counted over the time shown, all else is of this moment.
FIRST = "Is all well, what is going on now, was anything lost in the time shown?"


#: Labels with any number of values: only the first ten of them are shown.
UNBOUNDED = {"backend", "country", "endpoint", "entity", "host", "instance", "metric", "producer", "reason", "room", "room_id", "task_name", "url", "worker_name"}


class Panel(NamedTuple):
    """A picture of some queries. A limit is the name of a constant in `limits.py`."""

    title: str
    #: What it shows, and what to do about it.
    about: str
    #: Queries with their legends.
    queries: List[Tuple[str, str]]
    unit: str = "short"
    #: `stat`: one number; `lines`; `bars`: a number for each interval; `heatmap`; `states`: a coloured band for each series;
    #: `ranking`: the first of many, now; `alerts`: a table of those that fire.
    kind: str = "lines"
    #: Columns of 24.
    width: int = 8
    #: From this value on it is orange.
    warning: str = ""
    #: From this value on it is red.
    limit: str = ""
    #: Below this value it is red.
    least: str = ""
    #: Names of values.
    names: Names = ()
    decimals: Optional[int] = None
    stacked: bool = False
    #: The shortest step between two points or bars. Without one it is what the data source is set to.
    interval: str = ""
    #: Units of Grafana's grid.
    height: int = 8
    #: Whether a number has a curve of the time shown behind it.
    curve: bool = False
    #: The colour of bars, where it is not one for each series.
    colour: str = ""
    #: The largest value there can be.
    most: Optional[float] = None


class Dashboard(NamedTuple):
    """A page."""

    uid: str
    title: str
    about: str
    #: A metric that every target of this system has.
    metric: str
    #: A regular expression of the names of its alerts.
    alerts: str
    #: Titles of rows, with their panels.
    rows: List[Tuple[str, List[Panel]]]
    #: A metric with the Nextcloud servers in its label `backend`.
    backends: str = ""


def stat(
    title: str,
    about: str,
    query: str,
    unit: str = "locale",
    *,
    warning: str = "",
    limit: str = "",
    least: str = "",
    names: Names = (),
    decimals: int = 0,
    width: int = 4,
    legend: str = "",
) -> Panel:
    """One number. Its unit writes 12345 out, where `short` says 12 K."""
    return Panel(title, about, [(query, legend)], unit, "stat", width, warning, limit, least, names, decimals, height=4)


def now(title: str, about: str, query: str, *, width: int = 3) -> Panel:
    """How many there are now, with the curve that led there."""
    return stat(title, about, query, width=width)._replace(curve=True)


def oldest(title: str, about: str, system: str, entity: str, limit: str, width: int = 4) -> Panel:
    """How long the oldest of a kind has been open."""
    query = f'max(lifecycle_exporter_oldest_entity_age_seconds{{system="{system}", entity="{entity}", {{}}}} > 0) or vector(-1)'
    return stat(title, about, query, "s", limit=limit, names=NONE, width=width)


def increased(counter: str) -> str:
    """How much a counter has grown in the time shown. 0 where the counter is not there yet."""
    return f"round(sum(increase({counter}[$__range]))) or vector(0)"


def total(title: str, about: str, counter: str, *, warning: str = "", limit: str = "", width: int = 4) -> Panel:
    """How much a counter has grown in the time shown."""
    return stat(title, about, increased(counter), warning=warning, limit=limit, width=width)


def share(part: str, whole: str) -> str:
    """A share of a rate in another one; 0 where little happens, as in alerts."""
    is_enough = f"sum(increase({whole}[10m])) >= 20"
    return f"sum(rate({part}[$__rate_interval])) / (sum(rate({whole}[$__rate_interval])) > 0 and {is_enough}) or vector(0)"


def p95(metric: str, selector: str = "{}") -> str:
    """The 95th percentile of a histogram; 0 where nothing happens."""
    query = f"histogram_quantile(0.95, sum by (le) (rate({metric}_bucket{selector}[$__rate_interval])))"
    return f"({query} >= 0) or vector(0)"


def lines(title: str, about: str, query: str, legend: str, unit: str = "short", *, width: int = 8, warning: str = "", limit: str = "", least: str = "", stacked: bool = False, interval: str = "") -> Panel:
    """A line for each series."""
    return Panel(title, about, [(query, legend)], unit, "lines", width, warning, limit, least, stacked=stacked, interval=interval)


def several(title: str, about: str, queries: List[Tuple[str, str]], unit: str = "short", *, width: int = 8, least: str = "") -> Panel:
    """Lines of several queries."""
    return Panel(title, about, queries, unit, "lines", width, least=least)


def bars(title: str, about: str, counter: str, by: str = "", *, width: int = 8, interval: str = "15m", limit: str = "", colour: str = "") -> Panel:
    """How often something rare happens: a bar for each quarter of an hour, or longer where the picture shows days.

    `by` is a label, or several with commas; without one, everything is added up. What failed has a `colour`.
    """
    made = bars_of(title, about, [(counter, by, "" if by else title.lower())], width=width, interval=interval, limit=limit)
    return made._replace(colour=colour)


def bars_of(title: str, about: str, counters: List[Tuple[str, str, str]], *, width: int = 8, interval: str = "15m", limit: str = "") -> Panel:
    """Bars of several counters, each with its labels and what its legends begin with."""
    queries = []
    for counter, by, name in counters:
        labels = [label.strip() for label in by.split(",") if label]
        grouping = f" by ({by})" if by else ""
        query = f"round(sum{grouping} (increase({counter}[$__interval])))"
        if UNBOUNDED.intersection(labels):
            query = f"topk(10, {query})"
        if labels:
            # A series may begin with its first event: until then it is 0, not missing.
            query += f' or label_replace(absent({counter}) - 1, "{labels[0]}", "none", "", "")'
        else:
            query += " or vector(0)"
        queries.append((query, " ".join([name, *(f"{{{{{label}}}}}" for label in labels)]).strip()))
    return Panel(title, about, queries, "short", "bars", width, limit=limit, decimals=0, stacked=True, interval=interval)


def heatmap(title: str, about: str, metric: str, unit: str, selector: str = "{}", *, width: int = 8) -> Panel:
    """How values are spread over the buckets of a histogram: the darker, the more of them."""
    query = f"sum by (le) (increase({metric}_bucket{selector}[$__interval]))"
    return Panel(title, about, [(query, "{{le}}")], unit, "heatmap", width, interval="5m")


def states(title: str, about: str, query: str, legend: str, names: Names, *, width: int = 8) -> Panel:
    """A band for each series, in the colour of its value."""
    return Panel(title, about, [(query, legend)], "short", "states", width, names=names)


def ranking(title: str, about: str, query: str, legend: str, unit: str = "short", *, width: int = 8, warning: str = "", limit: str = "", least: str = "", decimals: int = 0, most: Optional[float] = None) -> Panel:
    """Bars of the first of many, as they are now."""
    return Panel(title, about, [(query, legend)], unit, "ranking", width, warning, limit, least, decimals=decimals, most=most)


#: Behind a query whose metric other programs have as well: only what an exporter says of itself.
OF_EXPORTERS = " and ignoring (version, revision) lifecycle_exporter_build_info{}"


def firing(alerts: str, width: int = 4) -> Panel:
    """How many alerts fire."""
    return stat(
        "Alerts",
        "Alerts of this page that fire now. The overview lists them, and each says what to do. Prometheus needs the rules of lifecycle-exporter for it.",
        f'count(ALERTS{{alertstate="firing", alertname=~"{alerts}", {{alerts}}}}) or vector(0)',
        limit="ANY",
        names=((0, "none", "green"),),
        width=width,
    )


def silence(system: str, width: int = 4) -> Panel:
    """How long no event has come."""
    return stat(
        "Last event",
        "How long ago: the exporter that has been silent for longest has had no event of this system since then. If people use it, see on the exporter's status page which producers are connected.",
        f'max(time() - (lifecycle_exporter_last_event_timestamp_seconds{{system="{system}", {{}}}} > 0)) or vector(-1)',
        "s",
        warning="FEED_SILENT",
        names=NEVER,
        width=width,
    )


def down(system: str = "", width: int = 4) -> Panel:
    """How many exporters cannot be scraped."""
    return stat(
        "Exporters down",
        "Exporters that were there in the last day and cannot be scraped now: nothing is known of what runs there. See systemctl status lifecycle-exporter on those hosts.",
        f"count({up(system)} == 0) or vector(0)",
        limit="ANY",
        width=width,
    )


def up(system: str = "") -> str:
    """The exporters of the last day that show this system, or all: 1 where it can be scraped, else 0."""
    if system:
        return f'(up{{}} and ignoring (system) last_over_time(lifecycle_exporter_series{{system="{system}", {{}}}}[1d]))'
    return "(up{} and ignoring (version, revision) last_over_time(lifecycle_exporter_build_info{}[1d]))"


def abandoned(system: str, width: int = 4) -> Panel:
    """What ended without anybody closing it."""
    return total(
        "Lost with server",
        "What was open when its server ended or lost its connection, in the time shown: sessions, calls, jobs. See in that server's log why it ended; the exporter's dashboard says what was open.",
        f'lifecycle_exporter_abandoned_total{{system="{system}", {{}}}}',
        warning="ANY",
        width=width,
    )
