"""Which case and sample each given image is of: by user, prompt or number, sample or seed, as far as they are said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from prefbench.api import Case, counted
from prefbench.run.given.image import GivenImage
from prefbench.run.given.names import meant, same, shown
from prefbench.run.plan import Planned

Place = tuple[str, int, int]
"""User, number of the case, sample."""


class Stray(Exception):  # noqa: N818 - no mistake of the caller's: the image is counted as unused
    """The image is of nothing that is expected; the text says why."""


@dataclass(frozen=True)
class Targets:
    """What images are expected of.

    Attributes:
        planned: the samples of a plan, users and cases in the suite's order.
        samples: of each case.
        others: users of the suite that no image is expected of.
    """

    planned: Sequence[Planned]
    samples: int
    others: frozenset[str] = field(default=frozenset(), repr=False)

    @cached_property
    def cases(self) -> Mapping[str, Sequence[Case]]:
        """The cases of each user, in the suite's order: the number of a case is its place here."""
        cases: dict[str, list[Case]] = defaultdict(list)
        for planned in self.planned[:: self.samples]:
            cases[planned.case.user].append(planned.case)
        return dict(cases)

    @cached_property
    def by_place(self) -> Mapping[Place, Planned]:
        """The samples by user, number of the case, and index, in the plan's order."""
        places = (
            (user, n, i) for user, own in self.cases.items() for n in range(len(own)) for i in range(self.samples)
        )
        return dict(zip(places, self.planned, strict=True))

    def assigned(self, images: Iterable[GivenImage]) -> tuple[dict[Place, list[GivenImage]], list[str]]:
        """The images of each sample, and a line for each one that is of none.

        Images that say neither sample nor seed get the samples of their case that nobody names, in their order.
        """
        strays: list[str] = []
        of_case: dict[tuple[str, int], list[GivenImage]] = defaultdict(list)
        for image in images:
            try:
                of_case[self._case_of(image)].append(image)
            except Stray as reason:
                strays.append(f"{image.origin}: {reason}")
        places: dict[Place, list[GivenImage]] = {}
        for (user, n), own in of_case.items():
            strays += self._assign(user, n, own, places)
        return places, strays

    def _assign(
        self, user: str, n: int, images: Sequence[GivenImage], places: dict[Place, list[GivenImage]]
    ) -> list[str]:
        """Enters the images of one case into `places`; the lines of those that are too many."""
        strays, named = [], [(image, self._named_sample(user, n, image)) for image in images]
        free = [i for i in range(self.samples) if i not in {index for _, index in named}]
        for image, index in named:
            sample = index if index is not None else free.pop(0) if free else self.samples
            if sample < self.samples:
                places.setdefault((user, n, sample), []).append(image)
            else:
                said = f"sample {sample}" if index is not None else "one image more"
                numbers = f" (0 to {self.samples - 1})" if index is not None else ""
                expected = (
                    f"{counted(self.samples, 'sample')} of a case {'is' if self.samples == 1 else 'are'} expected"
                )
                strays.append(f"{image.origin}: {said} of case {n} of {user}; {expected}{numbers}")
        return strays

    def _named_sample(self, user: str, n: int, image: GivenImage) -> int | None:
        """The sample that an image says, by its number or by the seed that the case's sample has."""
        if image.sample is not None or image.seed is None:
            return image.sample
        seeds = {self.by_place[user, n, i].seed: i for i in range(self.samples)}
        return seeds.get(image.seed)

    def _case_of(self, image: GivenImage) -> tuple[str, int]:
        if image.stray:
            raise Stray(image.stray)
        user = self._user_of(image)
        numbers = [self._numbered(user, image.case)] if image.case else self._prompted(user, image.prompt)
        if len(numbers) > 1:
            several = " and ".join(map(str, numbers))
            raise Stray(f"{shown(image.prompt)} is the prompt of cases {several} of {user}: name the case")
        prompt = self.cases[user][numbers[0]].prompt
        if image.case and image.prompt and same(prompt) != same(image.prompt):
            raise Stray(f"case {image.case} of {user} is {shown(prompt)}, not {shown(image.prompt)}")
        return user, numbers[0]

    def _user_of(self, image: GivenImage) -> str:
        name = image.user
        if not name:
            if len(self.cases) > 1:
                raise Stray(f"no user is named, and there are {len(self.cases)}")
            return next(iter(self.cases))
        if name in self.cases:
            return name
        fitting = self._users.get(same(name), [])
        if len(fitting) == 1:
            return fitting[0]
        if name in self.others or any(same(name) == same(one) for one in self.others):
            raise Stray(f"of user {name}, of whom no image is expected here")
        raise Stray(f"there is no user {shown(name)}{meant(name, self.cases)}")

    @cached_property
    def _users(self) -> Mapping[str, Sequence[str]]:
        return _together(self.cases)

    def _numbered(self, user: str, case: str) -> int:
        """The number of a case that is named by it, or by the suite's own id."""
        cases = self.cases[user]
        if case.isdecimal():
            if int(case) < len(cases):
                return int(case)
            raise Stray(f"{user} has no case {case}: they are 0 to {len(cases) - 1}")
        ids = [one.id for one in cases]
        if case in ids:
            return ids.index(case)
        raise Stray(f"{user} has no case {shown(case)}; give its number, 0 to {len(cases) - 1}")

    def _prompted(self, user: str, prompt: str) -> list[int]:
        """The numbers of the cases of a prompt: one, unless only blanks or normal forms tell prompts apart."""
        if not prompt:
            raise Stray("neither a prompt nor a case is named")
        prompts = [case.prompt for case in self.cases[user]]
        if prompt in prompts:
            return [prompts.index(prompt)]
        fitting = [n for n, one in enumerate(prompts) if same(one) == same(prompt)]
        if not fitting:
            raise Stray(f"{user} has no prompt {shown(prompt)}{meant(prompt, prompts)}")
        return fitting


def _together(names: Collection[str]) -> dict[str, list[str]]:
    """Names by what is the same of them."""
    together: dict[str, list[str]] = defaultdict(list)
    for name in names:
        together[same(name)].append(name)
    return together
