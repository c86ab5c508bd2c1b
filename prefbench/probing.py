"""Where in a network a user stands: linear probes of hidden states, layer by layer, whatever made the states.

Inter-user probes ask whether two disjoint histories are of one user; intra-user probes ask whether a user likes an
image, and are tested on users and prompts that they were not fitted on. Beside every figure stands what could
imitate it: states that know only the content, states that saw another user's history, and labels that mean nothing
(control tasks: Hewitt & Liang, EMNLP 2019, arXiv 1909.03368). Layers are chosen on other users than they are
reported on. Users are the unit, intervals those of `stats.crossed_bootstrap` over influence values: each row carries
what it adds to the statistic to first order (DeLong et al., Biometrics 1988, for an AUC), so that resampling rows
resamples the statistic.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from prefbench.api import PrefbenchError
from prefbench.records import Estimate
from prefbench.resampling import Floats, Names
from prefbench.stats import Scores, crossed_bootstrap

Bools = NDArray[np.bool_]
Indices = NDArray[np.int64]
Comparison = Literal["cosine", "whitened"]
VERIFICATION, RETRIEVAL, LIKING, LIKING_ACCURACY = "verification", "retrieval", "liking", "liking-accuracy"
"""Tasks of the table: AUC, recall at 1, within-user AUC, within-user balanced accuracy."""
STRENGTH = 0.01
"""Inverse L2 penalty of the liking probe on standardised states: one recipe for all layers, floors and controls."""
_REPLICATES = 2000


class Place(NamedTuple):
    """Where states were taken: a layer by number (0 is the embedding layer) and how its tokens were pooled."""

    layer: int
    pooling: str


class Pair(NamedTuple):
    """States of two disjoint histories of each user, (U, W) and (U, W), users in one order."""

    first: Floats
    second: Floats


@dataclass(frozen=True)
class Questions:
    """Was this image liked: a row for each state of one user's history followed by one image that it does not hold.

    Args:
        liked: bool (N,); at least two users need both answers.
        users, prompts, images: (N,) names; an image belongs to one prompt, so unseen prompts mean unseen images.

    Raises:
        PrefbenchError: lengths differ, an answer is missing, or an image stands under two prompts.
    """

    liked: Bools
    users: Names
    prompts: Names
    images: Names

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1:
            raise PrefbenchError(f"probing: columns of questions differ in length: {lengths}")
        if self.liked.dtype != np.bool_:
            raise PrefbenchError(f"probing: liked must be of dtype bool, not {self.liked.dtype}")
        both = len(np.intersect1d(self.users[self.liked], self.users[~self.liked]))
        if both < 2:
            raise PrefbenchError(f"probing: {both} of the users have liked and disliked images, at least 2 must")
        if len(np.unique(self.images)) != len(set(zip(self.images.tolist(), self.prompts.tolist(), strict=True))):
            raise PrefbenchError("probing: an image stands under two prompts, so folds cannot keep it apart")

    def __len__(self) -> int:
        return len(self.liked)


class Fold(NamedTuple):
    """Row numbers to fit on and to test on."""

    train: Indices
    test: Indices


@dataclass(frozen=True)
class Liking:
    """How well a probe tells liked from disliked: means over the users who have both, 0 to 1, chance 0.5."""

    auc: Estimate
    accuracy: Estimate
    """Balanced: the mean of the shares of liked and of disliked images that are told right."""


@dataclass(frozen=True)
class Row:
    """One layer, pooling and task: the figure with its 95 % interval, 0 to 1, over n users, and what could imitate it.

    None where it was not measured. `selectivity` is the value minus the control's.
    """

    layer: int
    pooling: str
    task: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    floor: float | None = None
    """The same probe on content alone."""
    mismatched: float | None = None
    """The same probe on states that saw another user's history."""
    control: float | None = None
    """The same probe on labels without meaning."""
    selectivity: float | None = None

    @classmethod
    def of(
        cls,
        place: Place,
        task: str,
        found: Estimate,
        *,
        floor: float | None = None,
        mismatched: float | None = None,
        control: float | None = None,
    ) -> Row:
        """The row of an estimate."""
        selectivity = None if control is None or found.value is None else found.value - control
        value, low, high, n = found.value, found.low, found.high, found.n_users
        return cls(*place, task, value, low, high, n, floor, mismatched, control, selectivity)


@dataclass(frozen=True)
class Choice:
    """The layers that tell users apart best, and what such a choice is worth on users it was not made on."""

    layers: tuple[int, ...]
    pooling: str
    estimate: Estimate
    """Verification AUC of the mean state of the layers chosen on the other half of the users."""
    halves: tuple[tuple[Place, ...], tuple[Place, ...]]
    """What each half chose; where they disagree, the choice is little more than one of several."""


# ------------------------------------------------------------------------------------------------------ inter-user


def similarities(pair: Pair, *, comparison: Comparison = "cosine", folds: int = 5, seed: int = 0) -> Floats:
    """Cosine (U, U) between every first and every second state; NaN where two users are not compared.

    `cosine` standardises each of the W numbers over all states. `whitened` learns on the users of the other folds:
    it standardises over them, whitens by their within-user covariance (Hatch et al., Interspeech 2006; shrunk after
    Ledoit & Wolf, 2004), and compares users of one fold only.

    Raises:
        PrefbenchError: a state is not finite, the shapes differ, or there are fewer users than twice the folds.
    """
    if comparison not in get_args(Comparison):
        raise PrefbenchError(f"probing: no comparison {comparison!r}; there are {', '.join(get_args(Comparison))}")
    first, second = (_matrix(states, "states") for states in pair)
    if first.shape != second.shape:
        raise PrefbenchError(f"probing: the two states of each user differ in shape: {first.shape}, {second.shape}")
    users, needed = len(first), 2 if comparison == "cosine" else 2 * folds
    if users < needed:
        raise PrefbenchError(f"probing: telling users apart ({comparison}) needs at least {needed}, got {users}")
    if comparison == "cosine":
        scaler = StandardScaler().fit(np.concatenate([first, second]))
        return _cosines(scaler.transform(first), scaler.transform(second))
    result = np.full((users, users), np.nan)
    of = _fold_of(np.arange(users).astype(str), folds, seed)
    for own, rest in ((of == fold, of != fold) for fold in range(folds)):
        scaler = StandardScaler().fit(np.concatenate([first[rest], second[rest]]))
        whiten = _whitening(scaler.transform(first[rest]), scaler.transform(second[rest]))
        one, other = (scaler.transform(side[own]) @ whiten for side in (first, second))
        result[np.ix_(own, own)] = _cosines(one, other)
    return result


def verification(
    pair: Pair, *, comparison: Comparison = "cosine", folds: int = 5, seed: int = 0, replicates: int = _REPLICATES
) -> Estimate:
    """AUC of "are these two histories of one user": all pairs of users under one threshold, chance 0.5.

    It does not depend on how many users there are. Raises as `similarities` does.
    """
    rows = _verification_rows(similarities(pair, comparison=comparison, folds=folds, seed=seed))
    return _over_users(rows, replicates, seed)


def retrieval(
    pair: Pair,
    *,
    gallery: int = 10,
    comparison: Comparison = "cosine",
    folds: int = 5,
    seed: int = 0,
    replicates: int = _REPLICATES,
) -> Estimate:
    """Recall at 1: how often a user's other history is the nearest of `gallery`, chance 1 / gallery.

    The mean over all galleries that can be drawn from the users, in closed form, and over both directions; a tie
    counts as a miss. The interval resamples the users who are looked for, not those they are confused with.

    Raises:
        PrefbenchError: as `similarities`, or the gallery is larger than the number of users who are compared.
    """
    found = similarities(pair, comparison=comparison, folds=folds, seed=seed)
    compared = int((~np.isnan(found)).sum(1).min())
    if not 2 <= gallery <= compared:
        raise PrefbenchError(f"probing: a gallery holds 2 to {compared} users here, not {gallery}")
    rows: Floats = (_recall(found, gallery) + _recall(found.T, gallery)) / 2
    return _over_users(rows, replicates, seed)


def probe_users(
    pairs: Mapping[Place, Pair],
    *,
    floor: Pair | None = None,
    gallery: int = 10,
    comparison: Comparison = "cosine",
    folds: int = 5,
    seed: int = 0,
) -> list[Row]:
    """Verification and retrieval at every place.

    Args:
        floor: what each history's images alone say, without the answers, as a pair of features (U, F). A user whose
            histories share prompts or drawing models is told apart by content, so draw these alike for all users.

    The control pairs every first history with the second of another user and calls the two one user; with nothing to
    remember it stands near chance.

    Raises:
        PrefbenchError: as `retrieval`, or users differ in number.
    """
    users = _users_of(pairs)
    if floor is not None and len(floor.first) != users:
        raise PrefbenchError(f"probing: the floor has {len(floor.first)} users, the states have {users}")
    tasks: dict[str, Callable[[Pair], Estimate]] = {
        VERIFICATION: lambda pair: verification(pair, comparison=comparison, folds=folds, seed=seed),
        f"{RETRIEVAL}@{gallery}": lambda pair: retrieval(
            pair, gallery=gallery, comparison=comparison, folds=folds, seed=seed
        ),
    }
    floors = {task: None if floor is None else probe(floor).value for task, probe in tasks.items()}
    return [
        Row.of(place, task, probe(pair), floor=floors[task], control=probe(_strangers(pair, seed)).value)
        for place, pair in sorted(pairs.items())
        for task, probe in tasks.items()
    ]


def choose_layers(
    pairs: Mapping[Place, Pair],
    k: int,
    *,
    candidates: Collection[int] | None = None,
    comparison: Comparison = "cosine",
    seed: int = 0,
) -> Choice:
    """The k layers, of one pooling, that tell users apart best.

    Layers are ranked by their own verification AUC; of the poolings that one wins whose k layers have, as the mean of
    their states, the highest. The estimate is nested: each half of the users is measured by the layers that the other
    half chose. The layers handed back are chosen on all users.

    Args:
        candidates: layers to choose from; all unless given.

    Raises:
        PrefbenchError: fewer than k candidates, users too few to halve, or as `similarities`.
    """
    users, known = _users_of(pairs), {place.layer for place in pairs}
    if unknown := sorted(set(candidates or ()) - known):
        raise PrefbenchError(f"probing: no states of layer {unknown[0]}; there are {sorted(known)}")
    allowed = {place: pair for place, pair in pairs.items() if candidates is None or place.layer in candidates}
    poolings = sorted({place.pooling for place in allowed})
    short = [name for name in poolings if sum(place.pooling == name for place in allowed) < k]
    if k < 1 or not allowed or short:
        raise PrefbenchError(f"probing: {k} layers cannot be chosen from {sorted({p.layer for p in allowed})}")
    if users < 4:
        raise PrefbenchError(f"probing: choosing layers halves the users and needs at least 4, got {users}")

    def rows(places: Sequence[Place], half: Indices) -> Floats:
        mean = Pair(*(np.mean([allowed[place][side][half] for place in places], axis=0) for side in (0, 1)))
        return _verification_rows(similarities(mean, comparison=comparison, seed=seed))

    def best(half: Indices) -> tuple[Place, ...]:
        worth = {place: float(rows([place], half).mean()) for place in sorted(allowed)}
        ranked = sorted(worth, key=lambda place: -worth[place])
        tops = [tuple(sorted([p for p in ranked if p.pooling == name][:k])) for name in poolings]
        return max(tops, key=lambda top: float(rows(top, half).mean()))

    one, other = np.array_split(np.random.default_rng(seed).permutation(users), 2)
    halves, chosen = (best(one), best(other)), best(np.arange(users))
    nested = np.concatenate([rows(halves[0], other), rows(halves[1], one)])
    estimate = _over_users(nested, _REPLICATES, seed)
    return Choice(tuple(place.layer for place in chosen), chosen[0].pooling, estimate, halves)


# ------------------------------------------------------------------------------------------------------ intra-user


def crossed_folds(questions: Questions, *, folds: int = 4, seed: int = 0, by_prompt: bool = True) -> list[Fold]:
    """Folds whose test rows share neither a user nor a prompt with the rows to fit on; every row is tested once.

    Users and prompts are each dealt into `folds` groups; a fold tests one group of users on one group of prompts, and
    fits on all other users and all other prompts. Without `by_prompt` users alone are kept apart.

    Raises:
        PrefbenchError: fewer users or prompts than folds, or a fold to fit on has only one answer.
    """
    for kind, names in (("users", questions.users), ("prompts", questions.prompts)):
        if (count := len(np.unique(names))) < folds and (by_prompt or kind == "users"):
            raise PrefbenchError(f"probing: {folds} folds need as many {kind}, got {count}")
    user = _fold_of(questions.users, folds, seed)
    prompt = _fold_of(questions.prompts, folds, seed + 1) if by_prompt else np.full(len(questions), -1)
    result = []
    for u, p in product(range(folds), np.unique(prompt)):
        test = np.flatnonzero((user == u) & (prompt == p))
        train = np.flatnonzero((user != u) & ((prompt != p) | (not by_prompt)))
        if len(test):
            _both_answers(questions.liked[train])
            result.append(Fold(train, test))
    return result


def liking(
    states: Floats,
    questions: Questions,
    *,
    folds: Sequence[Fold] | None = None,
    strength: float = STRENGTH,
    seed: int = 0,
    replicates: int = _REPLICATES,
) -> Liking:
    """Logistic regression on standardised states (N, W), fitted on other users and other prompts than it is tested on.

    Both answers weigh the same in the fit. Users without both answers are fitted on, but have no figure of their own.

    Args:
        folds: those of `crossed_folds` unless given.
        strength: inverse of the L2 penalty.

    Raises:
        PrefbenchError: a state is not finite, or rows and questions differ in number; else as `crossed_folds`.
    """
    states = _matrix(states, "states", len(questions))
    scores = np.full(len(questions), np.nan)
    for train, test in crossed_folds(questions, seed=seed) if folds is None else folds:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
        probe = make_pipeline(StandardScaler(), model).fit(states[train], questions.liked[train])
        scores[test] = probe.decision_function(states[test])
    rows = _liking_rows(scores, questions)
    return Liking(*(_bounded(Scores(row, questions.users, questions.prompts), replicates, seed) for row in rows))


def control_labels(types: Names, *, share: float = 0.5, seed: int = 0) -> Bools:
    """A random answer (N,) for each type, the same wherever the type stands; about `share` of the types are liked."""
    drawn = {name: int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8]) for name in set(types)}
    return np.array([drawn[name] < share * 2**64 for name in types], dtype=np.bool_)


def control(
    states: Floats, questions: Questions, types: Names, *, folds: int = 4, strength: float = STRENGTH, seed: int = 0
) -> Liking:
    """The probe on `control_labels`: what it would reach by remembering types instead of reading taste.

    Its folds keep users apart but not prompts: an answer that means nothing can be remembered for a type, and never
    guessed for a new one. That is easier than what `liking` is asked, so selectivity errs on the low side. Types that
    only one user has, such as images drawn for them, leave nothing to remember and the control at chance; prompts
    recur.

    Raises:
        PrefbenchError: as `liking`, or fewer than two users have types of both answers.
    """
    meaningless = replace(questions, liked=control_labels(types, share=float(questions.liked.mean()), seed=seed))
    apart = crossed_folds(meaningless, folds=folds, seed=seed, by_prompt=False)
    return liking(states, meaningless, folds=apart, strength=strength, seed=seed)


def probe_liking(
    states: Mapping[Place, Floats],
    questions: Questions,
    *,
    floor: Floats | None = None,
    mismatched: Mapping[Place, Floats] | None = None,
    types: Names | None = None,
    folds: int = 4,
    strength: float = STRENGTH,
    seed: int = 0,
) -> list[Row]:
    """Within-user AUC and balanced accuracy at every place; all probes are fitted and tested on the same folds.

    Args:
        states: (N, W) each, rows as in `questions`.
        floor: features (N, F) of the questioned image alone.
        mismatched: states (N, W) of the same questions after another user's history; fitted anew.
        types: (N,) what control labels are drawn for; the images unless given. See `control`.

    Raises:
        PrefbenchError: as `liking`, or `mismatched` lacks a place.
    """
    _places(states)
    if mismatched is not None and (lacking := sorted(set(states) - set(mismatched))):
        raise PrefbenchError(f"probing: mismatched states lack layer {lacking[0].layer}, pooling {lacking[0].pooling}")
    drawn = questions.images if types is None else types
    if len(drawn) != len(questions):
        raise PrefbenchError(f"probing: {len(drawn)} types for {len(questions)} questions")
    apart = crossed_folds(questions, folds=folds, seed=seed)

    def probe(matrix: Floats) -> Liking:
        return liking(matrix, questions, folds=apart, strength=strength, seed=seed)

    content = None if floor is None else probe(floor)
    rows = []
    for place, matrix in sorted(states.items()):
        found, other = probe(matrix), None if mismatched is None else probe(mismatched[place])
        unmeant = control(matrix, questions, drawn, folds=folds, strength=strength, seed=seed)
        named = {"floor": content, "mismatched": other, "control": unmeant}
        auc = {name: None if part is None else part.auc.value for name, part in named.items()}
        accuracy = {name: None if part is None else part.accuracy.value for name, part in named.items()}
        rows += [Row.of(place, LIKING, found.auc, **auc), Row.of(place, LIKING_ACCURACY, found.accuracy, **accuracy)]
    return rows


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """A line a row, a column a field of `Row`, in their order; NaN where nothing was measured."""
    numbers = [field.name for field in fields(Row) if field.name not in ("layer", "pooling", "task", "n")]
    frame = pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(Row)])
    return frame.astype(dict.fromkeys(numbers, float))


# ------------------------------------------------------------------------------------------------------------ parts


def _matrix(states: Floats, name: str, rows: int | None = None) -> Floats:
    matrix = np.asarray(states, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise PrefbenchError(f"probing: {name} must be a matrix with a row a state, got shape {matrix.shape}")
    if rows is not None and len(matrix) != rows:
        raise PrefbenchError(f"probing: {len(matrix)} {name} for {rows} questions")
    if not np.isfinite(matrix).all():
        bad = int((~np.isfinite(matrix)).any(axis=1).sum())
        raise PrefbenchError(f"probing: {bad} of {len(matrix)} {name} hold NaN or infinite numbers")
    return matrix


def _places(states: Collection[Place]) -> None:
    if not states:
        raise PrefbenchError("probing: no states of any layer were given")


def _users_of(pairs: Mapping[Place, Pair]) -> int:
    _places(pairs)
    counts = {len(pair.first) for pair in pairs.values()}
    if len(counts) != 1:
        raise PrefbenchError(f"probing: layers hold states of different numbers of users: {sorted(counts)}")
    return counts.pop()


def _both_answers(liked: Bools) -> None:
    if liked.all() or not liked.any():
        raise PrefbenchError("probing: a fold to fit on holds only one answer; give more questions or fewer folds")


def _fold_of(names: Names, folds: int, seed: int) -> Indices:
    """The fold (N,) of every row, rows of one name together."""
    result = np.empty(len(names), dtype=np.int64)
    dealt = GroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(dealt.split(names, groups=names)):
        result[test] = fold
    return result


def _cosines(first: Floats, second: Floats) -> Floats:
    one, other = (part / np.linalg.norm(part, axis=1, keepdims=True).clip(min=1e-12) for part in (first, second))
    result: Floats = one @ other.T
    return result


def _whitening(first: Floats, second: Floats) -> Floats:
    """The inverse square root (W, W) of the covariance within users, of rows that share a user."""
    within = LedoitWolf(assume_centered=True).fit((first - second) / np.sqrt(2)).covariance_
    values, vectors = np.linalg.eigh(within)
    whiten: Floats = vectors / np.sqrt(values.clip(min=1e-9))
    return whiten


def _strangers(pair: Pair, seed: int) -> Pair:
    """Every first state with the second of another user."""
    order = np.random.default_rng(seed).permutation(len(pair.first))
    partner = np.empty_like(order)
    partner[order] = np.roll(order, 1)
    return Pair(pair.first, pair.second[partner])


def _below(values: Floats, reference: Floats) -> Floats:
    """The share of the reference below each value, ties as half."""
    ordered = np.sort(reference)
    both = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    share: Floats = both / (2 * len(ordered))
    return share


def _verification_rows(similar: Floats) -> Floats:
    """Influence values (U,) of the pooled AUC, whose mean it is; a user acts as one's own pair and as a stranger."""
    own = np.diag(similar)
    strange = ~np.isnan(similar) & ~np.eye(len(similar), dtype=bool)
    above = np.zeros_like(similar)
    above[strange] = 1 - _below(similar[strange], own)
    as_stranger = (above.sum(0) + above.sum(1)) / (strange.sum(0) + strange.sum(1))
    rows: Floats = _below(own, similar[strange]) + 2 * (as_stranger - as_stranger.mean())
    return rows


def _recall(similar: Floats, gallery: int) -> Floats:
    """Chance (U,) that one's own is above gallery - 1 others, drawn without replacement from the row."""
    own = np.diag(similar)[:, None]
    others = (~np.isnan(similar)).sum(1) - 1
    below, drawn = (similar < own).sum(1), np.arange(gallery - 1)
    recall: Floats = ((below[:, None] - drawn).clip(min=0) / (others[:, None] - drawn)).prod(1)
    return recall


def _liking_rows(scores: Floats, questions: Questions) -> tuple[Floats, Floats]:
    """Influence values (N,) of each user's AUC and balanced accuracy, whose means they are; NaN without both answers.

    Score 0 is the threshold.
    """
    auc, accuracy = (np.full(len(scores), np.nan) for _ in range(2))
    for user in np.unique(questions.users):
        own = questions.users == user
        liked, disliked = np.flatnonzero(own & questions.liked), np.flatnonzero(own & ~questions.liked)
        if not len(liked) or not len(disliked):
            continue
        wins = _below(scores[liked], scores[disliked]), 1 - _below(scores[disliked], scores[liked])
        right = scores[liked] > 0, scores[disliked] < 0
        mean_wins, mean_right = wins[0].mean(), (right[0].mean() + right[1].mean()) / 2
        for rows, won, told in zip((liked, disliked), wins, right, strict=True):
            pull = own.sum() / len(rows)  # both answers weigh the same, so a row of the rarer one pulls harder
            auc[rows] = mean_wins + pull * (won - mean_wins)
            accuracy[rows] = mean_right + pull / 2 * (told - told.mean())
    return auc, accuracy


def _over_users(rows: Floats, replicates: int, seed: int) -> Estimate:
    names = np.arange(len(rows)).astype(str)
    return _bounded(Scores(rows, names, names), replicates, seed)


def _bounded(scores: Scores, replicates: int, seed: int) -> Estimate:
    """The mean over users; ends of intervals stay in 0 to 1, which a first-order value may leave."""
    found = crossed_bootstrap(scores, replicates=replicates, seed=seed)
    low, high = (None if end is None else min(1.0, max(0.0, end)) for end in (found.low, found.high))
    return replace(found, low=low, high=high)
