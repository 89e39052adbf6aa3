"""Makes Grafana's JSON of the tables in `dashboards/`: `build.py DIRECTORY` writes one file a dashboard.

Needs `grafana-foundation-sdk` from PyPI. Import a file in Grafana, or put the directory into its provisioning.
"""

import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any, Iterator, List

import dashboards
import limits
from dashboards.panels import OF_EXPORTERS, Dashboard, Names, Panel
from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    GraphGradientMode,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

TAG = "lifecycle-exporter"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
SELECTORS = {
    "": 'site=~"$site", job=~"$job", instance=~"$instance"',
    "backend": 'site=~"$site", job=~"$job", instance=~"$instance", backend=~"$backend"',
    # Some alerts have no job or instance.
    "alerts": 'site=~"$site", job=~"$job|", instance=~"$instance|"',
}
MODULES = {"stat": stat, "lines": timeseries, "bars": timeseries, "heatmap": heatmap, "states": statetimeline, "ranking": bargauge, "alerts": table}
#: Kinds that show one moment.
INSTANT = ("stat", "ranking", "alerts")


def query(text: str) -> str:
    """A query of the table with its selectors in it: behind a metric with braces around, among other matchers without."""
    text = re.sub(r"(?<=, )\{(|backend|alerts)\}", lambda found: SELECTORS[found[1]], text)
    return re.sub(r"\{(|backend|alerts)\}", lambda found: f"{{{SELECTORS[found[1]]}}}", text)


def thresholds(spec: Panel) -> Any:
    """The colours of values, by the limits that the panel names."""
    steps = [Threshold(value=None, color="green")]
    if spec.least:
        steps = [Threshold(value=None, color="red"), Threshold(value=getattr(limits, spec.least), color="green")]
    if spec.warning:
        steps.append(Threshold(value=getattr(limits, spec.warning), color="orange"))
    if spec.limit:
        steps.append(Threshold(value=getattr(limits, spec.limit), color="red"))
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def about(spec: Panel) -> str:
    """The description, and where the limits are from."""
    judged = ((spec.warning, "Orange from {} on"), (spec.limit, "Red from {} on"), (spec.least, "Red below {}"))
    texts = [f"{text.format(getattr(limits, name))} ({name} in limits.py)." for name, text in judged if name]
    return " ".join([spec.about, *texts])


def mappings(names: Names) -> List[ValueMapping]:
    """Names of values."""
    return [ValueMap({str(value): ValueMappingResult(text=text, color=color) for value, text, color in names})]


def panel(spec: Panel) -> Any:
    """A panel with its queries."""
    made: Any = MODULES[spec.kind].Panel()
    made.title(spec.title).description(about(spec)).unit(spec.unit).datasource(SOURCE).span(spec.width).height(spec.height)
    made.thresholds(thresholds(spec))
    if spec.decimals is not None:
        made.decimals(spec.decimals)
    if spec.interval:
        made.interval(spec.interval)
    if spec.names:
        made.mappings(mappings(spec.names))
    if spec.colour:
        made.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.SHADES).fixed_color(spec.colour))
    if spec.most is not None:
        made.max(spec.most)
    is_judged = bool(spec.warning or spec.limit or spec.least)
    if spec.kind == "stat":
        made.graph_mode(BigValueGraphMode.AREA if spec.curve else BigValueGraphMode.NONE)
        made.color_mode(BigValueColorMode.BACKGROUND if is_judged or spec.names else BigValueColorMode.NONE)
        made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        if spec.queries[0][1]:
            made.text_mode(BigValueTextMode.VALUE_AND_NAME)
    elif spec.kind == "ranking":
        made.orientation(VizOrientation.HORIZONTAL).display_mode(BarGaugeDisplayMode.BASIC).show_unfilled(False).min(0)
        made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    elif spec.kind == "heatmap":
        made.calculate(False).show_legend().show_tooltip()
        made.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(64))
        made.y_axis(heatmap.YAxisConfig().unit(spec.unit))
        made.cell_values(heatmap.CellValues().unit("short").decimals(0))
    elif spec.kind == "states":
        made.show_value(VisibilityMode.NEVER).row_height(0.8).merge_values(True)
        made.legend(legend())
        made.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.SINGLE))
    elif spec.kind == "alerts":
        hidden = {name: True for name in ("Time", "Value", "__name__", "alertstate")}
        order = {name: place for place, name in enumerate(("severity", "alertname", "site", "instance"))}
        made.with_transformation(DataTransformerConfig("organize", options={"excludeByName": hidden, "indexByName": order}))
        made.show_header(True).no_value("No alert fires.")
    else:
        made.min(0).legend(legend()).tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        if spec.kind == "bars":
            made.draw_style(GraphDrawStyle.BARS).fill_opacity(80).line_width(1)
        else:
            made.fill_opacity(10).line_width(2).gradient_mode(GraphGradientMode.OPACITY)
        if spec.stacked:
            made.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
        if is_judged:
            made.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))
    for place, (text, name) in enumerate(spec.queries):
        target = prometheus.Dataquery().expr(query(text)).ref_id("ABCDEFGH"[place]).datasource(SOURCE).legend_format(name or "__auto")
        target = target.instant() if spec.kind in INSTANT and not spec.curve else target.range()
        if spec.kind in ("heatmap", "alerts"):
            target.format(PromQueryFormat.HEATMAP if spec.kind == "heatmap" else PromQueryFormat.TABLE)
        made.with_target(target)
    return made


def legend() -> Any:
    """A list below the picture."""
    return common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)


def variable(name: str, label: str, text: str, everything: str = ".+") -> Any:
    """A variable of the values of a label."""
    made = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(text)
    made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    chosen = VariableOption(selected=True, text=["All"], value=["$__all"])
    return made.multi(True).include_all(True).all_value(everything).current(chosen)


def variables(spec: Dashboard) -> Iterator[Any]:
    """What a reader can choose. A site is a label that Prometheus adds where it is told to, so it may not be there."""
    yield dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    yield variable("site", "Site", f"label_values({spec.metric}, site)", ".*")
    yield variable("job", "Job", f'label_values({spec.metric}{{site=~"$site"}}, job)')
    yield variable("instance", "Instance", f'label_values({spec.metric}{{site=~"$site", job=~"$job"}}, instance)')
    if spec.backends:
        yield variable("backend", "Nextcloud server", f"label_values({query(spec.backends + '{}')}, backend)", ".*")


def annotations(spec: Dashboard) -> Any:
    """Marks in all pictures."""
    restarts = f"time() - process_start_time_seconds{{}} < 120{OF_EXPORTERS}"
    firing = f'ALERTS{{alertstate="firing", alertname=~"{spec.alerts}", {{alerts}}}}'
    # When they began: some are kept for hours.
    alerts = f"{firing} unless {firing} offset 2m"
    for name, color, text, title in (
        ("Restarts", "blue", restarts, "exporter restarted"),
        ("Alerts that began", "red", alerts, "{{alertname}}"),
    ):
        made = dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(color).expr(query(text)).build()
        # The library does not know the fields of a query to Prometheus.
        yield {**made.to_json(), "titleFormat": title, "textFormat": "{{site}} {{instance}}", "step": "60s"}


def page(spec: Dashboard) -> Any:
    """A whole dashboard."""
    made = dashboard.Dashboard(spec.title).uid(spec.uid).description(spec.about).tags([TAG]).readonly()
    made.refresh("1m").time("now-24h", "now").timezone("browser").tooltip(DashboardCursorSync.TOOLTIP)
    made.link(
        dashboard.DashboardLink("Others").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True).keep_time(True).include_vars(True)
    )
    for each in variables(spec):
        made.with_variable(each)
    ids = itertools.count(1)
    for title, panels in spec.rows:
        made.with_row(dashboard.Row(title).id(next(ids)))
        for place in panels:
            made.with_panel(panel(place).id(next(ids)))
    json_value = json.loads(JSONEncoder().encode(made.build()))
    json_value["annotations"] = {"list": json.loads(JSONEncoder().encode(list(annotations(spec))))}
    return json_value


def main(directory: str) -> None:
    """Writes all."""
    for spec in dashboards.ALL:
        text = json.dumps(page(spec), sort_keys=True, indent=2, ensure_ascii=False)
        Path(directory, f"{spec.uid}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
