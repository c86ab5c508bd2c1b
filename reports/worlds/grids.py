"""The tables of worlds: the true order, worlds against worlds, pairs of methods that turn, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefbench.api import Cells, Grid, agreeing, counted, fixed
from prefbench.stats.ranks import Correlation

from ..shared.cells import DASH, UNRANKED, metric_heading, number, p_text
from ..shared.frame import UTILITY
from .orders import ALPHA, is_sure
from .schema import MetricTau, Side, Turn, WorldRecord, WorldsResult

SURE = "●"
SAME = "·"


def order_grid(result: WorldsResult) -> Grid:
    """A row per world, a column per method: rank, the ranks that no test excludes, mean true utility."""
    labels = list(result["methods"])
    heads = [label if not about["control"] else f"{label}\n(control)" for label, about in result["methods"].items()]
    rows = [(_world(world), *[_place(world, label) for label in labels]) for world in result["worlds"]]
    notes = [
        f"rank by mean {UTILITY} (1 is best) with the ranks that no test excludes: all pairs of methods of a world"
        " tested and adjusted after Holm; below it the mean. Utilities of different worlds do not compare.",
        "n: users × prompts, samples of each method. Only samples that all methods of a world have a value for count.",
    ]
    return Grid("the true order in each world", ("world", *heads), [rows], notes)


def _world(world: WorldRecord) -> str:
    missing = f"\n{world['missing']} missing" if world["missing"] else ""
    return f"{world['name']}\nn {world['n_users']} × {world['n_prompts']}, {world['n_samples']}{missing}"


def _place(world: WorldRecord, label: str) -> str:
    place = world["order"][label]
    span = f"{place['low']}" if place["low"] == place["high"] else f"{place['low']} to {place['high']}"
    return f"{place['rank']} [{span}]\n{number(place['mean'])}"


def pairs_grid(result: WorldsResult) -> Grid:
    """Worlds by worlds: tau of all above the diagonal, without controls below it."""
    names = [world["name"] for world in result["worlds"]]
    cells = {(pair["first"], pair["second"]): _tau(pair["tau"]) for pair in result["pairs"]}
    below = {(pair["second"], pair["first"]): _tau(pair["tau_of_methods"]) for pair in result["pairs"]}
    rows = [(one, *[SAME if one == other else (cells | below)[one, other] for other in names]) for one in names]
    honest = [label for label, about in result["methods"].items() if not about["control"]]
    notes = [
        f"Kendall's tau-b of the true order in two worlds with its 95 % interval: above the diagonal over all"
        f" {len(result['methods'])} methods and controls, below it over the {counted(len(honest), 'method')} alone"
        f" ({', '.join(honest)}){'' if len(honest) > 2 else ', which are too few for an order'}.",
        f"Intervals: users and prompts of a world are drawn with replacement {result['replicates']:,} times, those that"
        " two worlds share by their names together. Methods that lie close swap in many replicates, so an interval may"
        " reach far down, and the value can lie at its upper end or above it.",
    ]
    return Grid("Kendall's tau between worlds", ("world", *names), [rows], notes)


def _tau(correlation: Correlation | None) -> str:
    if correlation is None or correlation["value"] is None:
        return DASH
    low, high = correlation["low"], correlation["high"]
    ends = "[no interval]" if low is None or high is None else f"[{fixed(low, 2)}, {fixed(high, 2)}]"
    return f"{fixed(correlation['value'], 2)}\n{ends}"


def turns_grid(result: WorldsResult) -> Grid:
    """A row per pair of methods that turns, a column per world: the difference, its interval and p."""
    names = [world["name"] for world in result["worlds"]]
    rows = [(*_pair(turn), *[_side(turn["differences"][name]) for name in names]) for turn in result["turns"]]
    stays = result["method_pairs"] - len(rows)
    notes = [
        f"Of {counted(result['method_pairs'], 'pair')} of methods and controls {stays}"
        f" {agreeing(stays, 'keeps its', 'keep their')} order in every world and"
        f" {agreeing(stays, 'has', 'have')} no row.",
        f"A cell: mean {UTILITY} of the first minus the second on the same samples with its 95 % interval, and p"
        f" adjusted after Holm over all pairs in all worlds. {SURE} p < {ALPHA:g}: sure. A turn is more than chance"
        " where each of the two is surely ahead somewhere.",
    ]
    return Grid("pairs of methods that turn", ("first - second", "turn", *names), [rows], notes, words=(0, 1))


def _pair(turn: Turn) -> Cells:
    return f"{turn['first']}\n- {turn['second']}", "more than chance" if turn["beyond_chance"] else "may be chance"


def _side(side: Side) -> str:
    if side["value"] is None:
        return DASH
    value = f"{number(side['value'])}{SURE * is_sure(side)}"
    low, high = side["low"], side["high"]
    ends = (
        "[no interval]"
        if low is None or high is None
        else f"[{number(low, side['value'])}, {number(high, side['value'])}]"
    )
    return f"{value}\n{ends}\n{p_text(side['p'])}"


def metrics_grid(result: WorldsResult) -> Grid:
    """A row per metric, a column per world: its tau-b with the true order there; last the least of them."""
    worlds = result["worlds"]
    shown = [name for name in result["metrics"] if any(world["metrics"][name] is not None for world in worlds)]
    rows = [_metric_row(name, result) for name in shown]
    lacking = [name for name in shown if any(world["metrics"][name] is None for world in worlds)]
    absent = [name for name in result["metrics"] if name not in shown]
    notes = [
        f"Kendall's tau-b of a metric's ranking of all methods and controls of a world with their ranking by mean"
        f" {UTILITY}; 1 is the true order, 0 chance. Intervals as between worlds; none for metrics over sets, which"
        " have no value per user to draw. least: the lowest of all worlds.",
        *[f"{DASH} not every method of the world has a value ({', '.join(lacking)})." for _ in lacking[:1]],
        *[f"no row: {', '.join(absent)}, which no world has for all of its methods." for _ in absent[:1]],
        *_unranked(worlds),
    ]
    return Grid("which metric finds the true order", ("metric", *[w["name"] for w in worlds], "least"), [rows], notes)


def _metric_row(name: str, result: WorldsResult) -> Cells:
    about = result["metrics"][name]
    taus = [world["metrics"][name] for world in result["worlds"]]
    values = values_of(taus)
    least = fixed(min(values), 2) if values else DASH
    return (metric_heading(name, about["direction"], about["extractor"]), *[_metric(tau) for tau in taus], least)


def values_of(taus: Sequence[MetricTau | None]) -> list[float]:
    """The values that there are."""
    return [one["tau"]["value"] for one in taus if one is not None and one["tau"]["value"] is not None]


def _metric(found: MetricTau | None) -> str:
    if found is None:
        return DASH
    first, *rest = _tau(found["tau"]).split("\n")
    return "\n".join([f"{first}{UNRANKED * bool(found['unranked'])}", *rest])


def _unranked(worlds: Sequence[WorldRecord]) -> list[str]:
    """Which metrics must not rank some methods, and where: one line for each reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for world in worlds:
        for name, found in world["metrics"].items():
            for reason in [] if found is None else found["unranked"]:
                reasons.setdefault((name, reason), []).append(world["name"])
    return [
        f"{UNRANKED} {name} must not rank some of these methods ({reason}): {_everywhere(names, worlds)}."
        for (name, reason), names in reasons.items()
    ]


def _everywhere(names: Sequence[str], worlds: Sequence[WorldRecord]) -> str:
    return "in every world" if len(names) == len(worlds) else f"in {', '.join(names)}"


def dials_text(dials: Mapping[str, object]) -> str:
    """Parameters as `world=2, crowd=0`."""
    return ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in dials.items()
    )
