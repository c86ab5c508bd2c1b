"""The tables of a validation in the order of its page; requirements, rank correlations, dose and response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefbench.api import Grid
from prefbench.stats.ranks import Correlation

from ..shared.cells import DASH
from .cells import compact, interval, name_of, p_value
from .nuisance_tables import failures_grid, ladder_grid, revised_grid
from .rate_tables import leakage_grid, null_grid, set_null_grid, sizes_grid
from .schema import Parts, RequiredRow, ValidationResult

_PASSED = {True: "pass", False: "FAIL", None: "open"}


def grids(result: ValidationResult) -> list[tuple[str, list[Grid]]]:
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


def required_grid(result: ValidationResult) -> Grid:
    """What is required: of the ranking of runs every row, of single metrics the rows that do not hold."""
    rows = result["requirements"]
    always = result["parts"]["of_runs"]["required"] if "of_runs" in result["parts"] else []
    default = [row for row in rows if in_default_table(result, row)]
    others = [row for row in rows if row not in default]
    groups = [
        [(row["what"], compact(row["found"]), _PASSED[row["passed"]]) for row in group if not _quiet(row, always)]
        for group in (default, others)
    ]
    left_out = [name for name, card in result["metrics"].items() if not card["default"]]
    notes = [f"Metrics of the default table first: {_counted(default)}."]
    if others:
        notes.append(f"Below them metrics that it leaves out ({', '.join(left_out)}): {_counted(others)}.")
    notes.append(
        "Rates are held against what is required as they are, whatever their intervals. Open: an effect's interval is "
        "too wide to tell, or what is needed was not given. What holds and is not shown stands in the JSON."
    )
    return Grid("Requirements", ("required", "found", ""), [group for group in groups if group], notes)


def in_default_table(result: ValidationResult, row: RequiredRow) -> bool:
    """Whether a requirement is of a metric that every table shows, or of the ranking by one."""
    metric, separator, _ = row["what"].partition(": ")
    return not separator or result["metrics"][metric]["default"]


def _quiet(row: RequiredRow, always: Sequence[RequiredRow]) -> bool:
    return row["passed"] is True and row not in always


def _counted(rows: Sequence[RequiredRow]) -> str:
    passed, failed, open_ = (sum(row["passed"] is wanted for row in rows) for wanted in (True, False, None))
    return f"of {len(rows)} requirements {passed} hold, {failed} do not, {open_} are open"


def correlation_grid(result: ValidationResult) -> Grid:
    """How far each metric ranks pictures, users, systems and methods as the truth does."""
    parts = result["parts"]
    ranked = {"systems made here": parts["of_systems"]}
    if "of_runs" in parts:
        ranked |= {"real runs": parts["of_runs"]}
    over: dict[str, Mapping[str, Correlation]] = {}
    for what, correlations in ranked.items():
        over |= {f"{what}, tau-b": correlations["tau"]}
        over |= {f"{what}, tau-b with P(liked)": correlations.get("tau_liked", {})}
    rows = [
        (
            name_of(result, name),
            interval(parts["per_image"].get(name)),
            interval(parts["per_user"].get(name)),
            *(interval(taus.get(name)) for taus in over.values()),
        )
        for name in result["metrics"]
    ]
    notes = [
        "Positive where the metric agrees with the truth, whatever its direction. Pictures: Spearman within a user "
        "over all strengths, mean over users. Users: Spearman over users of mean value and mean utility, all at "
        "strength 0.5. P(liked): the true probability that a picture is liked as an answer to its prompt. "
        "Brackets: 95 % over users drawn anew; over sets there is none.",
    ]
    return Grid("Rank correlation", ("metric", "pictures", "users", *over), [rows], notes)


def methods_grids(parts: Parts) -> list[Grid]:
    """Real runs by true utility."""
    if "of_runs" not in parts:
        return []
    runs = parts["of_runs"]
    methods = runs["methods"]
    names = list(next(iter(methods.values())))
    ranked = sorted(methods, key=lambda label: -(methods[label].get("utility") or float("-inf")))
    rows = [(label, *(compact(methods[label][name]) for name in names)) for label in ranked]
    notes = [f"Not scored for all runs, so left out: {', '.join(runs['lacking'])}."] if runs["lacking"] else []
    return [Grid("Methods", ("method", *names), [rows], notes)]


def dose_grid(result: ValidationResult) -> Grid:
    """One column per strength."""
    dose = result["parts"]["dose"]
    strengths = [point["strength"] for point in next(iter(dose.values()))["points"]]
    rows = [
        (
            name_of(result, name),
            *("\n".join([interval(point), p_value(point["p"])]).strip() for point in of_metric["points"]),
            compact(of_metric["spearman"]),
            {True: "yes", False: "no", None: DASH}[of_metric["monotone"]],
            DASH if of_metric["detected"] is None else f"{of_metric['detected']:g}",
        )
        for name, of_metric in dose.items()
    ]
    columns = ("metric", *(f"strength {s:g}" for s in strengths), "Spearman", "monotone", "detected from")
    notes = [
        "p: against strength 0, by the test of `prefbench compare`. Monotone: better at every step. Detected from: the "
        "smallest strength that is better than 0 at p < 0.05."
    ]
    return Grid("Dose and response", columns, [rows], notes)
