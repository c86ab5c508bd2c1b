"""The metric `probing`: chance where there is no taste, more where there is, a floor where prompts give users away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from prefbench.api import (
    Estimate,
    Evidence,
    Features,
    History,
    Judgment,
    NotMeasurableError,
    Picture,
    PrefbenchError,
    ProbeItem,
    Scores,
    UserStates,
)
from prefbench.metrics.probing import Probing
from prefbench.probing import Pair, Questions, control_labels
from prefbench.probing.interviews import ASKED, HALF, ask, interviews
from prefbench.probing.nested import nested_liking, nested_users, one_way_folds
from prefbench.stats.bootstrap import crossed_bootstrap

Floats = NDArray[np.float64]
WIDTH, PROMPTS = 6, 12
CHANCE = {"probing/recall@10": 0.1, "probing/selectivity": 0.0}
"""Of all other columns it is 0.5."""


class World:
    """Users, what each is shown and asked, and the features of every picture: random, and shifted by its prompt."""

    def __init__(self, seed: int, *, users: int = 40, own_prompts: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.users = [f"user-{i:02d}" for i in range(users)]
        self.features: dict[str, Floats] = {}
        self.about = 2.0 * self.rng.standard_normal((users if own_prompts else PROMPTS, WIDTH))
        self.asked = {user: self._judgments(i, own_prompts) for i, user in enumerate(self.users)}
        self.shown = {
            user: (self._pictures(i, own_prompts), self._pictures(i, own_prompts)) for i, user in enumerate(self.users)
        }

    def _picture(self, user: int, own_prompts: bool) -> tuple[Picture, int]:
        prompt = user if own_prompts else int(self.rng.integers(PROMPTS))
        picture = Picture(f"picture {len(self.features)}")
        self.features[picture.digest] = self.about[prompt] * own_prompts + self.rng.standard_normal(WIDTH)
        return picture, prompt

    def _judgments(self, user: int, own_prompts: bool) -> tuple[Judgment, ...]:
        verdicts = self.rng.permutation([True, False] * ASKED)
        drawn = [(*self._picture(user, own_prompts), bool(liked)) for liked in verdicts]
        # Asked pictures share prompts even where halves do not, or no fold could keep them apart.
        return tuple(
            Judgment(picture, f"prompt {turn if own_prompts else prompt}", liked)
            for turn, (picture, prompt, liked) in enumerate(drawn)
        )

    def _pictures(self, user: int, own_prompts: bool) -> tuple[Picture, ...]:
        return tuple(self._picture(user, own_prompts)[0] for _ in range(2 * HALF))

    def features_of(self, pictures: Sequence[Picture]) -> Features:
        return np.stack([self.features[picture.digest] for picture in pictures])

    def seen(self, *, taste: float = 0.0, identity: float = 0.0) -> dict[str, UserStates]:
        """What a method makes of it: a layer from the pictures alone, and one that knows what is planted."""
        found = {}
        turned = [self.rng.standard_normal((WIDTH, WIDTH)) for _ in range(2)]
        direction = np.linspace(-1, 1, WIDTH)
        for user in self.users:
            halves = np.stack([self.features_of(half).mean(0) for half in self.shown[user]])
            looked = self.features_of([judgment.picture for judgment in self.asked[user]])
            verdicts = np.array([[1.0 if j.liked else -1.0] for j in self.asked[user]])
            both = {"pictures": (halves @ turned[0], looked @ turned[0])}
            who = identity * self.rng.standard_normal(WIDTH)
            both["planted"] = (halves + who, looked @ turned[1] / 3 + taste * verdicts * direction)
            found[user] = UserStates(
                user,
                self.shown[user],
                {layer: states[0].astype(np.float32) for layer, states in both.items()},
                self.asked[user],
                {layer: states[1].astype(np.float32) for layer, states in both.items()},
            )
        return found

    def columns(self, known: Mapping[str, UserStates]) -> dict[str, Floats]:
        evidence = Evidence(None, {}, judged_features=self.features_of, representations=known)
        found = Probing().score(self.users, evidence)
        return {name: np.array([np.nan if v is None else v for v in values]) for name, values in found.items()}

    def estimates(self, known: Mapping[str, UserStates]) -> dict[str, Estimate]:
        """As a summary makes them: one row a user."""
        users, none = np.array(self.users), np.full(len(self.users), "")
        found = {name: Scores(values, users, none) for name, values in self.columns(known).items()}
        return {name: crossed_bootstrap(scores, replicates=1000) for name, scores in found.items()}


def worth(found: Estimate) -> float:
    assert found.value is not None
    return found.value


def covers(found: Estimate, value: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= value <= found.high


# --------------------------------------------------------------------------------------------------------- worlds


def test_where_there_is_no_taste_intervals_hold_chance() -> None:
    """Of 20 worlds at least 18, in every column; layers are chosen, so luck would show."""
    found = [world.estimates(world.seen()) for world in map(World, range(20))]
    for name in Probing().columns():
        chance = CHANCE.get(name, 0.5)
        assert sum(covers(estimates[name], chance) for estimates in found) >= 18, name
        assert abs(np.mean([worth(estimates[name]) for estimates in found]) - chance) < 0.03, name


def test_planted_taste_and_identity_are_found() -> None:
    world = World(1)
    found = world.estimates(world.seen(taste=1.0, identity=1.0))
    assert worth(found["probing"]) > 0.85
    assert worth(found["probing/liking-accuracy"]) > 0.75
    assert worth(found["probing/selectivity"]) > 0.2
    assert worth(found["probing/verification"]) > 0.85
    assert worth(found["probing/recall@10"]) > 0.4
    assert max(worth(found["probing/content-floor"]), worth(found["probing/verification-floor"])) < 0.62


def test_where_every_user_has_prompts_of_their_own_the_floor_rises_with_verification() -> None:
    world = World(2, own_prompts=True)
    found = world.estimates(world.seen())
    assert worth(found["probing/verification"]) > 0.9
    assert worth(found["probing/verification-floor"]) > 0.9
    assert worth(found["probing"]) < 0.62, "that prompts tell users apart says nothing of what they like"


def test_users_without_states_have_no_value_and_the_others_keep_theirs() -> None:
    world = World(3)
    known = world.seen(taste=1.0)
    first, second = world.users[:2]
    del known[first]
    known[second] = UserStates(second, asked=known[second].asked, answers=known[second].answers)
    found = world.columns(known)
    assert all(np.isnan(values[0]) for values in found.values())
    assert not np.isnan(found["probing"][1:]).any()
    assert np.isnan(found["probing/verification"][:2]).all()
    assert not np.isnan(found["probing/verification"][2:]).any()


def test_too_little_is_refused_with_the_reason() -> None:
    world = World(4, users=12)
    known = world.seen()
    only_asked = world.columns(known)
    assert not np.isnan(only_asked["probing"]).any()
    assert np.isnan(only_asked["probing/verification"]).all(), "12 users fill no two galleries of 10"
    few = {user: known[user] for user in world.users[:3]}
    with pytest.raises(NotMeasurableError, match=r"probing: .*; telling users apart in a gallery of 10 needs 20 users"):
        world.columns(few)
    with pytest.raises(NotMeasurableError, match="no user has states of liked and disliked pictures in one layer"):
        world.columns({})


# ------------------------------------------------------------------------------------- against other implementations


def questions(rng: np.random.Generator, users: int = 15) -> Questions:
    names = np.repeat([f"u{i:02d}" for i in range(users)], 2 * ASKED)
    prompts = np.array([f"p{i}" for i in rng.integers(PROMPTS, size=len(names))])
    return Questions(np.tile([True, False], users * ASKED), names, prompts, np.arange(len(names)).astype(str))


def test_of_two_users_at_most_one_leans_on_the_other() -> None:
    asked = questions(np.random.default_rng(0))
    folds = one_way_folds(asked)
    leans = {(asked.users[j], asked.users[i]) for fold in folds for i in fold.test for j in fold.train}
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(len(asked)))
    assert not any((b, a) in leans for a, b in leans)
    assert len(leans) > 0.7 * len(list(combinations(set(asked.users), 2))), "and most do, one way"
    for train, test in folds:
        assert not set(asked.users[train]) & set(asked.users[test])
        assert not set(asked.prompts[train]) & set(asked.prompts[test])
    apart = one_way_folds(asked, by_prompt=False)
    assert len(apart) == 5
    assert all(not set(asked.users[train]) & set(asked.users[test]) for train, test in apart)


def test_liking_equals_scikit_learn_user_by_user() -> None:
    rng = np.random.default_rng(1)
    asked = questions(rng)
    states = rng.standard_normal((len(asked), WIDTH)) + 0.5 * asked.liked[:, None]
    found = nested_liking({"only": states}, asked)
    labels = control_labels(asked.prompts, share=0.5)
    for values, liked, by_prompt in ((found.auc, asked.liked, True), (found.control, labels, False)):
        scores = np.full(len(asked), np.nan)
        for train, test in one_way_folds(
            Questions(liked, asked.users, asked.prompts, asked.images), by_prompt=by_prompt
        ):
            mean, scale = states[train].mean(0), states[train].std(0)
            probe = LogisticRegression(C=0.01, class_weight="balanced").fit(
                (states[train] - mean) / scale, liked[train]
            )
            scores[test] = probe.decision_function((states[test] - mean) / scale)
        for user, value in zip(np.unique(asked.users), values, strict=True):
            own = asked.users == user
            if by_prompt:
                assert value == pytest.approx(roc_auc_score(liked[own], scores[own]))
            elif len(set(liked[own])) == 2:
                assert value == pytest.approx(balanced_accuracy_score(liked[own], scores[own] > 0))
            else:
                assert np.isnan(value)


def test_telling_users_apart_equals_whitening_and_galleries_by_hand() -> None:
    rng, users, gallery = np.random.default_rng(2), 24, 4
    who = rng.standard_normal((users, WIDTH))
    first, second = who + rng.standard_normal((2, users, WIDTH))
    found = nested_users({"only": Pair(first, second)}, gallery=gallery)
    halves = np.array_split(np.random.default_rng(0).permutation(users), 2)
    for own, other in (halves, halves[::-1]):
        own, other = np.sort(own), np.sort(other)
        learnt = np.concatenate([first[other], second[other]])
        one, two, at, to = (
            (side - learnt.mean(0)) / learnt.std(0) for side in (first[other], second[other], first[own], second[own])
        )
        values, vectors = np.linalg.eigh(LedoitWolf(assume_centered=True).fit((one - two) / np.sqrt(2)).covariance_)
        at, to = (side @ vectors / np.sqrt(values) for side in (at, to))
        cosine = np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in to] for a in at])
        auc = roc_auc_score(np.eye(len(own)).ravel(), cosine.ravel())
        assert found.verification[own].mean() == pytest.approx(auc)
        for row, user in enumerate(own):
            hits = [
                all(table[row, row] > table[row, list(others)])
                for table in (cosine, cosine.T)
                for others in combinations(np.delete(np.arange(len(own)), row), gallery - 1)
            ]
            assert found.recall[user] == pytest.approx(np.mean(hits))


def test_each_half_is_measured_by_what_the_other_half_chose() -> None:
    """Where a layer knows the users of one half alone, neither half gets the one that flatters it."""
    rng, users = np.random.default_rng(3), 40
    one, other = np.array_split(np.random.default_rng(0).permutation(users), 2)
    who, pairs = 3 * rng.standard_normal((users, WIDTH)), {}
    for layer, half in (("of one", one), ("of the other", other)):
        known = np.zeros((users, 1))
        known[half] = 1
        pairs[layer] = Pair(*(known * who + rng.standard_normal((2, users, WIDTH))))
    found = nested_users(pairs)
    assert found.chosen == ("of one", "of the other")
    assert abs(found.verification.mean() - 0.5) < 0.1
    whole = {"both": Pair(*(who + rng.standard_normal((2, users, WIDTH))))}
    assert nested_users(whole).verification.mean() > 0.9


def test_a_half_that_knows_what_it_likes_does_not_choose_for_itself() -> None:
    rng = np.random.default_rng(4)
    asked = questions(rng, users=40)
    one, _ = np.array_split(np.random.default_rng(0).permutation(40), 2)
    mine = np.isin(asked.users, np.unique(asked.users)[one])
    sign = np.where(asked.liked, 1.0, -1.0)[:, None] * np.linspace(-1, 1, WIDTH)
    noise = rng.standard_normal((2, len(asked), WIDTH))
    states = {"of one": noise[0] + sign * mine[:, None], "of the other": noise[1] + sign * ~mine[:, None]}
    found = nested_liking(states, asked)
    assert found.chosen == ("of one", "of the other")
    assert abs(np.mean(found.auc) - 0.5) < 0.12


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: one_way_folds(questions(np.random.default_rng(0)), users=4), "take an odd number"),
        (lambda: one_way_folds(questions(np.random.default_rng(0), users=4)), "5 folds need as many users, got 4"),
        (lambda: one_way_folds(questions(np.random.default_rng(0)), prompts=99), "99 folds need as many prompts"),
        (lambda: nested_users({"a": Pair(np.zeros((19, 2)), np.zeros((19, 2)))}), "needs 20 users, got 19"),
        (lambda: nested_users({"a": Pair(np.full((20, 2), np.nan), np.zeros((20, 2)))}), "NaN or infinite"),
    ],
)
def test_bad_input_is_one_clear_line(call: Callable[[], object], said: str) -> None:
    with pytest.raises(PrefbenchError, match=said):
        call()


# ----------------------------------------------------------------------------------------------------- interviews


def history(user: str, likes: int, dislikes: int, prompts: Sequence[str] = ("a", "b", "c")) -> History:
    sides = [
        tuple(Judgment(Picture(f"{user} {liked} {i}"), prompts[i % len(prompts)], liked) for i in range(n))
        for liked, n in ((True, likes), (False, dislikes))
    ]
    return History(user, sides[0], sides[1])


def asked_about(*histories: History) -> list[tuple[int, int] | None]:
    """Likes and dislikes of the halves of each user; None where there are none."""
    found = interviews({h.user: h for h in histories}, {h.user: history(h.user, 4, 4) for h in histories})
    sizes: list[tuple[int, int] | None] = []
    for interview in found:
        if interview.halves is None:
            sizes.append(None)
            continue
        first, second = interview.halves
        assert (len(first.liked), len(first.disliked)) == (len(second.liked), len(second.disliked))
        digests = [{j.picture.digest for j in (*half.liked, *half.disliked)} for half in interview.halves]
        assert not digests[0] & digests[1]
        whole = interview.history
        assert digests[0] | digests[1] <= {j.picture.digest for j in (*whole.liked, *whole.disliked)}
        sizes.append((len(first.liked), len(first.disliked)))
    return sizes


def test_halves_are_disjoint_and_of_one_size_for_all_users() -> None:
    full, short, sparse, few = history("ann", 8, 8), history("bob", 5, 16), history("cem", 2, 0), history("dot", 1, 1)
    assert asked_about(full, sparse) == [(4, 4), None]
    assert asked_about(full, short) == [(3, 3), None], "the median user fills halves of 3 and 3"
    assert asked_about(full, short, history("eve", 4, 4)) == [(2, 2), (2, 2), (2, 2)]
    assert asked_about(few, sparse) == [None, None]
    assert asked_about(history("ann", 40, 40)) == [(HALF, HALF)]
    with_dislikes = asked_about(full, history("bob", 8, 8), sparse, sparse)
    assert with_dislikes == [(4, 4), (4, 4), None], "users with likes alone do not shrink the others' halves"


def test_prompts_with_both_verdicts_are_asked_about_first() -> None:
    liked = tuple(Judgment(Picture(f"l{i}"), prompt, True) for i, prompt in enumerate("aabcdx"))
    disliked = tuple(Judgment(Picture(f"d{i}"), prompt, False) for i, prompt in enumerate("yaabc"))
    found = ask(History("ann", liked, disliked), 4)
    assert [j.prompt for j in found] == ["a", "b", "c", "a", "a", "b", "c", "a"]
    assert [j.liked for j in found] == [True] * 4 + [False] * 4
    assert len({j.picture.digest for j in found}) == 8
    apart = ask(History("ann", liked[3:], disliked[:3]), 3)
    assert [j.picture.digest for j in apart] == ["l3", "l4", "l5", "d0", "d1", "d2"]
    assert ask(history("ann", 9, 3), 4) == ()


def test_an_interview_tells_no_verdict_and_is_known_by_what_it_asks() -> None:
    ann, unseen = history("ann", 8, 8), history("ann", 5, 5)
    (first,) = interviews({"ann": ann}, {"ann": unseen})
    assert [type(question) for question in first.questions] == [ProbeItem] * 2 * ASKED
    assert not any(hasattr(question, "liked") for question in first.questions)
    turned = History("ann", unseen.disliked, unseen.liked)
    (same,), (other,), (less,) = (
        interviews({"ann": ann}, {"ann": unseen}),
        interviews({"ann": ann}, {"ann": turned}),
        interviews({"ann": history("ann", 8, 7)}, {"ann": unseen}),
    )
    assert first.key == same.key
    assert len({first.key, other.key, less.key}) == 3
