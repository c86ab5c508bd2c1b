"""New users of a secret seed: whether a method does for them what it does for users that anybody can know.

The run's method draws for the first users of another population of the same suite, and nothing is written of who they
are before all is drawn. What a method looks up by ids, pictures, seeds or order says nothing of these users.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError, ReportContext, ScoredRun, agreeing, counted
from prefbench.api.runs import is_given
from prefbench.check.findings import fail, skip, warn
from prefbench.files import make_folder, write_atomic
from prefbench.parameters import declared
from prefbench.registry import load_class, names
from prefbench.run.execute import execute_unnamed
from prefbench.run.plan import RunSpec
from prefbench.run.prepare import Settings, prepare
from prefbench.run.stamps import stamped
from prefbench.score.score_run import score_run
from prefbench.score.scored_folder import ScoredFolder
from prefbench.stats.independent import group_difference

from ..shared.audited import PARAMETER, Fresh
from ..shared.versions import comparable_version
from .audited_run import AuditedRun
from .fresh_file import stored
from .fresh_pictures import faults

FOLDER, FILE = "fresh", "fresh.json"
_SEEDS = 2**53
_LEVEL, _DOUBT = 0.01, 0.05
_MORE_FAILED = 0.05
"""By so much the share of failed drawings may be greater for fresh users."""


@dataclass(frozen=True)
class Sources:
    """What the user named of a run, where it is no registered name: a run folder never makes prefbench load code."""

    suite: str | None = None
    method: str | None = None
    backbone: str | None = None


def cannot_be_made(spec: Mapping[str, Any], sources: Sources) -> str:
    """Why there are no new users for a run; empty where there are."""
    if is_given(spec):
        return "the images were given: what drew them is not here to draw for fresh users"
    if spec["control"] is not None and spec["control"] not in names("control"):
        return f"the run's control {spec['control']!r} is a file: fresh users cannot be made for it"
    suite = sources.suite or spec["suite"]
    if PARAMETER not in declared(load_class("suite", suite)):
        return f"suite {spec['suite']!r} has no parameter {PARAMETER!r}: fresh users cannot be made"
    return ""


def draw_fresh(run: ScoredRun, users: int, sources: Sources, context: ReportContext) -> None:
    """Draws, scores and compares, looks at what was drawn, and writes `fresh.json` into the run's folder.

    Raises:
        PrefbenchError: the run's method or backbone is none of a registered name and not named, or another one than the
            run was drawn by; or the run has no scores of preference to compare.
    """
    metrics = _metrics(run)
    if not metrics:
        raise PrefbenchError(f"{run.path} has no scores of a preference metric: prefbench score {run.path}")
    started, population = time.monotonic(), secrets.randbelow(_SEEDS)
    make_folder(run.path / FOLDER, inside=run.path)
    prepared = prepare(_settings(run, users, population, sources))
    _check_same(run, prepared.spec)
    context.log(f"draw {counted(prepared.n_samples, 'image')} for {counted(users, 'fresh user')}")
    execute_unnamed(prepared, bar=context.bar)
    scoring = score_run(prepared.folder, metrics, prepared.suite).scoring
    if unscored := {**scoring.refused, **scoring.broken}:
        raise PrefbenchError(f"fresh users of {run.path} cannot be scored: {'; '.join(unscored.values())}")
    fresh = ScoredFolder.open(prepared.folder.path)
    content = {
        "users": users,
        PARAMETER: population,
        "folder": prepared.spec.id,
        "samples": next(header.samples for header in run.headers.values()),
        "failed": _failed(fresh),
        "failed_of_own": _failed(run),
        "rows": _rows(run, fresh, metrics),
        "faults": faults(prepared.folder, prepared.suite, context.bar),
        "seconds": round(time.monotonic() - started),
        "date": datetime.now(UTC).date().isoformat(),
    }
    write_atomic(run.path / FILE, json.dumps(stamped(content), indent=2) + "\n", inside=run.path)
    _drop_others(run.path / FOLDER, keep=prepared.spec.id)


def compared(run: AuditedRun) -> str:
    """What the method does for the run's own users it does for fresh ones."""
    if run.no_fresh:
        skip(run.no_fresh)
    content = stored(run.folder.path / FILE)
    if content is None:
        skip("not drawn for any: prefbench audit RUN --fresh 50")
    rows: Sequence[Mapping[str, Any]] = content["rows"]
    text = "; ".join(map(_said, rows))
    detail = f"{counted(content['users'], 'fresh user')} of a secret seed, drawn in {content['seconds']} s: {text}"
    if wrong := content["faults"]:
        told = "; ".join(f"{one['check']}: {one['detail']}" for one in wrong)
        fail(f"{detail}; checks that the pictures of fresh users fail: {told}", wrong)
    if content["failed"] > content["failed_of_own"] + _MORE_FAILED:
        shares = (
            f"{content['failed']:.0%} of drawings for fresh users failed, {content['failed_of_own']:.0%} of the run's"
        )
        fail(f"{detail}; {shares}: of those nothing is known")
    level = _LEVEL / len(rows)
    for bound, end in ((level, fail), (_DOUBT / len(rows), warn)):
        if better := [row for row in rows if row["p"] is not None and row["gain"] > 0 and row["p"] < bound]:
            n = f"{counted(len(better), 'metric')} {agreeing(len(better), 'is', 'are')}"
            end(f"{detail}; {n} better for the run's own users than for fresh ones", better)
    if content["samples"] not in run.samples_digests:
        warn(f"{detail}; drawn for before the run's own samples changed: prefbench audit RUN --fresh 50")
    if other := [row for row in rows if not row["alike"]]:
        warn(f"{detail}; {other[0]['metric']} was scored by another recipe then: prefbench score RUN", other)
    return detail


def fresh_of(path: Path, samples: Collection[str]) -> Fresh:
    """What fresh users say of the samples with one of these digests; nothing where they were drawn for others."""
    content = stored(path / FILE)
    if content is None or content["samples"] not in samples:
        return Fresh(0, "")
    rows: Sequence[Mapping[str, Any]] = content["rows"]
    if not all(row["alike"] for row in rows):
        return Fresh(0, "")
    gains = ", ".join(f"{row['metric']} {row['gain']:+.3f}{_chance(row['p'])}" for row in rows)
    return Fresh(content["users"], f"{content['users']}, own users' gain {gains}")


def _chance(p: float | None) -> str:
    """The p value of a gain that chance alone would seldom give."""
    return f" (p {p:.3f})" if p is not None and p < _DOUBT else ""


def _metrics(run: ScoredRun) -> list[str]:
    """The registered metrics of single images that the run was scored by and that ask what a user likes."""
    known = names("metric")
    of_images = {name: head.question for name, head in run.headers.items() if head.unit == "image" and name in known}
    return [name for name, question in of_images.items() if question == "preference"]


def _settings(run: ScoredRun, users: int, population: int, sources: Sources) -> Settings:
    spec = run.spec
    return Settings(
        method=sources.method or _registered("method", spec["method"], "path/to/file.py:Class"),
        suite=sources.suite or spec["suite"],
        split=spec["split"],
        control=spec["control"],
        parameters=spec["parameters"],
        suite_parameters={**spec["suite_parameters"], PARAMETER: population},
        backbone=sources.backbone or _registered("backbone", spec["backbone"], "path/to/folder"),
        steps=spec["steps"],
        guidance=spec["guidance"],
        dtype=spec["dtype"],
        seed=spec["seed"],
        samples=spec["samples_per_case"],
        users=users,
        batch=spec["batch"],
        out=run.path / FOLDER,
        command=f"prefbench audit {run.path.name} --fresh {users}",
    )


def _registered(kind: Any, name: str, form: str) -> str:
    """Raises `PrefbenchError` for what only the user can name."""
    if name not in names(kind):
        raise PrefbenchError(f"the run's {kind} {name!r} is only loaded when you name it: --{kind} {form}")
    return name


def _check_same(run: ScoredRun, spec: RunSpec) -> None:
    """Raises `PrefbenchError` for a method or backbone that changed since the run was drawn."""
    changed = [name for name, value in spec.pixels.items() if run.spec[name] != value]
    versions = (comparable_version(run, version) for version in (run.spec["method_version"], spec.method_version))
    if len(set(versions)) == 1:
        changed = [name for name in changed if name != "method_version"]
    if changed:
        told = f"{changed[0]} was {run.spec[changed[0]]!r} and is {spec.pixels[changed[0]]!r}"
        raise PrefbenchError(f"{run.path} was drawn by what is not here any more ({told}): draw it again")


def _rows(run: ScoredRun, fresh: ScoredRun, metrics: Sequence[str]) -> list[dict[str, Any]]:
    own, other, rows = run.columns(), fresh.columns(), []
    for name in metrics:
        if name in own and name in other:
            difference = group_difference(own[name].scores, other[name].scores)
            fields = difference._asdict()
            sign = 1 if own[name].direction == "up" else -1
            alike = run.recipes()[name] == fresh.recipes()[name]
            p = fields.pop("p_value")
            rows.append({"metric": name, "gain": sign * difference.difference, "p": p, "alike": alike, **fields})
    return rows


def _said(row: Mapping[str, Any]) -> str:
    ends = "no interval" if row["low"] is None else f"{row['low']:+.3f}, {row['high']:+.3f}; p {row['p']:.2g}"
    return f"{row['metric']} {row['first']:.3f} and {row['second']:.3f}, {row['difference']:+.3f} [{ends}]"


def _failed(run: ScoredRun) -> float:
    """The share of samples without a picture."""
    return sum(sample.image is None for sample in run.samples) / len(run.samples)


def _drop_others(folder: Path, keep: str) -> None:
    """Removes the runs of earlier fresh users, and what a killed one left."""
    for path in folder.iterdir():
        if path.name != keep and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
