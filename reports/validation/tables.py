"""The tables of a validation: what was measured of each metric, and what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefbench.api import Cells, Grid

from ..shared.cells import DASH
from .expectations import changed_rules
from .nulls import FEWEST
from .scale import MIDDLE

Result = dict[str, Any]
_ARROWS = {"up": "↑", "down": "↓"}
_PASSED = {True: "pass", False: "FAIL", None: "open"}
_VERDICTS = {"holds": "holds", "fails": "FAILS", "open": "open"}


def grids(result: Result) -> list[tuple[str, list[Grid]]]:
    """Headings and tables, in the order of the page."""
    parts = result["parts"]
    return [
        ("Requirements", [required_grid(result)]),
        ("Rank correlation with true utility", [correlation_grid(result), *methods_grids(parts)]),
        ("Dose and response", [dose_grid(result)]),
        ("Nuisances", [ladder_grid(result), failures_grid(parts["ladders"]), revised_grid(parts["ladders"])]),
        ("Identical methods and intervals", [null_grid(parts), set_null_grid(parts)]),
        ("Number of pictures", [sizes_grid(result)]),
        ("What a learned scorer overpays", [leakage_grid(name, rows) for name, rows in parts["leakage"].items()]),
    ]


def required_grid(result: Result) -> Grid:
    """What is required; of what is required of many metrics only what does not hold stands alone."""
    rows = result["requirements"]
    always = result["parts"].get("of_runs", {}).get("required", [])
    shown = [row for row in rows if in_default_table(result, row)]
    others = [row for row in rows if row not in shown]
    groups = [
        [(row["what"], number(row["found"]), _PASSED[row["passed"]]) for row in group if not _quiet(row, always)]
        for group in (shown, others)
    ]
    left_out = [name for name, card in result["metrics"].items() if not card["default"]]
    notes = [f"Metrics of the default table first: {_counted(shown)}."]
    if others:
        notes.append(f"Below them metrics that it leaves out ({', '.join(left_out)}): {_counted(others)}.")
    notes.append(
        "Rates are held against what is required as they are, whatever their intervals. Open: an effect's interval is "
        "too wide to tell, or what is needed was not given. What holds and is not shown stands in the JSON."
    )
    return Grid("Requirements", ("required", "found", ""), [group for group in groups if group], notes)


def in_default_table(result: Result, row: Mapping[str, Any]) -> bool:
    """Whether a requirement is of a metric that every table shows, or of the ranking by one."""
    metric, separator, _ = row["what"].partition(": ")
    return not separator or result["metrics"][metric]["default"]


def _quiet(row: Mapping[str, Any], always: Sequence[Any]) -> bool:
    return row["passed"] is True and row not in always


def _counted(rows: Sequence[Mapping[str, Any]]) -> str:
    passed, failed, unknown = (sum(row["passed"] is wanted for row in rows) for wanted in (True, False, None))
    return f"of {len(rows)} requirements {passed} hold, {failed} do not, {unknown} are open"


def correlation_grid(result: Result) -> Grid:
    """Pictures, users, methods."""
    parts = result["parts"]
    over = {"systems made here, tau-b": parts["of_systems"]}
    over |= {"real runs, tau-b": parts["of_runs"]} if "of_runs" in parts else {}
    rows = [
        (
            name_of(result, name),
            interval(parts["per_image"].get(name)),
            interval(parts["per_user"].get(name)),
            *(interval(found["tau"].get(name)) for found in over.values()),
        )
        for name in result["metrics"]
    ]
    notes = [
        "Positive where the metric agrees with the truth, whatever its direction. Pictures: Spearman within a user "
        "over all strengths, mean over users. Users: Spearman over users of mean value and mean utility, all at "
        "strength 0.5. Brackets: 95 % over users drawn anew; over sets there is none.",
    ]
    return Grid("Rank correlation", ("metric", "pictures", "users", *over), [rows], notes)


def methods_grids(parts: Mapping[str, Any]) -> list[Grid]:
    """Real runs by true utility."""
    if "of_runs" not in parts:
        return []
    found = parts["of_runs"]
    methods: Mapping[str, Mapping[str, float | None]] = found["methods"]
    names = list(next(iter(methods.values())))
    ranked = sorted(methods, key=lambda label: -(methods[label].get("utility") or float("-inf")))
    rows = [(label, *(number(methods[label][name]) for name in names)) for label in ranked]
    notes = [f"Not scored for all runs, so left out: {', '.join(found['lacking'])}."] if found["lacking"] else []
    return [Grid("Methods", ("method", *names), [rows], notes)]


def dose_grid(result: Result) -> Grid:
    """A column a strength."""
    dose = result["parts"]["dose"]
    strengths = [point["strength"] for point in next(iter(dose.values()))["points"]]
    rows = [
        (
            name_of(result, name),
            *("\n".join([interval(point), p_value(point["p"])]).strip() for point in found["points"]),
            number(found["spearman"]),
            {True: "yes", False: "no", None: DASH}[found["monotone"]],
            DASH if found["detected"] is None else f"{found['detected']:g}",
        )
        for name, found in dose.items()
    ]
    columns = ("metric", *(f"strength {s:g}" for s in strengths), "Spearman", "monotone", "detected from")
    notes = [
        "p: against strength 0, by the test of `prefbench compare`. Monotone: better at every step. Detected from: the "
        "smallest strength that is better than 0 at p < 0.05."
    ]
    return Grid("Dose and response", columns, [rows], notes)


def ladder_grid(result: Result) -> Grid:
    """The effect of each nuisance's top level in the metric's own unit, the claim and the verdict."""
    found = result["parts"]["ladders"]
    nuisances = list(dict.fromkeys(row["nuisance"] for row in found["rows"]))
    by_place = {(row["metric"], row["nuisance"]): row for row in found["rows"]}
    rows = [
        (name_of(result, name), *(_effect(by_place[name, nuisance]) for nuisance in nuisances))
        for name in result["metrics"]
    ]
    notes = [
        "At strength 0.5, the strongest level, against the same without the nuisance or against the strength that is "
        "named. Effects are in units: over pictures the standard deviation over all systems' pictures, over sets that "
        "over all systems' values. Brackets: 95 %, over users and prompts, over sets over users. A fall or a rise "
        "holds with the whole interval on its side of zero. It fails where it is surely under the tolerance: 0.2 "
        "units, over sets at most half of the difference between strengths 0 and 1. To stay holds with the whole 90 % "
        "interval (two one-sided tests at 5 %) within the tolerance and within half of the least effect that the "
        "metric must show. Open: the interval is too wide to tell.",
    ]
    if found["not_measured"]:
        notes.append(f"Declared and not registered or not computable here: {', '.join(found['not_measured'])}.")
    return Grid("Nuisances", ("metric", *nuisances), [rows], notes)


def _effect(row: Mapping[str, Any]) -> str:
    top, unit = row["effects"][-1], row["unit"]
    scaled = {key: None if top[key] is None or not unit else top[key] / unit for key in ("value", "low", "high")}
    claim = "no claim" if row["claim"] == "none" else f"{claimed(row)}: {_VERDICTS[row['verdict']]}"
    return f"{interval(scaled, digits=2)}\n{claim}"


def claimed(row: Mapping[str, Any]) -> str:
    """The claim in words."""
    if row["claim"] == "none":
        return "no claim"
    return f"must {row['claim']}" + ("" if row["against"] == MIDDLE else f", from strength {row['against']:g}")


def revised_grid(found: Mapping[str, Any]) -> Grid:
    """Claims that were argued anew after a first measurement."""
    rows = [
        (f"{row['metric']}, {row['nuisance']}", row["before"], f"{claimed(row)}: {row['reason']}", row["verdict"])
        for row in found["rows"]
        if row["before"]
    ]
    columns = ("metric, nuisance", "before", "now", "")
    notes = [
        "The first measurement spoke against what was claimed before, or no claim had been made that it could test. "
        "Rules that changed since then too:",
        *(f"- {rule}" for rule in changed_rules()),
    ]
    return Grid("Claims that were argued anew", columns, [rows], notes)


def failures_grid(found: Mapping[str, Any]) -> Grid:
    """Expectations that do not hold, with every level."""
    failed = [row for row in found["rows"] if row["verdict"] == "fails"]
    rows = [
        (
            f"{row['metric']}, {row['nuisance']}",
            f"{claimed(row)}: {row['reason']}",
            "\n".join(f"{effect['level']:g}: {interval(effect)}" for effect in row["effects"]),
        )
        for row in failed
    ]
    notes = [] if rows else ["Every expectation that could be judged holds."]
    return Grid("Expectations that fail", ("metric, nuisance", "expected", "effect at each level"), [rows], notes)


def null_grid(parts: Mapping[str, Any]) -> Grid:
    """Metrics over pictures."""
    rows = [
        (
            name,
            share(found),
            number(found["rests_on"]),
            share(parts["identical_mixed"][name]),
            share(parts["differing_by_prompt"][name]),
            *_held(parts["coverage"][name]),
        )
        for name, found in parts["identical"].items()
    ]
    columns = (
        "metric",
        "identical methods, p < 0.05",
        "users that differences rest on",
        "half of the pictures copies",
        "differing by prompt, p < 0.05",
        "intervals that hold",
        "wholly above, below",
    )
    return Grid("Metrics over pictures", columns, [rows], [why(parts)])


def _held(found: Mapping[str, Any]) -> tuple[str, str]:
    return share(found), f"{number(found['above'])}, {number(found['below'])}"


def why(parts: Mapping[str, Any]) -> str:
    """What the rates mean for the test."""
    identical, by_prompt = parts["identical"], parts["differing_by_prompt"]
    return (
        f"Required of identical methods: 3 to 7 %; found: {_range(identical, 'rate')}. The p value is the larger of "
        "two: Student's t over users and over what shared prompts add, which asks whether new prompts would show the "
        f"difference too ({_range(identical, 'student')} alone), and sign flips over users, which keep the prompts, "
        f"{_range(identical, 'flips')}. Where methods differ from prompt to prompt and not on average, the test "
        f"rejects {_range(by_prompt, 'rate')}, sign flips alone {_range(by_prompt, 'flips')}. Differences rest on "
        "(sum of d²)² / sum of d⁴ users, of normal ones a third of them; where that is under "
        f"{FEWEST} (median), Student's t is known to reject less often than it may, and the rate must reach 3 % where "
        "half of the pictures are copies instead. Intervals that lie wholly on one side far more often than on the "
        "other are those of values with rare exceptions."
    )


def _range(found: Mapping[str, Any], key: str) -> str:
    """The least and the greatest rate over metrics."""
    rates = [row[key] for row in found.values() if row[key] is not None]
    return f"{min(rates):.1%} to {max(rates):.1%}" if rates else DASH


def set_null_grid(parts: Mapping[str, Any]) -> Grid:
    """Metrics over sets."""
    rows = [
        (name, share(found), *_held(parts["coverage_of_sets"][name])) for name, found in parts["identical_sets"].items()
    ]
    notes = [
        "Identical methods by exchanging labels user by user. Intervals by the jackknife over users and over prompts, "
        "of users and prompts drawn from the population; the mean they must hold is that over all draws, since these "
        "values depend on the number of pictures, and the distance to it is enlarged for drawing from so few."
    ]
    columns = ("metric", "identical methods, p < 0.05", "intervals that hold", "wholly above, below")
    return Grid("Metrics over sets", columns, [rows], notes)


def sizes_grid(result: Result) -> Grid:
    """Bias and spread at each size."""
    found = result["parts"]["sizes"]
    sizes = list(dict.fromkeys(point["n"] for row in found.values() for point in row["points"]))
    rows = []
    for name, row in found.items():
        points = {point["n"]: point for point in row["points"]}
        cells = (f"{number(points[n]['bias'])}\n± {number(points[n]['sd'])}" if n in points else DASH for n in sizes)
        ends = (DASH if row[key] is None else f"{row[key]}" for key in ("enough", "steady"))
        rows.append((name_of(result, name), number(row["limit"]), number(row["gap"]), *cells, *ends))
    columns = ("metric", "limit", "strength 0.5 − 0", *(f"n {n}" for n in sizes), "least n: bias", "least n: spread")
    notes = [
        "A cell: bias against the limit, ± standard deviation over subsets of that size. Least n: from which on the "
        "bias, or the spread, is under half of what strength 0.5 scores more than strength 0; a dash where none is, or "
        "where the two strengths are not told apart at p < 0.05. The first is the recommended minimum. Limit: over "
        "pictures the mean of the whole pool, over sets 2 M(N) − M(N / 2) at the largest N.",
    ]
    return Grid("Number of pictures", columns, [rows], notes)


def leakage_grid(name: str, rows: Sequence[Mapping[str, Any]]) -> Grid:
    """A section a part of the judgments."""
    sections: dict[str, list[Cells]] = {}
    for row in rows:
        known = "judgments no method sees" if row["judgments"] == "scorer" else "judgments that methods see"
        cells = (interval(row["gain"]), interval(row["utility_gain"]), number(row["slope"]), interval(row["inflation"]))
        sections.setdefault(known, []).append((f"{known}; picked by {row['picked_by']}", *cells))
    columns = ("the scorer is given; the best of several pictures is", f"gain in {name}", "gain in utility",
               f"{name} per utility", "inflation")  # fmt: skip
    notes = ["Inflation: the gain beyond what the gain in utility is worth. Strength 0.5, gain over the mean picture."]
    return Grid(f"Inflation of {name}", columns, list(sections.values()), notes)


def name_of(result: Result, metric: str) -> str:
    """The metric with the arrow of its direction."""
    return f"{metric} {_ARROWS[result['metrics'][metric]['direction']]}"


def interval(found: Mapping[str, Any] | None, *, digits: int = 3) -> str:
    """A value with its interval; a dash where there is none."""
    if found is None or found["value"] is None:
        return DASH
    ends = "" if found["low"] is None else f" [{number(found['low'], digits)}, {number(found['high'], digits)}]"
    return f"{number(found['value'], digits)}{ends}"


def share(found: Mapping[str, Any]) -> str:
    """A share with its interval and its n."""
    if found["rate"] is None:
        return DASH
    return f"{found['rate']:.3f} [{found['low']:.3f}, {found['high']:.3f}], n {found['n']}"


def number(value: float | None, digits: int = 3) -> str:
    """A number, large ones with fewer decimals; a dash for none."""
    if value is None:
        return DASH
    shown = f"{value:.{digits if abs(value) < 10 else 1}f}"
    return shown.removeprefix("-") if float(shown) == 0 else shown


def p_value(p: float | None) -> str:
    """Empty for none."""
    return "" if p is None else "p < 0.001" if p < 0.001 else f"p {p:.3f}"
