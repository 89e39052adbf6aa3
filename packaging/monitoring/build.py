"""Makes Grafana's JSON of the table in `dashboards.py`: `build.py DIRECTORY` writes one file a dashboard.

Needs `grafana-foundation-sdk` from PyPI. Import a file in Grafana, or put the directory into its provisioning.
"""

import sys
from pathlib import Path

import dashboards
from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphGradientMode, LegendDisplayMode, LegendPlacement, StackingMode, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)

TAG = "lifecycle-exporter"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
SELECTOR = 'job=~"$job", instance=~"$instance"'
COLORS = ["green", "orange", "red"]


def query(text):
    """A query of the table with the selector in it."""
    return text.replace("{}", f"{{{SELECTOR}}}").replace(f"{{{SELECTOR}}}}}", f"{SELECTOR}}}")


def panel(spec):
    """A panel with its queries."""
    module = stat if spec.kind == "stat" else timeseries
    made = module.Panel().title(spec.title).description(spec.about).unit(spec.unit).datasource(SOURCE)
    made.span(spec.width).height(4 if spec.kind == "stat" else 8)
    steps = [Threshold(value=None, color=COLORS[0])]
    if spec.least is not None:
        steps = [Threshold(value=None, color="red"), Threshold(value=spec.least, color="green")]
    steps += [Threshold(value=value, color=color) for value, color in zip(spec.thresholds, COLORS[1:])]
    made.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    if spec.kind == "timeseries":
        made.min(0).fill_opacity(10).line_width(2).gradient_mode(GraphGradientMode.OPACITY)
        made.legend(
            common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
        )
        made.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        if spec.stacked:
            made.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
        if spec.thresholds:
            made.thresholds_style(common.GraphThresholdsStyleConfig().mode("dashed"))
    for place, (text, legend) in enumerate(spec.queries):
        target = prometheus.Dataquery().expr(query(text)).ref_id("ABCDEFGH"[place]).datasource(SOURCE)
        made.with_target(target.legend_format(legend or "__auto"))
    return made


def variable(name, label, text):
    """A variable of the values of a label."""
    made = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(text)
    made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    return made.multi(True).include_all(True).all_value(".+").current({"selected": True, "text": ["All"], "value": ["$__all"]})


def page(spec):
    """A whole dashboard."""
    made = dashboard.Dashboard(spec.title).uid(spec.uid).description(spec.about).tags([TAG]).readonly()
    made.refresh("30s").time("now-6h", "now").timezone("browser")
    made.link(
        dashboard.DashboardLink("Others").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True).keep_time(True).include_vars(True)
    )
    made.with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    made.with_variable(variable("job", "Job", f"label_values({spec.metric}, job)"))
    made.with_variable(variable("instance", "Instance", f'label_values({spec.metric}{{job=~"$job"}}, instance)'))
    for title, panels in spec.rows:
        made.with_row(dashboard.Row(title))
        for each in panels:
            made.with_panel(panel(each))
    return made.build()


def main(directory):
    """Writes all."""
    for spec in dashboards.ALL:
        text = JSONEncoder(sort_keys=True, indent=2).encode(page(spec))
        Path(directory, f"{spec.uid}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
