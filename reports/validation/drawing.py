"""Draws a system into a run folder: by the suite's truth, without any model."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from prefbench.api import Case, History, MethodCard, PrefbenchError, Sample, Suite, Truth, image_digest
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.folder import RunFolder
from prefbench.run.plan import Planned, RunSpec, make_plan

from .nuisances import COPIES, NUISANCES, PALETTE, PROMPT
from .systems import System

_BATCH = 250
_WRITERS = 4
_CARD = MethodCard(
    name="graded",
    version="1",
    summary="draws from the truth at a stated strength of personalisation",
    uses_liked=False,
    uses_disliked=False,
    control=True,
)


def draw_system(system: System, suite: Suite, folder: RunFolder) -> None:
    """Draws the samples of a system that the folder lacks; the folder must be locked.

    Raises:
        PrefbenchError: the suite knows no truth, or has too few users, prompts or likes for it.
    """
    truth = suite.truth
    if truth is None:
        raise PrefbenchError(f"validating needs a suite that knows the truth; {suite.card.name} does not")
    spec, plan = _plan(system, suite, truth)
    if not (folder.path / "run.json").is_file():
        folder.write_description(_description(system, suite, spec, plan))
    finished = folder.finished()
    missing = [planned for planned in plan if planned.key not in finished]
    other_prompts = derange_prompts([planned.case for planned in plan]) if system.nuisance == PROMPT else {}
    renderer = _Renderer(system, suite, truth, other_prompts)
    with ThreadPoolExecutor(_WRITERS) as writers:
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            images = [renderer.draw(planned) for planned in batch]
            digests = [image_digest(image) for image in images]
            # Each digest once: two threads must not write one file.
            list(writers.map(folder.put_image, dict(zip(digests, images, strict=True)).values()))
            folder.append_samples([_row(p, digest) for p, digest in zip(batch, digests, strict=True)])


@dataclass(frozen=True)
class _Renderer:
    """Draws single pictures of one system. Randomness comes from the sample's seed alone, the same for every system."""

    system: System
    suite: Suite
    truth: Truth
    other_prompts: Mapping[str, str]
    """Case id to the prompt of another case, which is shown where the case's own is dropped."""

    def draw(self, planned: Planned) -> Image.Image:
        case, seed, system = planned.case, planned.seed, self.system
        nuisance = None if system.nuisance is None else NUISANCES[system.nuisance]
        is_spoilt = nuisance is not None and nuisance.apply is None and _random(seed).random() < system.level
        otherwise = system.nuisance if is_spoilt else None
        if otherwise == COPIES:
            return self._copy(case, seed)
        prompt = self.other_prompts[case.id] if otherwise == PROMPT else case.prompt
        recoloured = otherwise == PALETTE
        image = self.truth.graded(case.user, prompt, seed, strength=system.strength, recoloured=recoloured)
        return image if nuisance is None or nuisance.apply is None else nuisance.apply(image, system.level, seed)

    def _copy(self, case: Case, seed: int) -> Image.Image:
        liked = self.suite.history(case.user, "method").liked
        if not liked:
            raise PrefbenchError(f"{case.user} has no liked image to copy")
        return liked[seed % len(liked)].picture.load()


def derange_prompts(cases: Sequence[Case]) -> dict[str, str]:
    """Case id to the prompt of another case, never its own prompt; every prompt is shown as often as before.

    Cases sorted by prompt are shifted by the size of the largest group of one prompt, so none meets its own.

    Raises:
        PrefbenchError: one prompt belongs to more than half of the cases.
    """
    ordered = sorted({case.id: case for case in cases}.values(), key=lambda case: (case.prompt, case.id))
    most = max(Counter(case.prompt for case in ordered).values())
    if 2 * most > len(ordered):
        raise PrefbenchError(f"{PROMPT}: no prompt may belong to more than half of the cases")
    shifted = ordered[most:] + ordered[:most]
    return {case.id: other.prompt for case, other in zip(ordered, shifted, strict=True)}


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 2])


def _row(planned: Planned, digest: str) -> Sample:
    case = planned.case
    return Sample(
        key=planned.key,
        user=case.user,
        case=case.id,
        prompt=case.prompt,
        index=planned.index,
        seed=planned.seed,
        status="ok",
        image=digest,
        prompt_used=case.prompt,
        seconds=0.0,
        nfe=0,
    )


def _plan(system: System, suite: Suite, truth: Truth) -> tuple[RunSpec, list[Planned]]:
    users = [user.id for user in suite.users(system.split)][: system.users]
    spec = RunSpec(
        suite=suite.card.name,
        suite_parameters={},
        suite_digest=suite.digest,
        split=system.split,
        method=_CARD.name,
        method_version=_CARD.version,
        parameters={"strength": system.strength, "nuisance": system.nuisance or "none", "level": system.level},
        control=None,
        backbone="truth",
        backbone_digest=hashlib.sha256(truth.id.encode()).hexdigest(),
        steps=1,
        guidance=1.0,
        dtype="uint8",
        seed=0,
        samples_per_case=system.samples,
        users=system.users,
        batch=_BATCH,
    )
    cases = [case for user in users for case in _cases(system, suite, user)]
    # Systems are drawn from the truth, not from histories, so their keys depend on empty ones.
    batches = make_plan(spec, cases, {user: History(user, (), ()) for user in users})
    return spec, [planned for batch in batches for planned in batch]


def _cases(system: System, suite: Suite, user: str) -> Sequence[Case]:
    if system.prompts is None:
        return suite.cases(user)
    prompts = sorted(suite.training_prompts())
    if len(prompts) < system.prompts:
        raise PrefbenchError(f"a pool of {system.prompts} prompts: {suite.card.name} names {len(prompts)} for training")
    spaced = [prompts[i * len(prompts) // system.prompts] for i in range(system.prompts)]
    return [Case(f"{user}/{i:02d}", user, prompt) for i, prompt in enumerate(spaced)]


def _description(system: System, suite: Suite, spec: RunSpec, plan: Sequence[Planned]) -> dict[str, Any]:
    present = {planned.case.user for planned in plan}
    return {
        "spec": spec.to_json(),
        "method": asdict(_CARD),
        "backbone": {"name": spec.backbone},
        "kinds": {user.id: user.kind for user in suite.users(system.split) if user.id in present},
        "planned": len(plan),
        "command": "prefbench validate",
        "environment": {"versions": versions(), "hardware": hardware(), "code": code_state()},
    }
