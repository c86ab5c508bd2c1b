"""What a validation draws: systems that personalise to a known degree, spoilt ones, and pools of samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

from prefbench.api import Split

from .nuisances import COPIES, NUISANCES
from .settings import MIDDLE, STRENGTHS, ValidationSize


@dataclass(frozen=True)
class System:
    """One way to draw: how strongly it personalises, what spoils it, for whom and how often."""

    strength: float
    nuisance: str | None = None
    level: float = 0.0
    split: Split = "test"
    users: int | None = None
    """The number of users, the first of the split; None for all."""
    prompts: int | None = None
    """The number of prompts, from training captions and the same for all users; None for the users' own cases."""
    samples: int = 1
    pool: bool = False
    """Whether samples are picked from it, so that as a whole it stands for nothing."""

    @property
    def name(self) -> str:
        """As tables show it; also the folder's name but for blanks."""
        nuisance = "" if self.nuisance is None else f", {self.nuisance} {self.level:g}"
        pool = f", {self.split} pool" if self.pool else ""
        return f"strength {self.strength:g}{nuisance}{pool}"


@dataclass(frozen=True)
class Systems:
    """All that a validation draws: strengths, what spoils the middle one, and three pools at the middle strength."""

    strengths: tuple[System, ...]
    ladders: tuple[System, ...]
    samples: System
    """Many samples per case of the users who are reported."""
    mixed: System
    """The same, half of them copies: metrics that hardly ever differ between samples do so here."""
    population: System
    """Many train users, all for the same prompts."""

    @classmethod
    def of(cls, size: ValidationSize) -> Systems:
        """The systems of one size."""
        middle = System(MIDDLE, split=size.split, users=size.users, samples=size.per_case)
        pool = replace(middle, samples=size.samples, pool=True)
        return cls(
            tuple(replace(middle, strength=strength) for strength in STRENGTHS),
            tuple(
                replace(middle, nuisance=name, level=level) for name, kind in NUISANCES.items() for level in kind.levels
            ),
            pool,
            replace(pool, nuisance=COPIES, level=0.5),
            replace(middle, split="train", users=size.pool_users, prompts=size.pool_prompts, pool=True),
        )

    @property
    def middle(self) -> System:
        return self.strengths[STRENGTHS.index(MIDDLE)]

    @property
    def all(self) -> tuple[System, ...]:
        """The middle one first: the others start from its features."""
        others = [system for system in self.strengths if system != self.middle]
        return (self.middle, *others, *self.ladders, self.samples, self.mixed, self.population)
