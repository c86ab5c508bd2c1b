"""What a page says of each run, and its tables: the same in `report.md` and in `index.html`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefbench.api import Grid, ScoredRun
from prefbench.api.grids import counted
from prefbench.api.runs import is_given

from .compare import Comparison
from .grids import cost_grid, difference_grid, kinds_grid, run_grid, runs_grid


@dataclass(frozen=True)
class DescribedRun:
    """The header of one run."""

    label: str
    settings: dict[str, str]
    command: str
    versions: str
    hardware: str


def page_tables(comparison: Comparison) -> list[Grid]:
    """The main table first."""
    labels = list(comparison.runs)
    tables = [run_grid(comparison, labels[0])] if len(labels) == 1 else [runs_grid(comparison)]
    if len(labels) > 1:
        tables += [runs_grid(comparison, parts=True)] * any("/" in name for name in comparison.metrics)
        tables += [difference_grid(comparison)] * any(row.difference for row in comparison.rows)
    split = dict.fromkeys(row.summary.metric for row in comparison.rows if row.summary.kind != "all")
    tables += [kinds_grid(comparison, metric) for metric in comparison.metrics if metric in split and "/" not in metric]
    return [*tables, cost_grid(comparison)]


def described(label: str, run: ScoredRun) -> DescribedRun:
    """What ran."""
    spec, environment = run.spec, run.description.get("environment") or {}
    code = environment.get("code") or {}
    settings = {
        "method": f"{spec['method']}, version {spec['method_version']}",
        "control": spec["control"] or "none",
        "parameters": ", ".join(f"{name}={value}" for name, value in spec["parameters"].items()) or "none",
        "suite": f"{spec['suite']} {spec['split']}, digest {spec['suite_digest'][:12]}",
        **_drawn_by(run),
        "samples": _samples(run),
        "pictures": run.drawn().pictures.in_full,
        "texts": "; ".join(run.drawn().texts) or "not counted",
        "code": f"commit {code.get('commit') or 'unknown'}{' with local changes' if code.get('dirty') else ''}",
    }
    return DescribedRun(
        label,
        settings,
        str(run.description.get("command") or "unknown"),
        ", ".join(f"{name} {version}" for name, version in (environment.get("versions") or {}).items() if version),
        ", ".join(f"{name} {_listed(value)}" for name, value in (environment.get("hardware") or {}).items()),
    )


def _drawn_by(run: ScoredRun) -> dict[str, str]:
    """Backbone and sampler; of given images what is said of them."""
    spec = run.spec
    if is_given(spec):
        said, given = run.description.get("backbone", {}), run.description.get("given", {})
        stated = f"{spec['backbone']}; by its card: {said.get('stated', 'not stated')}"
        return {"backbone": stated, "drawing": f"seeds: {given.get('seeds', 'not stated')}, run seed {spec['seed']}"}
    return {
        "backbone": f"{spec['backbone']}, digest {spec['backbone_digest'][:12]}, {spec['dtype']}",
        "drawing": f"{spec['steps']} steps, guidance {spec['guidance']}, run seed {spec['seed']}",
    }


def _listed(value: Any) -> str:
    return (" + ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def _samples(run: ScoredRun) -> str:
    users, prompts = {sample.user for sample in run.samples}, {sample.prompt for sample in run.samples}
    failed = sum(sample.image is None for sample in run.samples)
    whose = f"{counted(len(users), 'user')} and {counted(len(prompts), 'prompt')}"
    return f"{len(run.samples)} of {whose}, {failed} failed"
