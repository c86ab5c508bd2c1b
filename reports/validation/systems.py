"""Systems that personalise exactly so much, as run folders: drawn by the suite's truth, without any model."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from prefbench.api import Case, History, MethodCard, PrefbenchError, Sample, Split, Suite, Truth, image_digest
from prefbench.environment import code_state, hardware, versions
from prefbench.run.folder import RunFolder
from prefbench.run.plan import Planned, RunSpec, make_plan

from .nuisances import COPIES, NUISANCES, PALETTE, PROMPT
from .scale import MIDDLE, STRENGTHS, Scale

_BATCH = 250
_WRITERS = 4


@dataclass(frozen=True)
class System:
    """What is drawn: how strongly it personalises, what spoils it, for whom and how often."""

    strength: float
    nuisance: str | None = None
    level: float = 0.0
    split: Split = "test"
    users: int | None = None
    """Only the first so many users of the split; None for all."""
    prompts: int | None = None
    """So many prompts of training captions for everybody; None for the users' own cases."""
    samples: int = 1
    pool: bool = False
    """Whether samples are picked from it, so that as a whole it stands for nothing."""

    @property
    def name(self) -> str:
        """As tables show it; also the folder's name but for blanks."""
        spoilt = "" if self.nuisance is None else f", {self.nuisance} {self.level:g}"
        pool = f", {self.split} pool" if self.pool else ""
        return f"strength {self.strength:g}{spoilt}{pool}"


@dataclass(frozen=True)
class Systems:
    """All that a validation draws: strengths, what spoils the middle one, and three pools at the middle strength."""

    strengths: tuple[System, ...]
    ladders: tuple[System, ...]
    samples: System
    """Many samples a case of the users who are reported."""
    mixed: System
    """The same, half of them copies: metrics that hardly ever move otherwise do here."""
    population: System
    """Many train users, all for the same prompts."""

    @classmethod
    def of(cls, scale: Scale) -> Systems:
        """The systems of one scale."""
        plain = System(MIDDLE, split=scale.split, users=scale.users, samples=scale.per_case)
        pool = replace(plain, samples=scale.samples, pool=True)
        return cls(
            tuple(replace(plain, strength=strength) for strength in STRENGTHS),
            tuple(
                replace(plain, nuisance=name, level=level) for name, kind in NUISANCES.items() for level in kind.levels
            ),
            pool,
            replace(pool, nuisance=COPIES, level=0.5),
            replace(plain, split="train", users=scale.pool_users, prompts=scale.pool_prompts, pool=True),
        )

    @property
    def middle(self) -> System:
        return self.strengths[STRENGTHS.index(MIDDLE)]

    @property
    def all(self) -> tuple[System, ...]:
        """The middle one first: the others start from its features."""
        others = [system for system in self.strengths if system != self.middle]
        return (self.middle, *others, *self.ladders, self.samples, self.mixed, self.population)


def draw(system: System, suite: Suite, folder: RunFolder, *, advance: Callable[[int], object] = lambda _: None) -> None:
    """Draws what the folder lacks of a system; the folder must be locked.

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
    left = [planned for planned in plan if planned.key not in finished]
    advance(len(plan) - len(left))
    others = dealt([planned.case for planned in plan]) if system.nuisance == PROMPT else {}
    easel = _Easel(system, suite, truth, others)
    with ThreadPoolExecutor(_WRITERS) as writers:
        for start in range(0, len(left), _BATCH):
            batch = left[start : start + _BATCH]
            images = [easel.draw(planned) for planned in batch]
            digests = [image_digest(image) for image in images]
            # Every picture once: two writers of one file would be in each other's way.
            list(writers.map(folder.put_image, dict(zip(digests, images, strict=True)).values()))
            folder.append_samples([_row(p, digest) for p, digest in zip(batch, digests, strict=True)])
            advance(len(batch))


@dataclass(frozen=True)
class _Easel:
    """Draws single pictures of one system; chance comes from the sample's seed alone, the same for every system."""

    system: System
    suite: Suite
    truth: Truth
    others: Mapping[str, str]
    """Case to the prompt of another case, which it shows where its own is dropped."""

    def draw(self, planned: Planned) -> Image.Image:
        case, seed, system = planned.case, planned.seed, self.system
        nuisance = None if system.nuisance is None else NUISANCES[system.nuisance]
        chosen = nuisance is not None and nuisance.apply is None and _chance(seed).random() < system.level
        otherwise = system.nuisance if chosen else None
        if otherwise == COPIES:
            return self._copy(case, seed)
        prompt = self.others[case.id] if otherwise == PROMPT else case.prompt
        recoloured = otherwise == PALETTE
        image = self.truth.graded(case.user, prompt, seed, strength=system.strength, recoloured=recoloured)
        return image if nuisance is None or nuisance.apply is None else nuisance.apply(image, system.level, seed)

    def _copy(self, case: Case, seed: int) -> Image.Image:
        liked = self.suite.history(case.user, "method").liked
        if not liked:
            raise PrefbenchError(f"{case.user} has no liked image to copy")
        return liked[seed % len(liked)].picture.load()


def dealt(cases: Sequence[Case]) -> dict[str, str]:
    """Case to the prompt of another one, never its own, so that all together every prompt stays as frequent as it was.

    Raises:
        PrefbenchError: one prompt is that of more than half of the cases.
    """
    ordered = sorted({case.id: case for case in cases}.values(), key=lambda case: (case.prompt, case.id))
    most = max(Counter(case.prompt for case in ordered).values())
    if 2 * most > len(ordered):
        raise PrefbenchError(f"{PROMPT} needs prompts of which none is that of more than half of the cases")
    turned = ordered[most:] + ordered[:most]
    return {case.id: other.prompt for case, other in zip(ordered, turned, strict=True)}


def _chance(seed: int) -> np.random.Generator:
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
    # The systems see the truth and no history, so none is in their keys.
    batches = make_plan(spec, cases, {user: History(user, (), ()) for user in users})
    return spec, [planned for batch in batches for planned in batch]


def _cases(system: System, suite: Suite, user: str) -> Sequence[Case]:
    if system.prompts is None:
        return suite.cases(user)
    known = sorted(suite.training_prompts())
    if len(known) < system.prompts:
        raise PrefbenchError(f"a pool of {system.prompts} prompts: {suite.card.name} names {len(known)} for training")
    chosen = [known[i * len(known) // system.prompts] for i in range(system.prompts)]
    return [Case(f"{user}/{i:02d}", user, prompt) for i, prompt in enumerate(chosen)]


_CARD = MethodCard(
    name="graded",
    version="1",
    summary="draws from the truth at a stated strength of personalisation",
    uses_liked=False,
    uses_disliked=False,
    control=True,
)


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
