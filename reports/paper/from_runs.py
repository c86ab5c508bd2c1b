"""Material from scored runs: the comparison of the report `table`, and all pairs of honest methods tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from prefbench.api import PrefbenchError, ReportContext, ScoredRun, Suite, counted

from ..contrasts.contrasts import Contrast, contrast
from ..shared.copying import copying_notes
from ..table.compare import Comparison
from ..table.compared_cells import name_cell, near
from ..table.grids import gap_notes, ranked_first
from ..table.report import Table
from ..table.wins import unproven_notes
from .committed_curves import committed_curves
from .material import Material, PairTests, Shown
from .probing import probing_curves
from .variants import variant_labels, variants_of


def material_of_runs(
    runs: Sequence[ScoredRun],
    context: ReportContext,
    *,
    baseline: str,
    suite: str | None,
    metrics: Sequence[str],
    sets: bool,
) -> Material:
    """The material of runs that belong together; others are left out with a warning, as `table` does.

    Args:
        metrics: those that pairs of methods are tested in; by default the headlines.
        sets: test metrics over sets too, by exchanging pictures: minutes for each pair.

    Raises:
        PrefbenchError: as `compare` does.
    """
    comparison = Table(baseline, suite).measure(runs, context)
    material = _untested(comparison)
    chosen = metrics or material.headlines
    honest = {label: comparison.runs[label] for label in material.order if label in material.ranked}
    tests = pair_tests(honest, context.suite, chosen, sets=sets)
    own = {label: comparison.runs[label] for label in variant_labels(comparison.runs)}
    return replace(material, tests=tests, variants=variants_of(own, context.suite, chosen))


def _untested(comparison: Comparison) -> Material:
    """What needs no tests: rows, order, marks, curves, pictures. Variants of a method stand in their own table."""
    spec = next(iter(comparison.runs.values())).spec
    variants = variant_labels(comparison.runs)[1:]
    honest, controls = ranked_first(comparison)
    order = [label for label in (*honest, *controls) if label not in variants]
    curves, lacking = committed_curves(spec["suite"], spec["suite_digest"])
    probed, unprobed = probing_curves({label: _weights(run) for label, run in comparison.runs.items()})
    notes = [*unproven_notes(comparison.unbeaten), *copying_notes(near(comparison))]
    notes += [note for label, run in comparison.runs.items() for note in gap_notes(run, label)]
    return Material(
        suite=spec["suite"],
        split=spec["split"],
        backbone=str(spec["backbone"]),
        baseline=comparison.baseline,
        family=comparison.family,
        rows=comparison.rows,
        order=order,
        ranked=frozenset(honest),
        tests=PairTests({}, ""),
        marks={label: name_cell(comparison, label).removeprefix(label).strip() for label in order},
        notes=notes,
        curves=[*curves, *probed],
        shown=_shown(comparison, order),
        left_out=[*lacking, *unprobed, *["ablation: no method is given with several settings"] * (not variants)],
    )


def pair_tests(
    runs: Mapping[str, ScoredRun], suite: Callable[[], Suite], metrics: Sequence[str], *, sets: bool
) -> PairTests:
    """Every pair of methods in each metric that all have, by the test of `prefbench compare`; others have none."""
    pairs = len(runs) * (len(runs) - 1) // 2
    family = f"Holm over the {counted(pairs, 'pair')} of methods of each metric"
    if pairs == 0:
        return PairTests({}, family)
    labels = {run.path: label for label, run in runs.items()}
    of_images = [name for name in metrics if all(name in run.columns() for run in runs.values())]
    of_sets = [name for name in metrics if sets and all(name in run.set_metrics() for run in runs.values())]
    tested = {}
    for names in ([of_images] if of_images else []) + [[name] for name in of_sets]:
        for row in _contrasts(list(runs.values()), suite, names, labels):
            p = row.p_holm if pairs > 1 else row.p
            if p is not None:
                tested[row.metric, row.method, row.baseline] = p
    return PairTests(tested, family)


def _contrasts(
    runs: Sequence[ScoredRun], suite: Callable[[], Suite], metrics: Sequence[str], labels: Mapping[Path, str]
) -> list[Contrast]:
    """All pairs of runs in some metrics, with our labels; none where a metric over sets cannot be compared."""
    try:
        measured = contrast(runs, suite, all_pairs=True, metrics=metrics)
    except PrefbenchError:
        return []
    own = {label: labels[run.path] for label, run in measured.runs.items()}
    return [replace(row, method=own[row.method], baseline=own[row.baseline]) for row in measured.rows]


def _weights(run: ScoredRun) -> list[str]:
    """Its folder of weights, else the names of the shipped ones by its method's card; none under a control."""
    own = str(run.spec["parameters"].get("weights") or "")
    named = list(run.description["method"].get("weights", ()))
    return [] if run.control is not None else [own] if own else named


def _shown(comparison: Comparison, order: Sequence[str]) -> Shown | None:
    if comparison.histories is None:
        return None
    return Shown({label: comparison.runs[label] for label in order}, comparison.histories)
