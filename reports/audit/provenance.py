"""Whether a run says how it came about, and whether what it holds is what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prefbench.check.findings import Row, fail, warn
from prefbench.score.stored import samples_digest

from .material import Material

_DIGEST = re.compile(r"[0-9a-f]{64}")
_METRIC = re.compile(r"[^@\[\]]+@[^@\[\]]+\[.+\]")
_VERSIONS = ("python", "prefbench", "torch", "diffusers", "transformers", "numpy", "pillow")


def description(material: Material) -> str:
    """The run's description names method, weights, backbone, suite, code and versions."""
    content = material.description
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
    told = f"method {spec['method']} {spec['method_version']}, backbone {spec['backbone_digest'][:12]}"
    if code.get("commit") is None:
        warn(f"{told}; the commit of the code is not known")
    if code.get("dirty"):
        warn(f"{told}; commit {code['commit'][:7]} with local changes")
    return f"{told}, commit {code['commit'][:7]}"


def suite(material: Material) -> str:
    """The suite has the digest that it had when the run was drawn."""
    recorded, now = material.spec.get("suite_digest"), material.suite.digest
    if recorded != now:
        fail(f"drawn for another suite: digest {str(recorded)[:12]}, now {now[:12]}")
    return f"{material.suite.card.name}, digest {now[:12]}"


def images(material: Material) -> str:
    """Every row has an image or an error; every image is there and holds the pixels that its name says."""
    faulty: list[Row] = [
        {"key": s.key, "user": s.user, "image": s.image, "fault": material.damaged[s.image]}
        for s in material.samples
        if s.image is not None and s.image in material.damaged
    ]
    faulty += [
        {"key": s.key, "user": s.user, "image": None, "fault": "drawn, but no image is named"}
        for s in material.samples
        if s.image is None and s.status == "ok"
    ]
    if faulty:
        fail(f"{len(faulty)} of {len(material.samples)} rows name no sound image", faulty)
    return f"{len({s.image for s in material.drawn})} images of {len(material.drawn)} rows hold what their names say"


def scores(material: Material) -> str:
    """All scores are of these samples and this suite, and say by what recipe they were made."""
    found = material.folder.scored()
    faulty = [row for name in found for row in _score_faults(material, name)]
    if faulty:
        fail(f"{len({row['metric'] for row in faulty})} of {len(found)} metrics' scores cannot be relied on", faulty)
    if not found:
        warn("the run was not scored yet")
    return f"{len(found)} metrics, of these samples: {', '.join(found)}"


def _score_faults(material: Material, name: str) -> list[Row]:
    stored = material.folder.scores(name)
    header: Mapping[str, Any] = stored[0] if stored is not None else {}
    faults = []
    if not _METRIC.fullmatch(str(header.get("metric"))):
        faults.append("names no metric, version and recipe")
    if header.get("samples") != samples_digest(material.samples):
        faults.append("stale: of other samples")
    if header.get("suite") != material.spec.get("suite_digest"):
        faults.append("of another suite")
    return [{"metric": name, "fault": fault} for fault in faults]
