"""A suite as everything but the suite itself meets it: each answer is guarded, and is what the contract says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from prefbench.run.texts import check_cases, check_history, check_users

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

T = TypeVar("T")


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
        return self._of(str, "digest", lambda: self._suite.digest)

    def users(self, split: Split) -> Sequence[User]:
        users = self._all(User, f"users({split!r})", lambda: self._suite.users(split))
        check_users(self._whose, users)
        return users

    def history(self, user: str, viewer: Viewer = "method") -> History:
        deed = f"history({user!r})"
        history = self._of(History, deed, lambda: self._suite.history(user, viewer))
        if history.user != user:
            raise PrefbenchError(f"{self._whose}: {deed} is of {history.user!r}")
        check_history(self._whose, history)
        return history

    def cases(self, user: str) -> Sequence[Case]:
        deed = f"cases({user!r})"
        cases = self._all(Case, deed, lambda: self._suite.cases(user))
        if stray := next((case for case in cases if case.user != user), None):
            raise PrefbenchError(f"{self._whose}: {deed} holds one of {stray.user!r}")
        check_cases(self._whose, cases)
        return cases

    def references(self, split: Split) -> Sequence[Reference]:
        return self._all(Reference, f"references({split!r})", lambda: self._suite.references(split))

    def train_users(self) -> Sequence[TrainUser]:
        return self._all(TrainUser, "train_users", self._suite.train_users)

    def training_prompts(self) -> frozenset[str]:
        return self._of(frozenset, "training_prompts", self._suite.training_prompts)

    def inventory(self) -> Mapping[str, str]:
        return self._of(dict, "inventory", lambda: dict(self._suite.inventory()))

    def untrained_backbone(self) -> DiffusionPipeline:
        return self._asked("untrained_backbone", self._suite.untrained_backbone)

    @property
    def truth(self) -> Truth | None:
        truth = self._asked("truth", lambda: self._suite.truth)
        return None if truth is None else cast("Truth", _GuardedTruth(truth, f"{self._whose}: truth", self._module))

    def _asked(self, deed: str, question: Callable[[], T]) -> T:
        with guarded(self._whose, deed, module=self._module):
            return question()

    def _of(self, kind: type[T], deed: str, question: Callable[[], T]) -> T:
        answer = self._asked(deed, question)
        if not isinstance(answer, kind):
            raise PrefbenchError(f"{self._whose}: {deed} is {_named(answer)}, not a {kind.__name__}")
        return answer

    def _all(self, kind: type[T], deed: str, question: Callable[[], Sequence[T]]) -> Sequence[T]:
        answer = self._asked(deed, question)
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
