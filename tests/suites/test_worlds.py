"""The dials of picturebook: what the common taste, defects, forms of judgments and further kinds of user change."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from prefbench.api import FloatArray, PrefbenchError
from prefbench.suites.picturebook.data.drawn import drawn_pictures
from prefbench.suites.picturebook.reader.reader import load_reader
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.users.choices import RATINGS, rate, rating_probabilities
from prefbench.suites.picturebook.users.population import MAX_HISTORY, SimulatedUser, population
from prefbench.suites.picturebook.users.quality import expected_severity, sample_defects, severity
from prefbench.suites.picturebook.users.sampling import SUBJECTS, sample_spec
from prefbench.suites.picturebook.users.taste import Taste, common_taste
from prefbench.suites.picturebook.users.worlds import FIRST, SECOND
from prefbench.suites.picturebook.world.axes import AXES, CONTENTS, STYLE, STYLE_NAMES, sample_styles, training_contents
from prefbench.suites.picturebook.world.defects import DEFECTS

USERS = population("val", SECOND)


def of_kind(kind: str) -> list[SimulatedUser]:
    return [user for user in USERS if user.kind == kind]


def prior_mean(taste: Taste) -> float:
    return float(taste.of_styles(sample_styles(np.random.default_rng(0), 40_000)).mean())


# --------------------------------------------------------------------------------------------- common taste


@pytest.mark.parametrize("share", [0.12, 0.5, 1.0])
def test_a_taste_with_a_common_part_is_the_mixture_of_both_normalised(share: float) -> None:
    spec = sample_spec(np.random.default_rng(1), "interacting")
    styles = sample_styles(np.random.default_rng(2), 300, uniform=STYLE_NAMES)
    own, both = Taste.of(spec), Taste.of(spec).with_common(share)
    mixed = (1 - share) * own.of_styles(styles) + share * common_taste().of_styles(styles)
    utilities = both.of_styles(styles)
    scale = np.ptp(utilities) / np.ptp(mixed)
    np.testing.assert_allclose(utilities, scale * mixed, atol=1e-9)
    best = np.array([[both.best().get(name, 0) for name in STYLE_NAMES]])
    assert both.of_styles(best)[0] == pytest.approx(1)
    assert prior_mean(both) == pytest.approx(0, abs=0.02)


def test_readings_marginals_and_groups_hold_the_common_part() -> None:
    taste = USERS[0].taste
    styles = sample_styles(np.random.default_rng(3), 100, uniform=STYLE_NAMES)
    certain = {axis.name: np.eye(len(axis))[styles[:, a]] for a, axis in enumerate(STYLE)}
    np.testing.assert_allclose(taste.of_probabilities(certain), taste.of_styles(styles), atol=1e-9)
    assert taste.counted == STYLE_NAMES
    drawn = sample_styles(np.random.default_rng(4), 40_000)
    for column, name in enumerate(STYLE_NAMES):
        means: FloatArray = np.array(
            [
                taste.of_styles(np.where(np.arange(9) == column, value, drawn)).mean()
                for value in range(len(STYLE[column]))
            ]
        )
        np.testing.assert_allclose(taste.marginal(name), means, atol=0.02)
    assert taste.group("silent").counted == ("temperature", "vignette", "tilt")


def test_without_a_common_share_nothing_is_added() -> None:
    assert population("val")[0].taste.common == ()
    assert population("val", replace(SECOND, crowd=0.0))[0].taste.common == ()


def test_users_agree_more_where_the_common_share_is_larger() -> None:
    styles = sample_styles(np.random.default_rng(5), 400, uniform=STYLE_NAMES)

    def agreement(crowd: float) -> float:
        users = population("val", replace(SECOND, crowd=crowd))[:30]
        utilities = np.array([user.taste.of_styles(styles) for user in users])
        return float(np.corrcoef(utilities)[np.triu_indices(30, 1)].mean())

    none, default, high = (agreement(crowd) for crowd in (0.0, SECOND.crowd, 0.5))
    assert abs(none) < 0.1
    assert none < default < high


def test_mainstream_users_have_hardly_an_own_taste() -> None:
    styles = sample_styles(np.random.default_rng(6), 400, uniform=STYLE_NAMES)
    common = common_taste().of_styles(styles)

    def agreement(kind: str) -> float:
        return float(np.mean([np.corrcoef(u.taste.of_styles(styles), common)[0, 1] for u in of_kind(kind)]))

    assert agreement("mainstream") > 0.7 > agreement("consistent") > 0


# -------------------------------------------------------------------------------------------------- quality


def test_severity_adds_up_and_follows_probabilities() -> None:
    levels = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 2, 0, 0], [0, 1, 0, 2]])
    assert severity(levels).tolist() == pytest.approx([0, 0.4, 1, 1.4])
    certain = {axis.name: np.eye(3)[levels[:, a]] for a, axis in enumerate(DEFECTS)}
    np.testing.assert_allclose(expected_severity(certain), severity(levels))
    assert expected_severity({}) == 0


def test_at_most_one_defect_in_the_stated_share_of_pictures() -> None:
    levels = sample_defects(np.random.default_rng(7), 5000, 0.2)
    assert (levels > 0).any(axis=1).mean() == pytest.approx(0.2, abs=0.02)
    assert (levels > 0).sum(axis=1).max() == 1
    assert {int(level) for level in levels.ravel()} == {0, 1, 2}


@pytest.mark.slow
def test_defects_are_sampled_as_by_a_choice_with_shares() -> None:
    """Also what is left of the stream: all that users judge follows from it."""
    fast, plain = np.random.default_rng(9), np.random.default_rng(9)
    for _ in range(300):
        expected = np.zeros((4, len(DEFECTS)), dtype=np.int64)
        spoilt = np.flatnonzero(plain.random(4) < 0.3)
        kinds = plain.integers(len(DEFECTS), size=len(spoilt))
        expected[spoilt, kinds] = plain.choice((1, 2), size=len(spoilt), p=(0.6, 0.4))
        assert (sample_defects(fast, 4, 0.3) == expected).all()
    assert fast.bit_generator.state == plain.bit_generator.state


def test_disliked_pictures_are_spoilt_more_often_than_liked_ones() -> None:
    histories = [user.judged("scorer") for user in USERS]
    liked = np.mean([bool(entry.defects) for history in histories for entry in history.liked])
    disliked = np.mean([bool(entry.defects) for history in histories for entry in history.disliked])
    assert liked < 0.2 < disliked


def test_a_spoilt_picture_is_what_the_user_saw() -> None:
    entries = [e for user in USERS[:20] for e in user.judged("scorer").disliked if e.defects]
    assert entries
    for entry in entries[:5]:
        assert (entry.pixels != replace(entry, defects=()).pixels).any()
    assert {user.care for user in USERS} != {USERS[0].care}
    assert all(user.care == 0 for user in population("val"))


def test_nobody_judges_a_drawn_picture_twice() -> None:
    """It is rendered the second time, so that none lies on both sides of a history."""
    repeats = 0
    for user in population("test", SECOND):
        judged = user.judged("scorer")
        places = [entry.drawn.place for entry in (*judged.liked, *judged.disliked) if entry.drawn is not None]
        assert len(places) == len(set(places))
        repeats += sum(
            entry != again for entry, again in zip(user._judgments("scorer").liked, judged.liked, strict=True)
        )
    assert repeats > 0


def test_drawn_pictures_are_judged_by_what_they_show() -> None:
    entries = [e for user in USERS for e in user.judged("scorer").liked + user.judged("scorer").disliked]
    drawn = [entry for entry in entries if entry.drawn is not None]
    assert len(drawn) / len(entries) == pytest.approx(SECOND.drawn, abs=0.03)
    for entry in drawn[:10]:
        assert entry.drawn is not None
        assert entry.drawn.scene == entry.scene
        assert entry.defects or (entry.pixels == entry.drawn.pixels).all()
    rendered = population("val", replace(SECOND, drawn=0.0))[0].judged("scorer").liked
    assert all(entry.drawn is None for entry in rendered)


@pytest.mark.slow
def test_the_reader_sees_in_drawn_pictures_what_they_are_said_to_show() -> None:
    """It is said by the reader of the first world; those that ship see most often another tilt."""
    pictures = [picture for pictures in drawn_pictures().values() for picture in pictures]
    assert len(pictures) > 600
    assert {picture.scene.content for picture in pictures} == set(training_contents())
    read = load_reader().read(np.stack([picture.pixels for picture in pictures]))
    shown = np.array([picture.scene.indices for picture in pictures])
    same = {axis.name: float((read[axis.name].argmax(1) == shown[:, a]).mean()) for a, axis in enumerate(AXES)}
    assert same.pop("tilt") > 0.8
    assert min(same.values()) > 0.95


# ---------------------------------------------------------------------------------------------------- forms


def test_ratings_rise_with_utility_and_sum_to_one() -> None:
    probabilities = rating_probabilities(np.array([-0.5, 0.0, 0.6]), 8.0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert probabilities.argmax(axis=1).tolist() == [0, 2, 4]
    rng = np.random.default_rng(8)
    drawn = Counter(rate(0.1, 8.0, rng) for _ in range(3000))
    expected = rating_probabilities(np.array([0.1]), 8.0)[0]
    np.testing.assert_allclose([drawn[r] / 3000 for r in RATINGS], expected, atol=0.03)


@pytest.mark.slow
def test_forms_stand_in_their_stated_shares_and_show_in_the_history() -> None:
    users = [user for user in population("train", SECOND)[:400] if user.kind != "sparse"]
    shares = Counter(user.form for user in users)
    for form, share in SECOND.forms:
        assert shares[form] / len(users) == pytest.approx(share, abs=0.07)
    for user in users[:60]:
        judged = user.judged("method")
        rated = [entry.rating for entry in (*judged.liked, *judged.disliked)]
        assert len(judged.liked) == MAX_HISTORY
        assert len(judged.disliked) == (0 if user.form == "likes" else MAX_HISTORY)
        assert all(r is not None for r in rated) if user.form == "ratings" else not any(rated)
        assert all(entry.rating in (4, 5) for entry in judged.liked) or user.form != "ratings"
        assert len(user.judged("scorer").disliked) == 20


def test_ratings_reach_methods_and_only_pairs_have_a_pair() -> None:
    suite = Picturebook(world="2")
    user = next(user for user in USERS if user.form == "ratings")
    history = suite.history(user.id)
    assert {j.rating for j in history.liked} <= {4.0, 5.0}
    assert {j.rating for j in history.disliked} <= {1.0, 2.0}
    assert {j.pair for j in (*history.liked, *history.disliked)} == {None}


@pytest.mark.slow
def test_what_methods_learn_from_has_pairs_ratings_and_sources() -> None:
    people = Picturebook(world="2").train_users()[:60]
    of_kind = {user.id: user for user in population("train", SECOND)}
    for person in people:
        history, user = person.history, of_kind[person.history.user]
        liked, disliked = ([j.pair for j in side] for side in (history.liked, history.disliked))
        common = {pair for pair in liked if pair is not None} & set(disliked)
        assert len(common) == (36 if user.form == "pairs" else 20)
        assert sum(j.rating is not None for j in history.liked) == (MAX_HISTORY if user.form == "ratings" else 0)
    assert {j.source for person in people for j in person.history.liked} == {"picturebook renderer", "mini-sd"}


# ---------------------------------------------------------------------------------------------------- kinds


def test_a_bound_taste_counts_for_its_subjects_alone() -> None:
    for user in of_kind("subject-bound"):
        bound = [content for content in CONTENTS if user.taste_on(content) is not user.taste]
        assert user.spec.subjects is not None
        assert len(bound) == len(CONTENTS) / 2
        assert all(content in user.spec.subjects for content in bound)
    assert {subjects.axis for subjects in SUBJECTS} == {"object", "setting"}
    assert all(user.taste_on(c) is user.taste for user in of_kind("consistent") for c in CONTENTS)


@pytest.mark.slow
def test_the_latest_judgments_of_a_drifting_user_follow_the_present_taste() -> None:
    early, late = [], []
    for user in [user for user in population("train", SECOND) if user.kind == "drifting"]:
        judged = user.judged("method")
        styles = np.array([entry.scene.style for entry in judged.liked])
        utilities = user.taste.of_styles(styles)
        early.append(utilities[:8].mean())
        late.append(utilities[12:].mean())
    assert np.mean(early) < np.mean(late) - 0.15


def test_a_shorter_history_of_a_drifting_user_is_the_latest_part() -> None:
    user = next(user for user in of_kind("drifting") if user.form == "pairs")
    short, long = (Picturebook(world="2", history=n).history(user.id) for n in (8, 16))
    assert [j.picture for j in short.liked] == [j.picture for j in long.liked][-8:]
    other = next(user for user in of_kind("consistent") if user.form == "pairs")
    short, long = (Picturebook(world="2", history=n).history(other.id) for n in (8, 16))
    assert [j.picture for j in short.liked] == [j.picture for j in long.liked][:8]


def test_shifted_users_share_leanings_and_their_axes_go_together() -> None:
    users = population("shifted", SECOND)
    assert len(users) == 100
    assert population("shifted", FIRST) == ()
    most_common = Counter(leaning.scores for user in users for leaning in user.spec.leanings).most_common(1)[0][1]
    assert most_common > 10
    assert max(Counter(le.scores for u in population("test", SECOND) for le in u.spec.leanings).values()) < 5


# ---------------------------------------------------------------------------------------------------- dials


@pytest.mark.slow
def test_each_dial_changes_the_digest_and_none_gives_the_default_world() -> None:
    plain = Picturebook()
    turned = [
        Picturebook(world="1"), Picturebook(crowd=0.3), Picturebook(quality=0.1), Picturebook(noise=2.0),
        Picturebook(silent=0.6), Picturebook(population=7),
    ]  # fmt: skip
    assert len({suite.digest for suite in (plain, *turned)}) == 7
    assert Picturebook(crowd=0.1, noise=1.5, quality=0.15).digest == plain.digest
    assert Picturebook(silent=0.35).digest == plain.digest
    assert Picturebook(world="1", crowd=0.0, noise=1.0).digest == turned[0].digest


def test_another_population_has_other_users_of_the_same_world() -> None:
    suite, other = Picturebook(world="2"), Picturebook(world="2", population=99)
    assert [user.id for user in suite.users("test")] == [user.id for user in other.users("test")]
    user = suite.users("test")[0].id
    assert not {j.picture.digest for j in suite.history(user).liked} & {
        j.picture.digest for j in other.history(user).liked
    }


@pytest.mark.parametrize(
    "dial", [{"crowd": 1.5}, {"quality": -0.1}, {"silent": 2.0}, {"noise": 0.0}, {"noise": 0.01}, {"population": -1}]
)
def test_dials_out_of_range_are_refused(dial: dict[str, float]) -> None:
    with pytest.raises(PrefbenchError, match=next(iter(dial))):
        Picturebook(**dial)  # type: ignore[arg-type]


def test_a_rating_counts_as_the_judgment_says() -> None:
    """Under a control a picture may come with another user's rating of it."""
    suite = Picturebook(world="2")
    rater = next(user for user in population("val", SECOND) if user.form == "ratings")
    history = suite.history(rater.id)
    turned = replace(history.liked[0], rating=4.0 if history.liked[0].rating == 5.0 else 5.0)
    shown, own = suite.truth._shown(rater.id, turned), suite.truth._shown(rater.id, history.liked[0])
    assert (shown.rating, own.rating) == (turned.rating, history.liked[0].rating)
    assert shown.scene == own.scene
