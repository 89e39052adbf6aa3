"""Plays the cases of `cases/` through promtool: `play.py RULES`, a folder with the files of rules; `play.py --series` lists the series that
are played.

Each alert has a case that makes it fire, and each recording rule one that looks at it. What `cases/calm.py` plays makes no alert fire. Needs
promtool and `PyYAML`.
"""

import importlib
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List

import yaml
from cases import calm, fleet
from cases.table import Case

Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

GROUPS = ["recording", "signaling", "proxy", "edumeet", "vlog", "exporter", "fleet"]


def with_job(series: str) -> str:
    """The series, with a job if it has none."""
    if "job=" in series:
        return series
    name, _, labels = series.partition("{")
    return f'{name}{{job="lifecycles", {labels}' if labels else f'{name}{{job="lifecycles"}}'


def labels_of(text: str) -> Dict[str, str]:
    """The labels of a text such as `a="b", c="d"`."""
    return dict(re.findall(r'(\w+)="([^"]*)"', text))


def input_series(series: Dict[str, str]) -> List[Dict[str, str]]:
    """As promtool reads them."""
    return [{"series": with_job(name), "values": values} for name, values in series.items()]


def name_of(rule: Dict[str, Any]) -> str:
    """The name of an alert or of what is recorded."""
    return str(rule.get("alert") or rule["record"])


def samples(values: str, count: int) -> List[str]:
    """The first samples of a text such as `0x5 1+2x10`."""
    found: List[str] = []
    for part in values.split():
        several = re.fullmatch(r"(_|[-+.\de]*?\d)(?:\+([-.\de]+))?x(\d+)", part)
        if not several:
            found.append(part)
        elif several[1] == "_":
            found += ["_"] * int(several[3])
        else:
            first, step = float(several[1]), float(several[2] or 0)
            found += [f"{first + step * number:.12g}" for number in range(int(several[3]) + 1)]
    return found[:count]


def ended(series: Dict[str, str], count: int) -> Dict[str, str]:
    """The same series, which end after so many samples."""
    first = {name: samples(values, count) for name, values in series.items()}
    return {name: " ".join([*found, "stale"]) for name, found in first.items() if len(found) == count}


def with_up(series: Dict[str, str], minutes: int) -> Dict[str, str]:
    """The same series, with targets that are up, unless the case says which are."""
    if any(name.startswith("up{") for name in series):
        return series
    hosts = sorted({labels_of(name).get("instance", "") for name in series})
    return {**series, **{f'up{{instance="{host}"}}': f"1x{minutes}" for host in hosts}}


def of_case(case: Case, rules: List[Dict[str, Any]]) -> Dict[str, Any]:
    """A test of promtool. What the summary says is in the case; the longer texts are compared with nothing."""
    tests = []
    for rule in rules:
        for minute, fired in sorted(case.fires.items()):
            expected = []
            for labels, summary in fired:
                # What is absent has no job.
                job = {"job": "lifecycles"} if labels else {}
                named = {**job, "severity": case.severity, **labels_of(labels)}
                expected.append({"exp_labels": named, "exp_annotations": {**rule["annotations"], "summary": summary}})
            tests.append({"eval_time": f"{minute}m", "alertname": name_of(rule), "exp_alerts": expected})
    series = with_up(case.series, max(case.fires) // case.every)
    if case.ends:
        count = max(case.fires) // case.every + 1
        series = {**series, **ended(series, count)}
        tests += [{"eval_time": f"{count * case.every}m", "alertname": name_of(rule), "exp_alerts": []} for rule in rules]
    return {"interval": f"{case.every}m", "input_series": input_series(series), "alert_rule_test": tests}


def of_calm(series: Dict[str, str], rules: List[Dict[str, Any]]) -> Dict[str, Any]:
    """A test in which the alerts never fire, not even for one evaluation."""
    tests = []
    for rule in rules:
        firing = f'ALERTS{{alertstate="firing", alertname="{name_of(rule)}"}}'
        expr = f"count(count_over_time({firing}[{calm.MINUTES}m]))"
        tests.append({"expr": expr, "eval_time": f"{calm.MINUTES}m", "exp_samples": []})
    return {"interval": "1m", "input_series": input_series(series), "promql_expr_test": tests}


def of_record(case: fleet.Case, rules: List[Dict[str, Any]]) -> Dict[str, Any]:
    """A test of what recording rules have recorded."""
    tests = []
    for rule in rules:
        for minute, samples in sorted(case.records.items()):
            expected = [{"labels": labels, "value": value} for labels, value in samples.items()]
            tests.append({"expr": f"round({name_of(rule)}, 0.001)", "eval_time": f"{minute}m", "exp_samples": expected})
    return {"interval": "1m", "input_series": input_series(case.series), "promql_expr_test": tests}


def cases_of(group: str, name: str) -> List[Any]:
    """The cases of one rule of a file."""
    cases = importlib.import_module(f"cases.{group}").CASES
    return [case for case in cases if case.rule == name]


def tests_of(cases: List[Any], rules: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Their tests, for rules that all have to pass them."""
    return [of_case(case, rules) if isinstance(case, Case) else of_record(case, rules) for case in cases]


def calm_tests(rules: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The tests in which nothing fires."""
    alerts = [rule for rule in rules if "alert" in rule]
    return [of_calm(series, alerts) for series in calm.SCENARIOS.values()] if alerts else []


def play(rules: List[Dict[str, Any]], tests: List[Dict[str, Any]]) -> str:
    """Plays tests of rules, which have the same interval. What promtool says if any fails."""
    with tempfile.TemporaryDirectory() as directory:
        file, test = Path(directory, "rules.yml"), Path(directory, "test.yml")
        file.write_text(yaml.dump({"groups": [{"name": "g", "rules": rules}]}, Dumper=Dumper), encoding="utf-8")
        made = {"rule_files": [str(file)], "evaluation_interval": tests[0]["interval"], "tests": tests}
        test.write_text(yaml.dump(made, Dumper=Dumper, sort_keys=False), encoding="utf-8")
        done = subprocess.run(["promtool", "test", "rules", str(test)], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr


def rules_of(path: Path) -> List[Dict[str, Any]]:
    """The rules of a file."""
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["groups"][0]["rules"])


def main(folder: Path) -> None:
    """Plays all."""
    work, without = [], []
    for group in GROUPS:
        rules = rules_of(folder / f"{group}.yml")
        for rule in rules:
            cases = cases_of(group, name_of(rule))
            if not any(case.expects() for case in cases):
                without.append(name_of(rule))
            work.append(([rule], tests_of(cases, [rule])))
        if calm_tests(rules):
            work.append((rules, calm_tests(rules)))
    if without:
        sys.exit(f"without a case that makes it fire: {', '.join(without)}")
    with ThreadPoolExecutor() as pool:
        said = [text for text in pool.map(lambda each: play(*each), work) if text]
    print("\n".join(said) or "all is as it should be")
    sys.exit(1 if said else 0)


def all_series() -> List[str]:
    """All series that are played."""
    cases = [case for group in GROUPS for case in importlib.import_module(f"cases.{group}").CASES]
    played = [case.series for case in cases] + list(calm.SCENARIOS.values())
    return sorted({series for each in played for series in each})


if __name__ == "__main__":
    if sys.argv[1] == "--series":
        print(json.dumps(all_series()))
    else:
        main(Path(sys.argv[1]))
