"""Makes the files of rules and the runbook from their tables: `rules.py DIRECTORY` writes `rules/*.yml` and `runbook.md` there.

Needs `PyYAML` from PyPI.
"""

import re
import sys
from pathlib import Path
from typing import Any, Dict, List

import yaml
from alerts import GROUPS, Alert
from records import RECORDS

MADE = "# Made from packaging/monitoring by rules.py: change it there.\n"
RUNBOOK = "file:///usr/share/lifecycle-exporter/prometheus/runbook.md"
SYSTEMS = {
    "recording": "Nextcloud Talk recording servers",
    "signaling": "Nextcloud signaling servers",
    "proxy": "Nextcloud signaling proxies",
    "edumeet": "edumeet and mediasoup",
    "vlog": "The vlog video platform",
    "exporter": "The exporter itself: without it the others are silent",
}


class Text(str):
    """A text of several lines, written as it stands."""


def represent_text(dumper: yaml.SafeDumper, text: Text) -> yaml.ScalarNode:
    """Tells YAML so."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|" if "\n" in text else None)


yaml.SafeDumper.add_representer(Text, represent_text)


def summary(alert: Alert) -> str:
    """`{n:one|many}` is the value, and the word that fits it."""
    number = '{{ $value | printf "%.0f" }}'
    words = r'{{ if eq (printf "%.0f" $value) "1" }}\1{{ else }}\2{{ end }}'
    text = re.sub(r"\{n:([^|}]*)\|([^}]*)\}", lambda found: f"{number} {found.expand(words)}", alert.summary)
    return re.sub(r"\{n:([^}]*)\}", lambda found: f"{number} {found[1]}", text)


def rule(alert: Alert) -> Dict[str, Any]:
    """An alert as Prometheus reads it."""
    made: Dict[str, Any] = {"alert": alert.name, "expr": Text(alert.expr)}
    if alert.wait:
        made["for"] = alert.wait
    if alert.keep:
        made["keep_firing_for"] = alert.keep
    made["labels"] = {"severity": alert.severity}
    made["annotations"] = {
        "summary": summary(alert) + ".",
        "description": f"{alert.meaning} {alert.impact}",
        "runbook_url": f"{RUNBOOK}#{alert.name.lower()}",
    }
    return made


def write_rules(path: Path, group: Dict[str, Any], about: str) -> None:
    """One file with one group."""
    text = yaml.safe_dump({"groups": [group]}, sort_keys=False, allow_unicode=True, width=1000)
    path.write_text(f"# {about}\n{MADE}{text}", encoding="utf-8")


def section(alert: Alert) -> str:
    """What the runbook says of an alert."""
    when = f", after {alert.wait}" if alert.wait else ""
    keeps = f" It goes on for {alert.keep} when that is over." if alert.keep else ""
    parts = [
        f"### {alert.name}\n\n**{alert.severity}**{when}.{keeps}",
        f"- **Meaning**: {alert.meaning}",
        f"- **Impact**: {alert.impact}",
        f"- **Where to look**: {alert.look}",
        f"- **What to do**: {alert.do}",
    ]
    return parts[0] + "\n\n" + "\n".join(parts[1:]) + "\n\n```promql\n" + alert.expr + "\n```\n"


def write_runbook(path: Path) -> None:
    """A page with a section for each alert."""
    parts: List[str] = [
        "# Runbook\n\n"
        "What each alert means, whom it harms, where to look, and what to do. Critical: somebody is harmed now, or counts are being lost. "
        "Warning: look at it today. Info: for the next visit.\n\n"
        "Counters that go back: with `[state] sync = interval`, a power loss can set a counter back by what was counted in its last second. "
        "Prometheus takes that for a restart from 0 and counts the whole value once more: one alert of each kind at that moment, with an "
        "absurd number. `sync = always` avoids it.\n"
    ]
    for group, alerts in GROUPS.items():
        parts.append(f"## {SYSTEMS[group]}\n")
        parts.extend(section(alert) for alert in alerts)
    path.write_text("\n".join(parts), encoding="utf-8")


def main(directory: Path) -> None:
    """Writes all."""
    rules = directory / "rules"
    rules.mkdir(exist_ok=True)
    for group, alerts in GROUPS.items():
        made = {"name": group, "rules": [rule(alert) for alert in alerts]}
        write_rules(rules / f"{group}.yml", made, f"Alerts. {SYSTEMS[group]}.")
    records = [{"record": record.name, "expr": Text(record.expr)} for record in RECORDS]
    write_rules(rules / "fleet.yml", {"name": "fleet", "interval": "30s", "rules": records}, "Sums over all hosts of a job.")
    write_runbook(directory / "runbook.md")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
