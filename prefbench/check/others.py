"""The pictures that a suite gives outside its histories: references, those of cases, and what methods learn from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from prefbench.api import Case, Picture, Split, Suite, UnreadableImageError, User, agreeing, counted
from prefbench.check.findings import Row, fail, skip

Look = tuple[Picture, str, str]
"""A picture, its user, and where it stands: `reference of ann`."""
_EVALUATED: tuple[Split, ...] = ("val", "test", "shifted")


def key_of(picture: Picture) -> tuple[object, ...]:
    """Equal for pictures of one digest and one source."""
    return picture.digest, picture.path, None if picture.data is None else hash(picture.data)


def check_others(suite: Suite, users: dict[Split, Sequence[User]], known: Collection[tuple[object, ...]]) -> str:
    """Every picture that some users have outside their histories can be read, and is what its digest says.

    Args:
        suite: the suite.
        users: whose pictures are looked at, by split.
        known: keys of pictures that were looked at already.
    """
    seen = set(known)
    n_read, faults = 0, []
    for picture, user, place in _others(suite, users):
        if key_of(picture) in seen:
            continue
        seen.add(key_of(picture))
        try:
            picture.load()
        except UnreadableImageError as error:
            faults.append({"user": user, "place": place, "error": f"{error} ({place})"})
        else:
            n_read += 1
    if faults:
        _fail(faults, n_read + len(faults))
    unseen = _unseen(suite, users)
    return f"{counted(n_read, 'picture')} beside those of histories" + (f"; {unseen}" if unseen else "")


def _fail(faults: Sequence[Row], total: int) -> None:
    of_all = f"{len(faults)} of {counted(total, 'picture')} outside histories cannot be read"
    fail(f"{of_all}; {faults[0]['error']}", faults)


def _others(suite: Suite, users: dict[Split, Sequence[User]]) -> Iterator[Look]:
    for split in (split for split in _EVALUATED if users[split]):
        ids = {user.id for user in users[split]}
        for reference in (*suite.references(split), *suite.crowd_references(split)):
            if reference.user in ids:
                yield reference.picture, reference.user, f"reference of {reference.user}"
        for case in (case for user in users[split] for case in suite.cases(user.id)):
            given = {"chosen": case.chosen, "rejected": case.rejected, "content": case.content}
            yield from ((one, case.user, f"{side} in case {case.id}") for side, one in given.items() if one is not None)
    if not _unseen(suite, users):
        for learned in suite.train_users():
            history = learned.history
            for side, judgments in {"liked": history.liked, "disliked": history.disliked}.items():
                yield from ((j.picture, history.user, f"{side} by {history.user}, to learn from") for j in judgments)


def _unseen(suite: Suite, users: dict[Split, Sequence[User]]) -> str:
    """Why what methods learn from is not looked at: it is only given of all users together."""
    total, looked_at = len(suite.users("train")), len(users["train"])
    all_at_once = f"what methods learn from comes for all train users at once, {total}, and was not looked at"
    return all_at_once if total > looked_at else ""


def check_contents(cases: Sequence[Case], judged: Collection[str]) -> str:
    """No picture to redraw is among the judged ones, given by their digests."""
    contents = [(case, case.content.digest) for case in cases if case.content is not None]
    if not contents:
        skip("no case has a picture to redraw")
    rows: list[Row] = [{"case": case.id, "user": case.user} for case, digest in contents if digest in judged]
    if rows:
        of_all = f"{len(rows)} of {counted(len(contents), 'picture')} to redraw {agreeing(len(rows), 'is', 'are')}"
        fail(f"{of_all} judged by somebody, such as that of case {rows[0]['case']}", rows)
    bare = f", {len(cases) - len(contents)} cases without one" if len(cases) > len(contents) else ""
    return f"{counted(len({digest for _, digest in contents}), 'picture')} to redraw, judged by nobody{bare}"
