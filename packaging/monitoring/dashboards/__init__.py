"""What the dashboards show: tables for people to edit, one file a dashboard. `../build.py` makes Grafana's JSON of them.

`panels.py` says how a query is written and which kinds of panels there are; `left_out.py` names the metrics that are on no panel.
"""

from .edumeet import EDUMEET
from .exporter import EXPORTER
from .overview import OVERVIEW
from .proxy import PROXY
from .recording import RECORDING
from .signaling import SIGNALING
from .vlog import VLOG

ALL = [OVERVIEW, RECORDING, SIGNALING, PROXY, EDUMEET, VLOG, EXPORTER]
