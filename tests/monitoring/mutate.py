"""Changes each rule in all the ways in which a rule can be wrong, and counts how many of these its cases do not notice.

`mutate.py RULES [ALERT…]`: a folder with the files of rules. Fails if more than 5 % survive.
"""

import copy
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Tuple

from play import GROUPS, calm_tests, cases_of, name_of, play, rules_of, tests_of

SURVIVORS_MAX = 0.05
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
#: What an expression may be written as by mistake.
WORDS = [
    (r"\bunless\b", "and"),
    (r"\band\b", "unless"),
    (r"\band\b", "or"),
    (r"\bor\b", "and"),
    (r"\bincrease\(", "delta("),
    (r"\brate\(", "delta("),
    (r"\bmax_over_time\(", "min_over_time("),
    (r"\bchanges\(", "resets("),
    (r"\bsum\b", "max"),
    (r"\bsum\b", "avg"),
    (r"\bmax\b(?!_)", "sum"),
    (r"\bcount\b", "sum"),
    (r"\bwithout\b", "by"),
    (r"\bignoring\b", "on"),
    (r" / ", " * "),
    (r" - ", " + "),
    (r" \+ ", " - "),
    (r" == ", " != "),
    (r" > ", " >= "),
    (r" > ", " < "),
    (r" >= ", " > "),
    (r" < ", " <= "),
    (r" < ", " > "),
    (r"0\.95", "0.5"),
    (r"_total\b", "_count"),
    (r"\btime\(\)", "0"),
]


def put(text: str, found: re.Match[str], other: str) -> str:
    """The text with something else in that place."""
    return text[: found.start()] + other + text[found.end() :]


def longer(duration: str) -> str:
    """A duration half as long again."""
    number, unit = int(duration[:-1]), SECONDS[duration[-1]]
    return f"{number * unit * 3 // 2}s"


def shorter(duration: str) -> str:
    """A duration half as long."""
    number, unit = int(duration[:-1]), SECONDS[duration[-1]]
    return f"{number * unit // 2}s"


def expressions(expr: str) -> Iterator[Tuple[str, str]]:
    """Each way in which the expression may be wrong, with a word for it."""
    yield "whole expression", "vector(42)"
    for pattern, other in WORDS:
        for found in re.finditer(pattern, expr):
            # The scale of a rate does not matter to a quantile.
            if pattern == r"\brate\(" and "histogram_quantile" in expr:
                continue
            yield f"{found.group()} becomes {other}", put(expr, found, other)
    for found in re.finditer(r"(?<=[\[ ])\d+[smhdw]\b", expr):
        yield f"window {found.group()} is longer", put(expr, found, longer(found.group()))
        yield f"window {found.group()} is shorter", put(expr, found, shorter(found.group()))
    for found in re.finditer(r"(?<=[<>=] )-?\d+(?:\.\d+)?\b(?![smhdw])", expr):
        value = float(found.group())
        for limit in (value * 1.2 + (value == 0), value * 0.8 - (value == 0)):
            yield f"limit {found.group()} becomes {limit:g}", put(expr, found, f"{limit:g}")
    for found in re.finditer(r'\w+(?:=~|!~|!=|=)"[^"]*"(?:, )?', expr):
        yield f"without {found.group()}", put(expr, found, "")
        label, _, rest = found.group().partition("=")
        if label.isidentifier() and not rest.startswith("~"):
            yield f"not {found.group()}", put(expr, found, f"{label}!={rest}")
    for found in re.finditer(r"(?<=[(, ])\w+(?=[^(]*\))(?<=\w)", expr):
        # A label of `without (…)` or `ignoring (…)`.
        before = expr[: found.start()]
        opened = before.rfind("(")
        if re.search(r"\b(without|ignoring|on) $", before[:opened]) and re.fullmatch(r"[\w, ]*", before[opened + 1 :]):
            yield f"label {found.group()} is missing", put(expr, found, "nothing")


def annotations(rule: Dict[str, Any]) -> Iterator[Tuple[str, str]]:
    """Each way in which the summary may be wrong."""
    text = rule["annotations"]["summary"]
    for found in re.finditer(r"\$labels\.\w+", text):
        yield f"{found.group()} becomes $labels.job", put(text, found, "$labels.job")
    for found in re.finditer(r"\$value", text):
        yield "$value becomes 0", put(text, found, "0.0")
    for found in re.finditer(r" \| humanize\w*", text):
        yield f"without {found.group()}", put(text, found, "")


def mutants(rule: Dict[str, Any]) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """The rule with one mistake each."""

    def changed(**fields: Any) -> Dict[str, Any]:
        made = copy.deepcopy(rule)
        for field, value in fields.items():
            if value is None:
                made.pop(field, None)
            else:
                made[field] = value
        return made

    for what, expr in expressions(rule["expr"]):
        yield what, changed(expr=expr)
    if "alert" not in rule:
        return
    for field in ("for", "keep_firing_for"):
        duration = rule.get(field)
        if duration:
            yield f"without {field}", changed(**{field: None})
            yield f"{field} is longer", changed(**{field: longer(duration)})
            yield f"{field} is shorter", changed(**{field: shorter(duration)})
        else:
            yield f"{field}: 2m", changed(**{field: "2m"})
    for severity in ("critical", "warning", "info"):
        if severity != rule["labels"]["severity"]:
            yield f"severity {severity}", changed(labels={"severity": severity})
    for what, summary in annotations(rule):
        yield what, changed(annotations={**rule["annotations"], "summary": summary})


def noticed(rules: List[Dict[str, Any]], tests: List[Dict[str, Any]]) -> Set[str]:
    """The names of the rules that fail."""
    return set(re.findall(r"\bM\d+\b", play(rules, tests))) if tests else set()


def survivors(rule: Dict[str, Any], cases: List[Any]) -> Tuple[int, List[str]]:
    """How many mutants a rule has, and which of them no case notices. All are played at once, under names of their own."""
    found = [(what, mutant) for what, mutant in mutants(rule) if mutant != rule]
    alive = {}
    for number, (what, mutant) in enumerate(found):
        name = f"M{number}"
        field = "alert" if "alert" in rule else "record"
        expr = mutant["expr"].replace(f'alertname="{name_of(rule)}"', f'alertname="{name}"')
        alive[name] = (what, {**mutant, field: name, "expr": expr})
    # Mutants that are no valid rules are named first and hide the others, so it is done until nothing more is noticed.
    for make in (lambda rules: tests_of(cases, rules), calm_tests):
        while alive:
            rules = [mutant for _, mutant in alive.values()]
            killed = noticed(rules, make(rules))
            alive = {name: mutant for name, mutant in alive.items() if name not in killed}
            if not killed:
                break
    return len(found), [what for what, _ in alive.values()]


def main(folder: Path, only: List[str]) -> None:
    """Changes all rules, or those that are named."""
    work = []
    for group in GROUPS:
        rules = [rule for rule in rules_of(folder / f"{group}.yml") if not only or name_of(rule) in only]
        work += [(rule, cases_of(group, name_of(rule))) for rule in rules]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda each: survivors(*each), work))
    for (rule, _), (_, alive) in zip(work, results):
        for what in alive:
            print(f"{name_of(rule)}: {what}")
    count, alive_count = sum(count for count, _ in results), sum(len(alive) for _, alive in results)
    print(f"{count} mutants, {alive_count} survive ({alive_count / count:.1%})")
    sys.exit(1 if alive_count > SURVIVORS_MAX * count else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
