"""The conformance suite of suites: proves that nothing of what is evaluated was there to be learned from."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial

import numpy as np

from prefbench.api import SPLITS, Case, Split, Suite, SuiteCard, User, Viewer, agreeing, counted
from prefbench.check.cards import check_card, registered_name
from prefbench.check.collection import VIEWERS, Collection, collect
from prefbench.check.duplicates import compare
from prefbench.check.findings import Check, Finding, Listener, fail, run_checks, skip, warn
from prefbench.check.others import check_contents, check_others
from prefbench.check.shown import check_judged, check_texts, count_judged
from prefbench.parameters import bind, parse_pairs
from prefbench.registry import construct, folder_of, load_class
from prefbench.run.texts import check_cases, check_users

_EVALUATED: tuple[Split, ...] = ("val", "test", "shifted")

_LIKES, _ASKED = "likes that only scorers see", "pictures of the cases' own prompts"
"""What references may be."""


def check_suite(
    suite: str | type[Suite],
    parameters: Sequence[str] = (),
    *,
    users: int | None = 100,
    listener: Listener = lambda _: None,
) -> list[Finding]:
    """Checks a suite: users, histories, cases and references are disjoint where they must be, and stay the same.

    Args:
        suite: a registered name, path/to/file.py:Class, or the class.
        parameters: of the suite, as `name=value`.
        users: how many users of each split have their pictures looked at; None for all. Ids are compared in full.
        listener: receives each finding as soon as its check ends.

    Raises:
        PrefbenchError: an unknown name or parameter.
    """

    def make() -> Suite:
        constructor = load_class("suite", suite) if isinstance(suite, str) else suite
        made: Suite = construct(f"suite {suite!r}", constructor, bind(constructor, parse_pairs(parameters)))
        return made

    is_folder = isinstance(suite, str) and folder_of("suite", suite) is not None
    registered = None if is_folder else registered_name(suite)
    return run_checks(SuiteChecks(make, users, registered).all(), listener)


class SuiteChecks:
    """The checks of one suite. Pictures are looked at once, by the first check that needs them."""

    def __init__(self, make: Callable[[], Suite], limit: int | None, registered: str | None) -> None:
        self._make, self._limit, self._registered = make, limit, registered
        self._suite = make()

    def all(self) -> dict[str, Check]:
        """Name to check, in the order they are shown."""
        return {
            "card": self.card,
            **{name: partial(str, line) for name, line in self._suite.inventory().items()},
            "users": self.users,
            "texts": self.texts,
            "sample": self.sample,
            "histories": self.histories,
            "pictures disjoint": self.pictures,
            "pictures shown": self.shown,
            "other pictures": self.others,
            "cases": self.cases,
            "contents": self.contents,
            "prompts unseen": self.prompts,
            "prompts read": self.read,
            "training captions": self.captions,
            "references": self.references,
            "near-duplicates": self.near_duplicates,
            "deterministic": self.deterministic,
            **self._suite.checks(),
        }

    @cached_property
    def _collection(self) -> Collection:
        return collect(self._suite, self._users_looked_at())

    def _users_looked_at(self) -> dict[Split, Sequence[User]]:
        return {split: self._looked_at(split) for split in SPLITS}

    def _looked_at(self, split: Split) -> Sequence[User]:
        return self._suite.users(split)[: self._limit]

    def _cases(self, split: Split) -> list[Case]:
        return [case for user in self._suite.users(split) for case in self._suite.cases(user.id)]

    def card(self) -> str:
        """The card names the suite and what it is run with."""
        check_card(self._suite.card, SuiteCard, self._registered)
        return f"{self._suite.card.name} {self._suite.card.version}, backbone {self._suite.card.backbone}"

    def users(self) -> str:
        """No id twice, in or across splits; each user in the split that lists them."""
        members = [(user, split) for split in SPLITS for user in self._suite.users(split)]
        twice = _twice(user.id for user, _ in members)
        if twice:
            fail(f"{counted(len(twice), 'id')} {agreeing(len(twice), 'is', 'are')} listed twice, such as {twice[0]}")
        strays = [user.id for user, split in members if user.split != split]
        if strays:
            listed = f"{counted(len(strays), 'user')} {agreeing(len(strays), 'is', 'are')} listed"
            fail(f"{listed} under another split than their own, such as {strays[0]}")
        counts = {str(split): len(self._suite.users(split)) for split in SPLITS}
        return f"{_counts(counts)}; kinds: {_counts(Counter(user.kind for user, _ in members))}"

    def texts(self) -> str:
        """Ids and prompts are texts that files can hold; no user has a prompt twice, which would be one sample."""
        whose, n_prompts = f"suite {self._suite.card.name!r}", 0
        for split in SPLITS:
            check_users(whose, self._suite.users(split))
        if self._collection.text_fault is not None:
            raise self._collection.text_fault
        for split in _EVALUATED:
            for user in self._suite.users(split):
                cases = self._suite.cases(user.id)
                check_cases(whose, cases)
                n_prompts += len(cases)
        return f"{counted(n_prompts, 'case')}, no prompt twice for one user"

    def sample(self) -> str:
        """Says whose pictures the checks below look at."""
        shares = [(split, len(self._looked_at(split)), len(self._suite.users(split))) for split in SPLITS]
        pictures = sum(map(len, self._collection.thumbnails.values()))
        cut = ", ".join(f"{split} {n} of {total}" for split, n, total in shares)
        return f"users looked at: {cut}; {counted(pictures, 'picture')}"

    def histories(self) -> str:
        """Each history is its user's, every judgment stands on its own side, no picture on both."""
        for viewer, outlines in self._collection.outlines.items():
            faulty = [outline for outline in outlines if outline.fault]
            if faulty:
                more = f" (and {len(faulty) - 1} more)" if len(faulty) > 1 else ""
                fail(f"{viewer} history of {faulty[0].user} {faulty[0].fault}{more}")
        outlined = {viewer: Counter(o.size for o in outlines) for viewer, outlines in self._collection.outlines.items()}
        return "likes+dislikes: " + "; ".join(f"{viewer} {_sizes(sizes)}" for viewer, sizes in outlined.items())

    def pictures(self) -> str:
        """No picture in two splits, nor seen by two viewers."""
        owners: dict[str, set[tuple[Split, Viewer]]] = {}
        for group, digests in self._collection.digests.items():
            for digest in digests:
                owners.setdefault(digest, set()).add(group)
        shared = [groups for groups in owners.values() if len(groups) > 1]
        if shared:
            example = " and ".join(sorted("/".join(group) for group in shared[0]))
            n_shared = f"{counted(len(shared), 'picture')} {agreeing(len(shared), 'is', 'are')}"
            fail(f"{n_shared} in more than one split or view, such as in {example}")
        return f"{counted(len(owners), 'different picture')}, each in one split and view"

    def shown(self) -> str:
        """No picture of one colour, none judged for several prompts."""
        return check_judged(count_judged(self._collection.judged))

    def others(self) -> str:
        """Pictures of references, of cases and of what methods learn from can be read too."""
        return check_others(self._suite, self._users_looked_at(), self._collection.looked_at)

    def read(self) -> str:
        """No prompt is longer than what reads it."""
        prompts = {case.prompt for split in _EVALUATED for case in self._cases(split)}
        if not prompts:
            skip("there is nothing to draw for")
        return check_texts(self._suite, sorted(prompts))

    def cases(self) -> str:
        """Every evaluated user has cases of their own; no id twice."""
        if self._suite.inventory() and not any(self._cases(split) for split in _EVALUATED):
            skip("there is nothing to draw for")
        lines = []
        for split in _EVALUATED:
            cases = self._cases(split)
            twice = _twice(case.id for case in cases)
            if twice:
                fail(f"case {twice[0]} is there twice")
            if not self._suite.users(split):
                continue
            for user in self._suite.users(split):
                if {case.user for case in self._suite.cases(user.id)} != {user.id}:
                    fail(f"{user.id} has no case, or one of somebody else")
            shared = sum(n > 1 for n in Counter(case.prompt for case in cases).values())
            per_user = Counter(Counter(case.user for case in cases).values())
            prompts = len({case.prompt for case in cases})
            lines.append(
                f"{split}: {_sizes(per_user)} a user, {counted(prompts, 'prompt')}, {shared} of them shared by users"
            )
        return "; ".join(lines)

    def contents(self) -> str:
        """Nobody's judgment of a picture that is redrawn can be seen."""
        judged = set().union(*self._collection.digests.values())
        return check_contents([case for split in _EVALUATED for case in self._cases(split)], judged)

    def prompts(self) -> str:
        """No prompt of an evaluated case in any history that methods see, of any split; those that scorers alone see
        are counted: a case may be drawn for what its user judged.
        """
        seen, kept = ({_plain(prompt) for prompt in self._collection.prompts[viewer]} for viewer in VIEWERS)
        line = self._none_of(seen, "prompts of histories that methods see")
        common = len(self._case_prompts() & kept)
        return f"{line}; {common} among those that scorers alone see" if common else line

    def captions(self) -> str:
        """No prompt of an evaluated case in what shipped models were trained on."""
        others = {_plain(prompt) for prompt in self._suite.training_prompts()}
        if not others:
            skip("the suite names no training captions")
        return self._none_of(others, "prompts of training captions")

    def _none_of(self, others: set[str], what: str) -> str:
        prompts = self._case_prompts()
        common = sorted(prompts & others)
        if common:
            of_all = f"{len(common)} of {counted(len(prompts), 'case prompt')} {agreeing(len(common), 'is', 'are')}"
            fail(f"{of_all} among the {what}, such as {common[0]!r}")
        return f"{counted(len(prompts), 'case prompt')}, none among {len(others)} {what}"

    def _case_prompts(self) -> set[str]:
        return {_plain(case.prompt) for split in _EVALUATED for case in self._cases(split)}

    def references(self) -> str:
        """References are the users' likes that only scorers see, or show prompts of their cases; no method sees one."""
        public = set().union(*(self._collection.digests[split, "method"] for split in SPLITS))
        kinds: Counter[str] = Counter()
        for split in filter(self._suite.users, _EVALUATED):
            users = {user.id for user in self._looked_at(split)}
            mine = [reference for reference in self._suite.references(split) if reference.user in users]
            asked = {(case.user, case.prompt) for case in self._cases(split)}
            likes = [r for r in mine if (r.user, r.picture.digest) in self._collection.scorer_likes]
            strays = [
                r.user
                for r in mine
                if (r.user, r.picture.digest) not in self._collection.scorer_likes and (r.user, r.prompt) not in asked
            ]
            if strays:
                listed = f"{counted(len(strays), 'reference')} {agreeing(len(strays), 'is no like', 'are not likes')}"
                fail(f"{listed} that only scorers see, such as one of {min(strays)}")
            leaks = [r.user for r in mine if r.picture.digest in public]
            if leaks:
                listed = f"{counted(len(leaks), 'reference')} {agreeing(len(leaks), 'is', 'are')}"
                fail(f"{listed} in a history that methods see, such as one of {leaks[0]}")
            kinds += Counter({_LIKES: len(likes), _ASKED: len(mine) - len(likes)})
        if not kinds.total():
            fail("there are no references")
        shares = f"all {next(iter(kinds))}" if len(kinds) == 1 else _counts(kinds)
        return f"{counted(kinds.total(), 'reference')}, {shares}, in no history that methods see"

    def near_duplicates(self) -> str:
        """No copy, however retouched, between evaluated histories, what only scorers see, and what is learned from."""
        of = self._collection.thumbnails
        groups = {
            "histories": np.concatenate([of[split, "method"] for split in _EVALUATED]),
            "scorer views": np.concatenate([of[split, "scorer"] for split in _EVALUATED]),
            "train users": np.concatenate([of["train", viewer] for viewer in VIEWERS]),
            "scorer users": np.concatenate([of["scorer", viewer] for viewer in VIEWERS]),
        }
        pairs = itertools.product(("histories", "scorer views"), ("scorer views", "train users", "scorer users"))
        likenesses = {
            f"{a} x {b}": compare(groups[a], groups[b])
            for a, b in pairs
            if a != b and len(groups[a]) and len(groups[b])
        }
        detail = "; ".join(f"{name}: {likeness}" for name, likeness in likenesses.items())
        if any(likeness.copies for likeness in likenesses.values()):
            fail(detail)
        if not likenesses:
            warn("there are no pictures to compare")
        return detail

    def deterministic(self) -> str:
        """A second instance has the same digest, and the same histories and cases."""
        other = self._make()
        if other.digest != self._suite.digest:
            fail(f"digest {self._suite.digest[:12]}, and {other.digest[:12]} of a second instance")
        for split in _EVALUATED:
            for user in self._looked_at(split)[:3]:
                if other.history(user.id).digest != self._suite.history(user.id).digest:
                    fail(f"the history of {user.id} is another in a second instance")
                if other.cases(user.id) != self._suite.cases(user.id):
                    fail(f"the cases of {user.id} are others in a second instance")
        return f"digest {self._suite.digest}"


def _plain(prompt: str) -> str:
    return " ".join(prompt.casefold().split())


def _twice(ids: Iterable[str]) -> list[str]:
    return [name for name, n in Counter(ids).items() if n > 1]


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in numbers.items())


def _sizes(sizes: Counter[str] | Counter[int]) -> str:
    return ", ".join(
        f"{size}" if len(sizes) == 1 else f"{size} ({counted(n, 'user')})" for size, n in sizes.most_common()
    )
