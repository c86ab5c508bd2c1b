"""A suite as everything but the suite itself meets it: each answer is guarded, and is what the contract says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from prefbench.api import (
    Case,
    History,
    PrefbenchError,
    Reference,
    Split,
    Suite,
    SuiteCard,
    TrainUser,
    Truth,
    User,
    Viewer,
)
from prefbench.api.guard import guarded, module_of
from prefbench.run.collection import seldom_collected
from prefbench.run.texts import check_cases, check_history, check_users

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

T = TypeVar("T")


_OPTIONAL = ("utility_slopes",)
"""What a truth may offer beside its contract: who asks for it looks whether it is there."""


class GuardedSuite(Suite):
    """Hands every question to a suite. Raises `PrefbenchError` where it fails or its answer breaks the contract."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._whose, self._module = f"suite {type(suite).card.name!r}", module_of(suite)

    @property
    def card(self) -> SuiteCard:  # type: ignore[override]
        return type(self._suite).card

    @property
    def digest(self) -> str:
        return self._of(str, "digest", self._asked("digest", lambda: self._suite.digest))

    def users(self, split: Split) -> Sequence[User]:
        deed = f"users({split!r})"
        users = self._all(User, deed, self._asked(deed, lambda: self._suite.users(split)))
        check_users(self._whose, users)
        return users

    def history(self, user: str, viewer: Viewer = "method") -> History:
        return self.histories([user], viewer)[user]

    @seldom_collected()
    def histories(self, users: Iterable[str], viewer: Viewer = "method") -> dict[str, History]:
        """The history of each user, by id."""
        histories = self._each("history", users, lambda user: self._suite.history(user, viewer))
        for user, (deed, history) in histories.items():
            if self._of(History, deed, history).user != user:
                raise PrefbenchError(f"{self._whose}: {deed} is of {history.user!r}")
            check_history(self._whose, history)
        return {user: history for user, (_, history) in histories.items()}

    def cases(self, user: str) -> Sequence[Case]:
        return self.all_cases([user])

    @seldom_collected()
    def all_cases(self, users: Iterable[str]) -> list[Case]:
        """The cases of users, in their order."""
        all_cases: list[Case] = []
        for user, (deed, answer) in self._each("cases", users, self._suite.cases).items():
            cases = self._all(Case, deed, answer)
            if stray := next((case for case in cases if case.user != user), None):
                raise PrefbenchError(f"{self._whose}: {deed} holds one of {stray.user!r}")
            check_cases(self._whose, cases)
            all_cases += cases
        return all_cases

    def references(self, split: Split) -> Sequence[Reference]:
        deed = f"references({split!r})"
        return self._all(Reference, deed, self._asked(deed, lambda: self._suite.references(split)))

    def crowd_references(self, split: Split) -> Sequence[Reference]:
        deed = f"crowd_references({split!r})"
        return self._all(Reference, deed, self._asked(deed, lambda: self._suite.crowd_references(split)))

    def train_users(self) -> Sequence[TrainUser]:
        return self._all(TrainUser, "train_users", self._asked("train_users", self._suite.train_users))

    def training_prompts(self) -> frozenset[str]:
        answer = self._asked("training_prompts", self._suite.training_prompts)
        return self._of(frozenset, "training_prompts", answer)

    def inventory(self) -> Mapping[str, str]:
        return self._of(dict, "inventory", self._asked("inventory", lambda: dict(self._suite.inventory())))

    def checks(self) -> Mapping[str, Callable[[], str]]:
        return self._of(dict, "checks", self._asked("checks", lambda: dict(self._suite.checks())))

    def untrained_backbone(self) -> DiffusionPipeline:
        return self._asked("untrained_backbone", self._suite.untrained_backbone)

    @property
    def truth(self) -> Truth | None:
        truth = self._asked("truth", lambda: self._suite.truth)
        return None if truth is None else cast("Truth", _GuardedTruth(truth, f"{self._whose}: truth", self._module))

    def _asked(self, deed: str, question: Callable[[], T]) -> T:
        with guarded(self._whose, deed, module=self._module):
            return question()

    def _each(self, name: str, users: Iterable[str], question: Callable[[str], T]) -> dict[str, tuple[str, T]]:
        """Deed and answer for each user, in one guard: to put the process back takes longer than most answers."""
        answers = {}
        with guarded(self._whose, name, module=self._module) as asking:
            for user in users:
                asking.deed = f"{name}({user!r})"
                answers[user] = asking.deed, question(user)
        return answers

    def _of(self, kind: type[T], deed: str, answer: T) -> T:
        if not isinstance(answer, kind):
            raise PrefbenchError(f"{self._whose}: {deed} is {_named(answer)}, not a {kind.__name__}")
        return answer

    def _all(self, kind: type[T], deed: str, answer: Sequence[T]) -> Sequence[T]:
        if not isinstance(answer, list | tuple):
            answer = self._listed(kind, deed, answer)
        if odd := [one for one in answer if not isinstance(one, kind)]:
            raise PrefbenchError(f"{self._whose}: {deed} holds {_named(odd[0])}, not a {kind.__name__}")
        return answer

    def _listed(self, kind: type[T], deed: str, answer: Any) -> Sequence[T]:
        """A sequence of the suite's own class; an iterator might never end."""
        if not isinstance(answer, Sequence):
            raise PrefbenchError(f"{self._whose}: {deed} is {_named(answer)}, not a sequence of {kind.__name__}")
        return self._asked(deed, lambda: [answer[i] for i in range(len(answer))])


class _GuardedTruth:
    """A truth whose answers and methods are guarded."""

    def __init__(self, truth: Truth, whose: str, module: str) -> None:
        self._truth, self._whose, self._module = truth, whose, module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what copying and pickling look for is not the suite's
            raise AttributeError(name)
        if name in _OPTIONAL and not hasattr(type(self._truth), name):
            raise AttributeError(name)
        with guarded(self._whose, name, module=self._module):
            value = getattr(self._truth, name)
        if not callable(value):
            return value

        def asked(*arguments: Any, **named: Any) -> Any:
            with guarded(self._whose, name, module=self._module):
                return value(*arguments, **named)

        return asked


def _named(value: object) -> str:
    return f"a {type(value).__name__}"
