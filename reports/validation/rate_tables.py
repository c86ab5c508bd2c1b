"""Tables of false positives, of coverage, of the number of pictures, and of what a learned scorer overpays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from prefbench.api import Cells, Grid
from prefbench.stats.rules import p_sentence

from ..shared.cells import DASH
from .cells import compact, interval, name_of, share
from .false_positives import FEWEST
from .rates import WANTED_RATE
from .schema import Coverage, FalsePositives, Parts, PickedGain, ValidationResult

_Share = Literal["rate", "student", "flips"]


def null_grid(parts: Parts) -> Grid:
    """Per-image metrics."""
    rows = [
        (
            name,
            share(rate),
            compact(rate["rests_on"]),
            share(parts["identical_mixed"][name]),
            share(parts["differing_by_prompt"][name]),
            *_held(parts["coverage"][name]),
        )
        for name, rate in parts["identical"].items()
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


def _held(coverage: Coverage) -> tuple[str, str]:
    return share(coverage), f"{compact(coverage['above'])}, {compact(coverage['below'])}"


def why(parts: Parts) -> str:
    """What the rates mean for the test."""
    identical, by_prompt = parts["identical"], parts["differing_by_prompt"]
    least, most = (f"{share:.0%}" for share in WANTED_RATE)
    return (
        f"Required of identical methods: {least} to {most}; found: {_range(identical, 'rate')}. {p_sentence()} "
        "Student's t asks whether new prompts would show the difference too "
        f"({_range(identical, 'student')} alone), sign flips keep the prompts ({_range(identical, 'flips')} alone). "
        "Where methods differ from prompt to prompt and not on average, the test rejects "
        f"{_range(by_prompt, 'rate')}, sign flips alone {_range(by_prompt, 'flips')}. "
        "Differences rest on (sum of d²)² / sum of d⁴ users, of normal ones a third of them; where that is under "
        f"{FEWEST} (median), Student's t is known to reject less often than it may, and the rate must reach {least} "
        "where half of the pictures are copies instead. Intervals that lie wholly on one side far more often than on "
        "the other are those of values with rare exceptions."
    )


def _range(rates: Mapping[str, FalsePositives], key: _Share) -> str:
    """The least and the greatest rate over metrics."""
    shares = [share for row in rates.values() if (share := row[key]) is not None]
    return f"{min(shares):.1%} to {max(shares):.1%}" if shares else DASH


def set_null_grid(parts: Parts) -> Grid:
    """Set-level metrics."""
    rows = [
        (name, share(rate), *_held(parts["coverage_of_sets"][name])) for name, rate in parts["identical_sets"].items()
    ]
    notes = [
        "Identical methods by exchanging labels user by user. Intervals by the jackknife over users and over prompts, "
        "of users and prompts drawn from the population; the mean they must hold is that over all draws, since these "
        "values depend on the number of pictures, and the distance to it is enlarged for drawing from so few."
    ]
    columns = ("metric", "identical methods, p < 0.05", "intervals that hold", "wholly above, below")
    return Grid("Metrics over sets", columns, [rows], notes)


def sizes_grid(result: ValidationResult) -> Grid:
    """Bias and spread at each size."""
    curves = result["parts"]["sizes"]
    sizes = list(dict.fromkeys(point["n"] for curve in curves.values() for point in curve["points"]))
    rows = []
    for name, curve in curves.items():
        points = {point["n"]: point for point in curve["points"]}
        cells = (f"{compact(points[n]['bias'])}\n± {compact(points[n]['sd'])}" if n in points else DASH for n in sizes)
        ends = (DASH if least is None else f"{least}" for least in (curve["enough"], curve["steady"]))
        rows.append((name_of(result, name), compact(curve["limit"]), compact(curve["gap"]), *cells, *ends))
    columns = ("metric", "limit", "strength 0.5 − 0", *(f"n {n}" for n in sizes), "least n: bias", "least n: spread")
    notes = [
        "A cell: bias against the limit, ± standard deviation over subsets of that size. Least n: from which on the "
        "bias, or the spread, is under half of what strength 0.5 scores more than strength 0; a dash where none is, or "
        "where the two strengths are not told apart at p < 0.05. The first is the recommended minimum. Limit: over "
        "pictures the mean of the whole pool, over sets 2 M(N) − M(N / 2) at the largest N.",
    ]
    return Grid("Number of pictures", columns, [rows], notes)


def leakage_grid(name: str, rows: Sequence[PickedGain]) -> Grid:
    """One section per viewer whose judgments the scorer is given."""
    sections: dict[str, list[Cells]] = {}
    for row in rows:
        judgments = "judgments no method sees" if row["judgments"] == "scorer" else "judgments that methods see"
        gains = (interval(row["gain"]), interval(row["utility_gain"]))
        cells = (*gains, compact(row["slope"]), interval(row["inflation"]))
        sections.setdefault(judgments, []).append((f"{judgments}; picked by {row['picked_by']}", *cells))
    columns = ("the scorer is given; the best of several pictures is", f"gain in {name}", "gain in utility",
               f"{name} per utility", "inflation")  # fmt: skip
    notes = ["Inflation: the gain beyond what the gain in utility is worth. Strength 0.5, gain over the mean picture."]
    return Grid(f"Inflation of {name}", columns, list(sections.values()), notes)
