"""How much is drawn and how often it is compared: the one place where a validation trades time for precision."""

from __future__ import annotations

from dataclasses import dataclass

from prefbench.api import Split

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
MIDDLE = 0.5
"""The strength that nuisances, identical methods and pools are drawn at."""
ALPHA = 0.05


@dataclass(frozen=True)
class ValidationSize:
    """Counts of users, samples, comparisons and replicates. The defaults take a quarter of an hour on two cores."""

    split: Split = "test"
    users: int | None = None
    """Only the first so many users of the split; None for all."""
    per_case: int = 2
    """Samples per case of every system but the pools: as many as runs have, and enough for how they differ."""
    samples: int = 8
    """Samples per case in the pools that identical methods and selections are made from."""
    pool_users: int = 150
    """Train users of the pool that stands for the population."""
    pool_prompts: int = 30
    sample_users: int = 50
    """Users, and below prompts, of one comparison of identical methods or one interval."""
    sample_prompts: int = 10
    nulls: int = 2000
    set_nulls: int = 200
    intervals: int = 400
    set_intervals: int = 100
    swaps: int = 99
    replicates: int = 1000
    """Bootstrap replicates of each interval and p value."""
    sizes: tuple[int, ...] = (50, 100, 200, 500, 1000, 2000)
    draws: int = 12
    """Subsets of each size."""
    seed: int = 0

    @classmethod
    def trial(cls) -> ValidationSize:
        """So little that everything is done in a minute: to see that all works, not to believe the numbers."""
        return cls(
            users=6, samples=3, pool_users=6, pool_prompts=6, sample_users=4, sample_prompts=4, nulls=12, set_nulls=2,
            intervals=12, set_intervals=3, swaps=19, replicates=100, sizes=(8, 16), draws=3,
        )  # fmt: skip

    def __post_init__(self) -> None:
        if not self.sizes or list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"sizes must ascend, got {self.sizes}")
