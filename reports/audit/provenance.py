"""Whether a run says how it came about, and whether what it holds is what it says."""

from __future__ import annotations

import re

from prefbench.api import PrefbenchError, ScoreHeader, agreeing, counted
from prefbench.api.runs import is_given
from prefbench.check.findings import Row, fail, warn
from prefbench.score.score_files import read_columns, read_header, read_scores

from .audited_run import AuditedRun

_DIGEST = re.compile(r"[0-9a-f]{64}")
_METRIC = re.compile(r"[^@\[\]]+@[^@\[\]]+\[.+\]")
_VERSIONS = ("python", "prefbench", "torch", "diffusers", "transformers", "numpy", "pillow")


def description(run: AuditedRun) -> str:
    """The run's description names method, weights, backbone, suite, code and versions."""
    content = run.description
    spec, environment = content["spec"], content.get("environment", {})
    lacking = [f"spec.{name}" for name in ("backbone_digest",) if not _DIGEST.fullmatch(str(spec.get(name)))]
    lacking += [f"spec.{name}" for name in ("suite_digest", "method_version", "seed") if spec.get(name) in (None, "")]
    lacking += [name for name in ("command", "planned", "kinds") if not content.get(name)]
    lacking += [f"environment.versions.{name}" for name in _VERSIONS if not environment.get("versions", {}).get(name)]
    lacking += [f"environment.{name}" for name in ("code", "hardware") if not environment.get(name)]
    # A method of weights has their digest in its version: other weights are another run.
    if content["method"].get("weights") and "+" not in str(spec.get("method_version")):
        lacking.append("spec.method_version, the digest of the weights")
    if lacking:
        fail(f"run.json lacks {', '.join(lacking)}", [{"lacking": name} for name in lacking])
    code = environment["code"]
    backbone = "images given" if is_given(spec) else f"backbone {spec['backbone_digest'][:12]}"
    origin = f"method {spec['method']} {spec['method_version']}, {backbone}"
    if code.get("commit") is None:
        warn(f"{origin}; the commit of the code is not known")
    if code.get("dirty"):
        warn(f"{origin}; commit {code['commit'][:7]} with local changes")
    return f"{origin}, commit {code['commit'][:7]}"


def suite(run: AuditedRun) -> str:
    """The suite has the digest that it had when the run was drawn."""
    recorded, now = run.spec.get("suite_digest"), run.suite.digest
    if recorded != now:
        fail(f"drawn for another suite: digest {str(recorded)[:12]}, now {now[:12]}")
    return f"{run.suite.card.name}, digest {now[:12]}"


def images(run: AuditedRun) -> str:
    """Every row has an image or an error; every image is there and holds the pixels that its name says."""
    faulty: list[Row] = [
        {"key": s.key, "user": s.user, "image": s.image, "fault": run.damaged[s.image]}
        for s in run.samples
        if s.image is not None and s.image in run.damaged
    ]
    faulty += [
        {"key": s.key, "user": s.user, "image": None, "fault": "drawn, but no image is named"}
        for s in run.samples
        if s.image is None and s.status == "ok"
    ]
    if faulty:
        of_all = f"{len(faulty)} of {counted(len(run.samples), 'row')}"
        fail(f"{of_all} {agreeing(len(faulty), 'names', 'name')} no sound image", faulty)
    n_images = len({sample.image for sample in run.drawn})
    holding = f"{counted(n_images, 'image')} of {counted(len(run.drawn), 'row')} {agreeing(n_images, 'holds', 'hold')}"
    return f"{holding} what {agreeing(n_images, 'its name says', 'their names say')}"


def scores(run: AuditedRun) -> str:
    """All scores are of these samples and this suite, and say by what recipe they were made."""
    metrics = run.folder.scored()
    faulty = [row for name in metrics for row in _score_faults(run, name)]
    if faulty:
        n_faulty = len({row["metric"] for row in faulty})
        fail(f"the scores of {n_faulty} of {counted(len(metrics), 'metric')} cannot be relied on", faulty)
    if not metrics:
        warn("the run was not scored yet")
    return f"{counted(len(metrics), 'metric')}, of these samples: {', '.join(metrics)}"


def _score_faults(run: AuditedRun, name: str) -> list[Row]:
    try:
        header = read_header(run.folder, name)
        faults = _header_faults(run, header)
        if header is not None and header.unit == "image" and not faults:
            read_columns(run.folder, name, run.places)
        else:
            read_scores(run.folder, name)
    except PrefbenchError as error:
        return [{"metric": name, "fault": str(error)}]
    return [{"metric": name, "fault": fault} for fault in faults]


def _header_faults(run: AuditedRun, header: ScoreHeader | None) -> list[str]:
    faults = []
    if header is None or not _METRIC.fullmatch(header.metric):
        faults.append("names no metric, version and recipe")
    if header is None or header.samples not in run.samples_digests:
        faults.append("stale: of other samples")
    if header is None or header.suite != run.spec.get("suite_digest"):
        faults.append("of another suite")
    return faults
