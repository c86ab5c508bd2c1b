"""What a method sees in place of the suite's ids: names that are new for every run and for each half of a history.

Stored rows keep the suite's ids. Only the harness can tell whose a name is: it follows from a secret of the run's own.
What cannot be hidden: prompts and pictures, which are content; the seed of a request, which follows from user and
prompt so that all methods draw from the same noise; and the order of users. `prefbench audit --fresh` finds who looks
users up by these.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from PIL import Image

from prefbench.api import Case, History, Judgment, Picture, PrefbenchError, ProbeItem, Request, TrainUser, Truth

_TOKEN = re.compile(r"\b(?:user|case|pair|source)-[0-9a-f]{16}\b")


@dataclass(frozen=True)
class _Unplaced(Picture):
    """A picture without the path of its file, which can name its user."""

    def load(self) -> Image.Image:
        held: Picture = vars(self)["_held"]
        return held.load()


class OpaqueNames:
    """The names of one run.

    Args:
        secret: what they follow from; a new one where none is given.
    """

    def __init__(self, secret: str | None = None) -> None:
        self.secret = secret or secrets.token_hex(16)
        self._true: dict[str, str] = {}

    @property
    def given(self) -> bool:
        """Whether any name was asked for, so that the secret is settled."""
        return bool(self._true)

    def renew(self, secret: str) -> None:
        """Goes on with another run's names. Raises `PrefbenchError` where some of this one's were given."""
        if self.given and secret != self.secret:
            raise PrefbenchError("the run was begun by another process meanwhile; the same command again continues it")
        self.secret = secret

    def user(self, user: str, part: str = "") -> str:
        """The name of a user, or of one half of a history."""
        return self._name("user", user, part)

    def history(self, history: History, part: str = "") -> History:
        """A history as a method sees it. Its digest is the suite's: the same in every run, as its pictures are."""
        liked, disliked = (tuple(self._judgment(j, part) for j in side) for side in (history.liked, history.disliked))
        shown = History(self.user(history.user, part), liked, disliked)
        vars(shown)["digest"] = history.digest
        return shown

    def case(self, case: Case) -> Case:
        """A case as a method sees it."""
        pictures = {name: _unplaced(getattr(case, name)) for name in ("chosen", "rejected", "content")}
        return replace(case, id=self._name("case", case.id), user=self.user(case.user), **pictures)

    def request(self, request: Request) -> Request:
        """A request as a method sees it."""
        profile = replace(request.profile, user=self.user(request.profile.user))
        return replace(request, case=self.case(request.case), profile=profile)

    def item(self, item: ProbeItem) -> ProbeItem:
        """A picture that a method is asked about."""
        return replace(item, picture=_unplaced(item.picture))

    def person(self, person: TrainUser) -> TrainUser:
        """What a method may learn from one user."""
        return replace(person, history=self.history(person.history))

    def true(self, name: str) -> str:
        """The suite's id behind a name; a text that is none of these names stays as it is."""
        return self._true.get(name, name)

    def true_history(self, history: History) -> History:
        """The history in the suite's words."""
        sides = (tuple(map(self._true_judgment, side)) for side in (history.liked, history.disliked))
        return History(self.true(history.user), *sides)

    def told(self, text: str) -> str:
        """A text of the method's, such as an error, in the suite's words."""
        return _TOKEN.sub(lambda match: self.true(match[0]), text)

    def truth(self, truth: Truth | None) -> Truth | None:
        """The suite's truth for a control, which knows users by these names alone."""
        return None if truth is None else cast("Truth", _NamedTruth(truth, self))

    def _judgment(self, judgment: Judgment, part: str) -> Judgment:
        pair, source = (
            None if text is None else self._name(kind, text, part)
            for kind, text in (("pair", judgment.pair), ("source", judgment.source))
        )
        return replace(judgment, picture=_unplaced(judgment.picture), pair=pair, source=source)

    def _true_judgment(self, judgment: Judgment) -> Judgment:
        pair, source = (None if name is None else self.true(name) for name in (judgment.pair, judgment.source))
        picture: Picture = vars(judgment.picture).get("_held", judgment.picture)
        return replace(judgment, picture=picture, pair=pair, source=source)

    def _name(self, kind: str, text: str, part: str = "") -> str:
        content = repr((kind, text, part)).encode()
        name = f"{kind}-{hmac.digest(self.secret.encode(), content, hashlib.sha256).hex()[:16]}"
        self._true[name] = text
        return name


class _NamedTruth:
    """A truth that is asked in a run's names and asks the suite's in its own."""

    def __init__(self, truth: Truth, names: OpaqueNames) -> None:
        self._truth, self._names = truth, names

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what copying and pickling look for is not the suite's
            raise AttributeError(name)
        value = getattr(self._truth, name)
        return partial(self._asked, value) if callable(value) else value

    def _asked(self, question: Any, *arguments: Any, **named: Any) -> Any:
        return question(*map(self._true, arguments), **{name: self._true(value) for name, value in named.items()})

    def _true(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._names.true(value)
        return self._names.true_history(value) if isinstance(value, History) else value


def _unplaced(picture: Any) -> Any:
    if not isinstance(picture, Picture) or picture.path is None:
        return picture
    shown = _Unplaced(picture.digest)
    vars(shown)["_held"] = picture
    return shown
