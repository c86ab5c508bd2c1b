"""Probes in worlds whose truth is planted, in worlds without any, and against independent implementations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from prefbench.api import Estimate, PrefbenchError
from prefbench.probing import (
    LIKING,
    LIKING_ACCURACY,
    VERIFICATION,
    Fold,
    Pair,
    Place,
    Questions,
    Row,
    choose_layers,
    control,
    control_labels,
    crossed_folds,
    liking,
    probe_liking,
    probe_users,
    retrieval,
    similarities,
    table,
    verification,
)
from prefbench.probing.figure import draw_layers

Floats = NDArray[np.float64]
USERS, PER_USER, PROMPTS, WIDTH, LAYERS = 40, 8, 20, 12, (0, 1, 2, 3, 4)
USER_LAYER, LIKING_LAYER = 2, 3
POOLINGS = ("last", "mean")
PLACES = [Place(layer, pooling) for layer in LAYERS for pooling in POOLINGS]
LAST = [place for place in PLACES if place.pooling == "last"]


def questions(rng: np.random.Generator) -> Questions:
    """Every user judges two images of each of some prompts, likes one and dislikes the other."""
    users = np.repeat(np.arange(USERS), 2 * PER_USER).astype(str)
    drawn = [rng.permutation(PROMPTS)[:PER_USER] for _ in range(USERS)]
    prompts = np.repeat(np.concatenate(drawn), 2).astype(str)
    images = np.array([f"{prompt}/{n}" for n, prompt in enumerate(prompts)])
    return Questions(np.tile([True, False], USERS * PER_USER), users, prompts, images)


def pairs(rng: np.random.Generator, *, planted: float) -> dict[Place, Pair]:
    """States of two histories a user; in one layer they share what is the user's, under last-token pooling more so."""
    taste = rng.standard_normal((USERS, WIDTH))
    found = {}
    for place in PLACES:
        share = planted * (place.layer == USER_LAYER) * (1 if place.pooling == "last" else 0.5)
        first, second = rng.standard_normal((2, USERS, WIDTH)) + share * taste
        found[place] = Pair(first, second)
    return found


def answers(rng: np.random.Generator, asked: Questions, *, planted: float) -> dict[Place, Floats]:
    """States of questions; in one layer whether the image is liked shifts them. All carry the prompt and the user."""
    prompt, user = rng.standard_normal((PROMPTS, WIDTH)), rng.standard_normal((USERS, WIDTH))
    context = prompt[asked.prompts.astype(int)] + user[asked.users.astype(int)]
    sign = np.where(asked.liked, 1.0, -1.0)[:, None]
    return {
        place: context
        + rng.standard_normal((len(asked), WIDTH))
        + planted * (place.layer == LIKING_LAYER) * sign * np.linspace(-1, 1, WIDTH)
        for place in LAST
    }


def best(rows: list[Row], task: str) -> Row:
    return max((row for row in rows if row.task == task), key=lambda row: row.value or 0.0)


def worth(found: Estimate) -> float:
    assert found.value is not None
    return found.value


def bounds(found: Estimate | Row) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def at_chance(found: Estimate | Row, chance: float = 0.5) -> bool:
    low, high = bounds(found)
    return low <= chance <= high


# ------------------------------------------------------------------------------------------- planted and empty worlds


def test_users_are_found_in_the_layer_they_were_planted_in() -> None:
    rows = probe_users(pairs(np.random.default_rng(0), planted=2.0), gallery=5)
    winner = best(rows, VERIFICATION)
    assert (winner.layer, winner.pooling) == (USER_LAYER, "last")
    assert bounds(winner)[0] > 0.9
    assert winner.selectivity is not None
    assert winner.selectivity > 0.3
    assert (best(rows, "retrieval@5").layer, best(rows, "retrieval@5").pooling) == (USER_LAYER, "last")
    assert all(bounds(row)[0] < 0.6 for row in rows if row.layer != USER_LAYER)


def test_liking_is_found_in_the_layer_it_was_planted_in_and_not_in_its_imitations() -> None:
    rng = np.random.default_rng(1)
    asked = questions(rng)
    states, other = answers(rng, asked, planted=0.8), answers(rng, asked, planted=0.0)
    floor = rng.standard_normal((len(asked), 6))
    rows = probe_liking(states, asked, floor=floor, mismatched=other)
    for task in (LIKING, LIKING_ACCURACY):
        winner = best(rows, task)
        assert winner.layer == LIKING_LAYER
        assert bounds(winner)[0] > 0.75
        assert winner.selectivity is not None
        assert winner.selectivity > 0.2
        assert winner.floor is not None
        assert winner.mismatched is not None
        assert max(abs(winner.floor - 0.5), abs(winner.mismatched - 0.5)) < 0.1
        assert all(at_chance(row) for row in rows if row.layer != LIKING_LAYER and row.task == task)


def test_a_world_without_taste_gives_chance_everywhere() -> None:
    rng = np.random.default_rng(3)
    asked = questions(rng)
    rows = probe_users(pairs(rng, planted=0.0)) + probe_liking(answers(rng, asked, planted=0.0), asked)
    tested = [row for row in rows if not row.task.startswith("retrieval")]
    missed = [row for row in tested if not at_chance(row)]
    assert len(tested) == len(PLACES) + 2 * len(LAST)
    assert len(missed) <= 2, "of 20 intervals of 95 % two may miss"
    assert 0.47 < np.mean([row.value for row in tested if row.task == LIKING]) < 0.53, "folds pull nothing off chance"


@pytest.mark.parametrize("comparison", ["cosine", "whitened"])
def test_intervals_of_verification_cover_the_truth(comparison: Any) -> None:
    """Against the mean of many worlds, at a middling AUC."""
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        first, second = rng.standard_normal((2, USERS, WIDTH)) + 0.6 * rng.standard_normal((USERS, WIDTH))
        found.append(verification(Pair(first, second), comparison=comparison, replicates=300))
    truth = np.mean([worth(estimate) for estimate in found])
    assert 0.6 < truth < 0.9
    covered = np.mean([bounds(e)[0] <= truth <= bounds(e)[1] for e in found])
    assert covered >= 0.88
    widths = np.mean([bounds(e)[1] - bounds(e)[0] for e in found])
    assert widths < 6 * np.std([worth(e) for e in found]), "not by being wide"


def test_labels_without_meaning_give_chance_where_liking_is_planted() -> None:
    rng = np.random.default_rng(4)
    asked = questions(rng)
    states = answers(rng, asked, planted=0.8)[Place(LIKING_LAYER, "last")]
    shuffled = replace(asked, liked=rng.permutation(asked.liked))
    assert at_chance(liking(states, shuffled).auc)
    assert not at_chance(liking(states, asked).auc)


def test_the_control_remembers_types_that_recur_and_no_others() -> None:
    """States that spell the prompt: a label by prompt is remembered, one by image cannot be."""
    rng = np.random.default_rng(5)
    asked = questions(rng)
    spelled = np.eye(PROMPTS)[asked.prompts.astype(int)]
    assert bounds(control(spelled, asked, asked.prompts).accuracy)[0] > 0.95
    assert at_chance(control(spelled, asked, asked.images).accuracy)


def test_control_labels_are_fixed_for_a_type_and_random_over_types() -> None:
    types = np.array([f"image {n}" for n in range(2000)])
    labels = control_labels(types, share=0.3)
    assert 0.26 < labels.mean() < 0.34
    assert np.array_equal(control_labels(types[::-1], share=0.3), labels[::-1])
    assert not np.array_equal(control_labels(types, share=0.3, seed=1), labels)


def test_whitening_finds_users_under_noise_that_hides_them_from_cosine() -> None:
    """Noise in a few directions, the same for all: it moves histories of one user apart."""
    gains = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        loud, users = 2 * rng.standard_normal((3, WIDTH)), rng.standard_normal((USERS, WIDTH))
        noise = [rng.standard_normal((USERS, 3)) @ loud + 0.7 * rng.standard_normal((USERS, WIDTH)) for _ in range(2)]
        pair = Pair(users + noise[0], users + noise[1])
        gains.append(worth(verification(pair, comparison="whitened")) - worth(verification(pair)))
    assert min(gains) > 0.05


# ------------------------------------------------------------------------------------------------- against references


@pytest.mark.parametrize("crowded", [False, True])
def test_verification_equals_scikit_learn_and_the_bootstrap_of_users(crowded: bool) -> None:
    """Also where users resemble each other in crowds: then who else was drawn moves the figure too."""
    rng = np.random.default_rng(7)
    centre = rng.standard_normal((6, 300))[np.repeat(np.arange(6), [20, 8, 4, 4, 2, 2])]
    apart = 0.7 * rng.standard_normal(centre.shape)
    taste = 0.7 * rng.standard_normal((USERS, WIDTH))
    pair = Pair(centre + apart, centre - apart) if crowded else Pair(*rng.standard_normal((2, USERS, WIDTH)) + taste)
    similar, same = similarities(pair), np.eye(USERS, dtype=bool)
    found = verification(pair)
    assert found.value == pytest.approx(roc_auc_score(same.ravel(), similar.ravel()))
    drawn = []
    for _ in range(300):
        users = rng.integers(USERS, size=USERS)
        kept = (users[:, None] != users[None]) | same  # a user drawn twice is no stranger
        drawn.append(roc_auc_score(same[kept], similar[np.ix_(users, users)][kept]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert bounds(found) == pytest.approx((low, high), abs=0.04)
    assert bounds(found)[1] - bounds(found)[0] == pytest.approx(high - low, rel=0.12)


def test_intervals_stay_between_nothing_and_all() -> None:
    rng = np.random.default_rng(2)
    taste = 1.2 * rng.standard_normal((10, WIDTH))
    found = verification(Pair(*rng.standard_normal((2, 10, WIDTH)) + taste))
    assert worth(found) < 1
    assert bounds(found)[1] == 1


def test_prompts_that_users_share_widen_the_interval() -> None:
    """What speaks for liking under some prompts speaks against it under others: few prompts, little certainty."""
    rng = np.random.default_rng(1)
    asked = questions(rng)
    turned = (rng.random(PROMPTS) < 0.4)[asked.prompts.astype(int)]
    states = (np.where(asked.liked ^ turned, 1.0, -1.0) + rng.standard_normal(len(asked)))[:, None]
    own = replace(asked, prompts=np.char.add(asked.users, asked.images))
    folds = crossed_folds(asked)
    shared, unshared = liking(states, asked, folds=folds), liking(states, own, folds=folds)
    for wide, narrow in ((shared.auc, unshared.auc), (shared.accuracy, unshared.accuracy)):
        assert wide.value == narrow.value
        assert bounds(wide)[1] - bounds(wide)[0] > 2 * (bounds(narrow)[1] - bounds(narrow)[0])


def test_whitening_learns_on_other_users_than_it_compares() -> None:
    """Whitened by their own differences, two histories of noise would look like one user's."""
    values = []
    for seed in range(20):
        noise = Pair(*np.random.default_rng(seed).standard_normal((2, USERS, 30)))
        values.append(worth(verification(noise, comparison="whitened", replicates=10)))
    assert 0.46 < np.mean(values) < 0.54


def test_retrieval_equals_drawn_galleries() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.standard_normal((2, USERS, WIDTH)) + 0.7 * rng.standard_normal((USERS, WIDTH))
    similar, hits = similarities(Pair(first, second)), []
    for _ in range(100):
        for direction in (similar, similar.T):
            for user in range(USERS):
                others = rng.choice(np.delete(np.arange(USERS), user), size=4, replace=False)
                hits.append(direction[user, user] > direction[user, others].max())
    assert retrieval(Pair(first, second), gallery=5).value == pytest.approx(np.mean(hits), abs=0.03)
    assert at_chance(retrieval(Pair(*rng.standard_normal((2, 200, WIDTH))), gallery=10), 0.1)


def test_liking_equals_scikit_learn_user_by_user() -> None:
    """With unequal answers, and with users who have only one: those count in no figure."""
    rng = np.random.default_rng(9)
    asked = questions(rng)
    liked = asked.liked & (rng.random(len(asked)) < 0.6)
    liked[asked.users == "0"] = True
    asked, states = replace(asked, liked=liked), answers(rng, asked, planted=0.3)[Place(LIKING_LAYER, "last")]
    rows = np.arange(len(asked))
    found = liking(states, asked, folds=[Fold(rows, rows)], strength=0.5)
    standard = (states - states.mean(0)) / states.std(0)
    fitted = LogisticRegression(C=0.5, class_weight="balanced").fit(standard, liked)
    own = [asked.users == user for user in np.unique(asked.users) if len(set(liked[asked.users == user])) == 2]
    scores, told = fitted.decision_function(standard), fitted.predict(standard)
    assert len(own) < USERS
    assert found.auc.n_users == found.accuracy.n_users == len(own)
    assert found.auc.value == pytest.approx(np.mean([roc_auc_score(liked[u], scores[u]) for u in own]), abs=1e-3)
    expected = np.mean([balanced_accuracy_score(liked[u], told[u]) for u in own])
    assert found.accuracy.value == pytest.approx(expected, abs=1e-3)


# ------------------------------------------------------------------------------------------------------ folds, choice


def test_folds_never_share_a_user_a_prompt_or_an_image() -> None:
    asked = questions(np.random.default_rng(10))
    folds = crossed_folds(asked, folds=4)
    for train, test in folds:
        for names in (asked.users, asked.prompts, asked.images):
            assert not set(names[train]) & set(names[test])
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(asked)))
    assert np.mean([len(fold.train) for fold in folds]) > 0.5 * len(asked)


def test_folds_by_user_alone_share_prompts() -> None:
    asked = questions(np.random.default_rng(11))
    folds = crossed_folds(asked, folds=4, by_prompt=False)
    assert len(folds) == 4
    for train, test in folds:
        assert not set(asked.users[train]) & set(asked.users[test])
        assert set(asked.prompts[train]) >= set(asked.prompts[test])


def test_a_probe_that_would_cheat_by_user_or_prompt_gains_nothing() -> None:
    """Users with tastes for prompts, states that spell both: remembered within folds that leak, chance in ours."""
    rng = np.random.default_rng(12)
    asked = questions(rng)
    taste = {name: rng.random() < 0.5 for name in set(asked.prompts)}
    asked = replace(asked, liked=np.array([taste[prompt] for prompt in asked.prompts]))
    spelled = np.eye(PROMPTS)[asked.prompts.astype(int)]
    leaking = liking(spelled, asked, folds=crossed_folds(asked, by_prompt=False))
    assert leaking.auc.value == pytest.approx(1.0)
    assert worth(liking(spelled, asked).auc) < 0.6


def test_the_choice_finds_the_planted_layer_and_its_pooling() -> None:
    choice = choose_layers(pairs(np.random.default_rng(13), planted=2.0), 1)
    assert (choice.layers, choice.pooling) == ((USER_LAYER,), "last")
    assert choice.halves == ((Place(USER_LAYER, "last"),),) * 2
    assert bounds(choice.estimate)[0] > 0.85
    assert choice.estimate.n_users == USERS


def test_the_choice_reports_no_luck_of_the_draw() -> None:
    """Of many layers of noise the best looks good on the users it was chosen on, and not on others."""
    nested, naive = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        noise = {Place(layer, "last"): Pair(*rng.standard_normal((2, USERS, WIDTH))) for layer in range(15)}
        choice = choose_layers(noise, 1)
        nested.append(worth(choice.estimate))
        naive.append(worth(verification(noise[Place(choice.layers[0], "last")], replicates=10)))
    assert np.mean(naive) > 0.56
    assert 0.45 < np.mean(nested) < 0.54


def test_candidates_limit_the_choice() -> None:
    choice = choose_layers(pairs(np.random.default_rng(14), planted=2.0), 2, candidates=(0, 1, 3))
    assert set(choice.layers) <= {0, 1, 3}
    assert len(choice.layers) == 2


# ---------------------------------------------------------------------------------------------------- table and figure


def test_table_and_figure(tmp_path: Path) -> None:
    rng = np.random.default_rng(15)
    asked = questions(rng)
    floor = Pair(*rng.standard_normal((2, USERS, 4)))
    rows = probe_users(pairs(rng, planted=1.0), floor=floor) + probe_liking(answers(rng, asked, planted=0.5), asked)
    frame = table(rows)
    named = ["layer", "pooling", "task", "value", "low", "high", "n", "floor", "mismatched", "control", "selectivity"]
    assert list(frame.columns) == named
    assert len(frame) == 2 * len(PLACES) + 2 * len(LAST)
    assert (frame.selectivity == frame.value - frame.control).all()
    assert frame.mismatched.isna().all()
    assert frame.floor.isna().sum() == 2 * len(LAST), "only users were given a floor"
    one, two = (draw_layers(rows, tmp_path / name, chosen={VERIFICATION: [USER_LAYER]}) for name in ("1.png", "2.png"))
    assert one.read_bytes() == two.read_bytes()
    with Image.open(one) as image:
        assert image.width == 1350
        blue = (np.abs(np.asarray(image.convert("RGB")).astype(int) - (0x0B, 0x6F, 0xAE)).sum(-1) < 20).sum()
    assert blue > 1000, "the line of a pooling is drawn"
    assert draw_layers(rows, tmp_path / "plain.png").read_bytes() != one.read_bytes(), "the choice is shaded"
    with pytest.raises(PrefbenchError, match="no rows of the task 'verification'"):
        draw_layers([row for row in rows if row.task == LIKING_ACCURACY], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


# ----------------------------------------------------------------------------------------------------------- bad input


def test_bad_questions_are_one_clear_line() -> None:
    asked = questions(np.random.default_rng(16))
    everything = np.ones(len(asked), dtype=bool)
    changes: list[tuple[dict[str, Any], str]] = [
        ({"liked": everything}, "0 of the users have liked and disliked images"),
        ({"users": np.full(len(asked), "ann")}, "1 of the users have liked and disliked"),
        ({"users": asked.users[:-1]}, "differ in length"),
        ({"liked": np.where(asked.liked, 1.0, np.nan)}, "liked must be of dtype bool, not float64"),
        ({"images": np.full(len(asked), "one")}, "under two prompts"),
    ]
    for change, message in changes:
        with pytest.raises(PrefbenchError, match=message) as caught:
            replace(asked, **change)
        assert "\n" not in str(caught.value)


def holed(matrix: Floats) -> Floats:
    result = matrix.copy()
    result[3, 2] = np.nan
    return result


STATES = np.random.default_rng(17).standard_normal((2 * USERS * PER_USER, WIDTH))
ASKED = questions(np.random.default_rng(17))
PAIR = Pair(STATES[:USERS], STATES[USERS : 2 * USERS])
PLACE = Place(0, "last")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: liking(holed(STATES), ASKED), "1 of 640 states hold NaN"),
        (lambda: liking(STATES[:-1], ASKED), "639 states for 640 questions"),
        (lambda: liking(STATES[:, 0], ASKED), "must be a matrix"),
        (lambda: crossed_folds(ASKED, folds=50), "50 folds need as many users, got 40"),
        (lambda: crossed_folds(ASKED, folds=30), "30 folds need as many prompts, got 20"),
        (lambda: control(STATES, ASKED, np.full(len(ASKED), "one")), "0 of the users have liked and disliked"),
        (lambda: probe_liking({}, ASKED), "no states of any layer"),
        (lambda: probe_liking({PLACE: STATES}, ASKED, mismatched={}), "lack layer 0, pooling last"),
        (lambda: probe_liking({PLACE: STATES}, ASKED, types=ASKED.images[:3]), "3 types for 640 questions"),
        (lambda: verification(Pair(holed(PAIR.first), PAIR.second)), "1 of 40 states hold NaN"),
        (lambda: verification(Pair(PAIR.first[:1], PAIR.second[:1])), "needs at least 2, got 1"),
        (lambda: verification(Pair(PAIR.first[:9], PAIR.second[:9]), comparison="whitened"), "at least 10, got 9"),
        (lambda: verification(Pair(PAIR.first, PAIR.second[1:])), "differ in shape"),
        (lambda: verification(PAIR, comparison="cosin"), "no comparison 'cosin'; there are cosine, whitened"),  # type: ignore[arg-type]
        (lambda: retrieval(PAIR, gallery=41), "2 to 40 users here, not 41"),
        (lambda: retrieval(PAIR, gallery=1), "2 to 40 users here, not 1"),
        (lambda: probe_users({PLACE: PAIR}, floor=Pair(STATES[:3], STATES[:3])), "the floor has 3 users"),
        (lambda: choose_layers({PLACE: PAIR}, 2), "2 layers cannot be chosen from"),
        (lambda: choose_layers({PLACE: PAIR}, 1, candidates=[7]), "no states of layer 7"),
        (lambda: choose_layers({PLACE: Pair(STATES[:3], STATES[3:6])}, 1), "at least 4, got 3"),
        (
            lambda: choose_layers({PLACE: PAIR, Place(1, "last"): Pair(STATES[:9], STATES[:9])}, 1),
            "different numbers of users",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(PrefbenchError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
