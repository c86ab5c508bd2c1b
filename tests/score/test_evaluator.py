"""Scoring: what is compared with what, what makes old scores void, and intervals of set metrics that cover."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prefbench.api import (
    DrawnImages,
    Evidence,
    Features,
    FeatureSet,
    History,
    ImageMetric,
    Judgment,
    MetricCard,
    NotMeasurableError,
    Picture,
    Pixels,
    PrefbenchError,
    Reference,
    Sample,
    SetMetric,
    Split,
    SuiteCard,
    TextsRead,
    User,
    to_pixels,
)
from prefbench.run.folder import RunFolder
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.sets import CROWD_KEY, FLOOR_KEY, SET_KEY, WITHOUT_KEYS, jackknife
from prefbench.score.summarise import summarise
from prefbench.stats.jackknife import jackknife_half_width
from tests.support.stored import SPEC, scores_of

USERS, PROMPTS, N = tuple(f"user-{i}" for i in range(6)), ("a cat", "a dog", "a cup", "a hat"), 2
HERE = f"{Path(__file__)}"


class MeanShift(SetMetric):
    """The difference of the mean features: linear, so its jackknife is known in closed form."""

    card = MetricCard("shift", "1", "mean difference", "fidelity", "down", "set", "mean")

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        return float(drawn.features.mean() - reference.features.mean())


class Members(SetMetric):
    """How many rows the two sets share, times 1000, plus how many rows there are on each side, which must be equal."""

    card = MetricCard("members", "1", "shared rows", "fidelity", "down", "set", "count")

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        shared = set(drawn.features.ravel().tolist()) & set(reference.features.ravel().tolist())
        return 1000.0 * len(shared) + len(reference)


class Refusing(SetMetric):
    card = MetricCard("refusing", "1", "never enough", "fidelity", "down", "set", "none")

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        assert len(drawn) == len(reference)
        raise NotMeasurableError("refusing needs more than there is")


class Bright(ImageMetric):
    """Brightness, for those who may ask the truth."""

    card = MetricCard("bright", "1", "brightness", "side", "up", "image", "mean", asks_truth=True)

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        assert drawn.features is None
        assert drawn.evidence.truth is not None
        return {"bright": [float(sample.pixels.mean()) for sample in drawn.samples]}


class Blind(Bright):
    card = MetricCard("blind", "1", "brightness", "side", "up", "image", "mean")

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        assert drawn.evidence.truth is None
        assert drawn.features is None
        return {"blind": [float(sample.pixels.mean()) for sample in drawn.samples]}


class Reading(Blind):
    """Reads six letters of a prompt."""

    card = MetricCard("reading", "1", "brightness", "side", "up", "image", "mean")

    def texts_read(self, texts: Sequence[str]) -> TextsRead:
        return TextsRead.of(6, [max(0, len(text) - 6) for text in texts])

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        return {"reading": super().score(drawn)["blind"]}


class NearLikes(ImageMetric):
    """Distance in brightness to the mean of the judgments that the card asks for."""

    card = MetricCard("near-likes", "1", "", "side", "down", "image", "mean", asks_histories=("scorer",))
    extractor = "fidelity"

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        assert drawn.features is not None
        assert set(drawn.evidence.histories) == {"scorer"}
        mean = {
            user: drawn.evidence.judged_features([j.picture for j in history.liked]).mean()
            for user, history in drawn.evidence.histories["scorer"].items()
        }
        assert list(mean) == list(USERS)
        return {
            "near-likes": [float(abs(f[0] - mean[s.user])) for s, f in zip(drawn.samples, drawn.features, strict=True)]
        }


class Brightness:
    """Features (N, 1): the mean level."""

    id = "brightness@1"

    def images(self, pictures: Sequence[Pixels]) -> Features:
        return np.array([[picture.mean()] for picture in pictures])

    def texts(self, texts: Sequence[str]) -> Features:
        raise NotImplementedError(texts)


class World:
    """As much of a suite as scoring asks: 13 references a user, each of a level of its own."""

    card = SuiteCard("world", "1", "", "", "none", ("shift",), {"fidelity": f"{HERE}:Brightness"})
    digest = "d" * 64

    def __init__(self, truth: str = "reader 1") -> None:
        self.truth = type("Truth", (), {"id": truth, "groups": ()})()

    def users(self, split: Split) -> Sequence[User]:
        return [User(user, split) for user in (*USERS, "user without a sample")]

    def history(self, user: str, viewer: str) -> History:
        liked = level({"method": 0, "scorer": 100}[viewer] + USERS.index(user))
        return History(user, (Judgment(Picture.of(liked), "a like", liked=True),), ())

    def references(self, _: str) -> Sequence[Reference]:
        return [
            Reference(user, "a reference", Picture.of(level(10 + 30 * u + i)))
            for u, user in enumerate(USERS)
            for i in range(13)
        ]

    def crowd_references(self, _: str) -> Sequence[Reference]:
        return ()


def level(value: int) -> Image.Image:
    return Image.new("RGB", (4, 4), (value, value, value))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    names = [(user, prompt, i) for user in USERS for prompt in PROMPTS for i in range(N)]
    kinds = dict.fromkeys(USERS, "user")
    folder.write_description({"spec": SPEC, "method": {"name": "m"}, "kinds": kinds, "planned": len(names)})
    folder.append_samples(
        Sample(f"{u}/{p}/{i}", u, f"{u}/{p}", p, i, 0, "ok", folder.put_image(level(200 + k)))
        for k, (u, p, i) in enumerate(names)
    )
    return folder


def score(folder: RunFolder, *metrics: str, world: World | None = None) -> dict[str, str]:
    scorer = Evaluator(world or World(), [f"{HERE}:{name}" for name in metrics])  # type: ignore[arg-type]
    scoring = scorer.score(Material(folder, scorer._suite, "test"))
    return dict.fromkeys(scoring.computed, "computed") | {**scoring.refused, **scoring.broken}


def values(folder: RunFolder, name: str) -> dict[str, float]:
    return {row["key"]: row["value"] for row in scores_of(folder, name)[1]}


def test_a_full_disk_is_no_fault_of_a_metric(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its older scores stay, and the metrics after it are not tried either."""
    score(folder, "Members")
    before = (folder.path / "scores" / "members.jsonl").read_bytes()
    sample = next(iter(folder.samples().values()))
    folder.append_samples([replace(sample, key="another", index=N)])

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(PrefbenchError, match=r"no space left while writing .*; make room and run the same command"):
            score(folder, "Members")
    assert (folder.path / "scores" / "members.jsonl").read_bytes() == before
    assert score(folder, "Members") == {"members": "computed"}


def test_the_halves_of_the_references_are_disjoint_and_of_one_size(folder: RunFolder) -> None:
    """13 references a user: 7 and 6, cut to the size of the smaller half for the value and for the floor."""
    assert score(folder, "Members") == {"members": "computed"}
    found = values(folder, "members")
    assert found[SET_KEY] == 36
    assert found[FLOOR_KEY] == 36, "no picture of one half is in the other"


class WithCrowd(World):
    """Most users like pictures that are ten levels lighter than all references."""

    def crowd_references(self, _: str) -> Sequence[Reference]:
        return [replace(r, picture=Picture.of(level(110))) for r in self.references("test")]


def test_what_the_crowds_style_scores_stands_beside_the_floor(folder: RunFolder) -> None:
    score(folder, "MeanShift", world=WithCrowd())
    found = values(folder, "shift")
    references = np.mean([10 + 30 * u + i for u in range(len(USERS)) for i in range(13)])
    assert found[CROWD_KEY] == pytest.approx(110 - references, abs=2)
    assert abs(found[FLOOR_KEY]) <= 1


def test_without_a_crowds_style_nothing_is_stored_of_it(folder: RunFolder) -> None:
    score(folder, "MeanShift")
    assert CROWD_KEY not in values(folder, "shift")


def test_each_user_is_in_both_halves(folder: RunFolder) -> None:
    """Levels rise by 30 a user and by 1 a reference: a half that lacked a user would be off by more than the step."""
    score(folder, "MeanShift")
    assert abs(values(folder, "shift")[FLOOR_KEY]) <= 1


def test_scores_are_kept_until_what_they_stand_on_changes(folder: RunFolder) -> None:
    assert score(folder, "Bright", "Blind") == {"bright": "computed", "blind": "computed"}
    assert score(folder, "Bright", "Blind") == {}
    assert score(folder, "Bright", "Blind", world=World("reader 2")) == {"bright": "computed"}
    last = folder.samples()[f"{USERS[0]}/{PROMPTS[0]}/0"]
    folder.append_samples([replace(last, image=folder.put_image(level(7)))])
    assert score(folder, "Blind", world=World("reader 2")) == {"blind": "computed"}
    assert folder.scored() == ["blind"], "scores of other samples are removed, not shown beside new ones"


def test_a_metric_says_beside_its_scores_how_many_prompts_it_cuts(folder: RunFolder) -> None:
    last = folder.samples()[f"{USERS[0]}/{PROMPTS[0]}/0"]
    folder.append_samples([replace(last, key="long", prompt="a cat in snow", image=folder.put_image(level(7)))])
    score(folder, "Reading", "Blind")
    headers = {name: scores_of(folder, name)[0] for name in ("reading", "blind")}
    assert headers["reading"]["texts"] == {"limit": 6, "texts": len(PROMPTS) + 1, "cut": 1, "most": 7}
    assert "texts" not in headers["blind"]


class Misreading(Reading):
    card = MetricCard("misreading", "1", "brightness", "side", "up", "image", "mean")

    def texts_read(self, texts: Sequence[str]) -> TextsRead:
        return len(texts)  # type: ignore[return-value]

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        return {"misreading": super().score(drawn)["reading"]}


def test_a_count_of_another_kind_is_one_line_that_names_the_metric(folder: RunFolder) -> None:
    suite: Any = World()
    scoring = Evaluator(suite, [f"{HERE}:Misreading", f"{HERE}:Reading"]).score(Material(folder, suite, "test"))
    assert scoring.broken == {"misreading": "misreading: texts_read gave int, not TextsRead or None"}
    assert scoring.computed == ["reading"]


def test_scores_that_were_stored_without_that_count_are_up_to_date(folder: RunFolder) -> None:
    score(folder, "Reading")
    header, rows = scores_of(folder, "reading")
    del header["texts"]
    folder.write_scores("reading", header, rows)
    assert score(folder, "Reading") == {}


def test_a_metric_sees_the_judgments_its_card_asks_for_and_no_others(folder: RunFolder) -> None:
    score(folder, "NearLikes")
    found = values(folder, "near-likes")
    drawn = {sample.key: sample for sample in folder.samples().values()}
    brightness = {key: to_pixels(folder.image(sample.image or "")).mean() for key, sample in drawn.items()}
    wanted = {key: brightness[key] - 100 - USERS.index(sample.user) for key, sample in drawn.items()}
    assert found == wanted
    with pytest.raises(PrefbenchError, match="without an extractor"):
        Evidence(None, {}).judged_features([])


def test_a_metric_that_cannot_be_computed_leaves_the_others(folder: RunFolder) -> None:
    folder.write_scores("refusing", {"samples": "old"}, [])
    assert score(folder, "Refusing", "Blind") == {"blind": "computed", "refusing": "refusing needs more than there is"}
    assert folder.scored() == ["blind"]


class Glaring(Blind):
    """Says of itself that it is a share, and is none."""

    card = replace(Blind.card, bounds=(0.0, 1.0), proportion=True)


def test_a_proportion_outside_its_bounds_is_refused(folder: RunFolder) -> None:
    broken = score(folder, "Glaring", "Bright")["blind"]
    assert re.fullmatch(r"blind gave [\d.]+, outside the bounds of blind, 0 to 1", broken)
    assert folder.scored() == ["bright"]


def test_a_set_metrics_interval_is_its_two_jackknives_together(folder: RunFolder) -> None:
    score(folder, "MeanShift")
    (row,) = [row for row in summarise(ScoredFolder.open(folder.path)) if row.metric == "shift"]
    assert row.value is not None
    assert row.low is not None
    assert row.high is not None
    assert row.high - row.value == pytest.approx(row.value - row.low)
    by_user, by_prompt = ([v for k, v in values(folder, "shift").items() if k.startswith(p)] for p in WITHOUT_KEYS)
    assert (len(by_user), len(by_prompt)) == (len(USERS), len(PROMPTS))
    variance = sum((len(v) - 1) ** 2 / len(v) * np.var(v, ddof=1) for v in (by_user, by_prompt))
    assert row.high - row.value == pytest.approx(3.1824 * np.sqrt(variance), rel=1e-4), "t with 3 degrees of freedom"


class Spread(SetMetric):
    """Refuses under 33 drawn images: of 36, fewer are left without one user."""

    card = MetricCard("spread", "1", "range", "fidelity", "up", "set", "range", bounds=(0.0, 200.0), least=40)

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        assert len(reference)
        if len(drawn) < 33:
            raise NotMeasurableError(f"spread needs at least 33 drawn images, there are {len(drawn)}")
        return float(np.ptp(drawn.features))


def test_a_value_stands_without_an_interval_where_leaving_users_out_leaves_too_few(folder: RunFolder) -> None:
    assert score(folder, "Spread") == {"spread": "computed"}
    stored = values(folder, "spread")
    assert set(stored) == {
        SET_KEY,
        FLOOR_KEY,
        *(f"{p}{i}" for p, n in zip(WITHOUT_KEYS, (6, 4), strict=True) for i in range(n)),
    }
    (row,) = summarise(ScoredFolder.open(folder.path))
    assert row.value == stored[SET_KEY] > 0
    assert (row.low, row.high, row.n_samples, row.few) == (None, None, 36, 40)


class Enough(Spread):
    """Next to its upper bound, and moved by what is left out."""

    card = replace(Spread.card, name="enough", least=36)

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        assert len(reference)
        return 199 - 3 * abs(len(drawn) - 36) - float(drawn.features.sum()) % 10


def test_an_interval_ends_at_the_bounds_of_the_card(folder: RunFolder) -> None:
    assert score(folder, "Enough") == {"enough": "computed"}
    (row,) = summarise(ScoredFolder.open(folder.path))
    assert row.value is not None
    assert row.low is not None
    assert row.high == 200
    assert 0 <= row.low < row.value < row.high
    assert row.few == 0


class Overdone(Spread):
    card = replace(Spread.card, name="overdone", bounds=(None, 10.0))


class Brighter(Blind):
    """No proportion, but bounded."""

    card = replace(Blind.card, name="blind", bounds=(300.0, None))


def test_a_value_outside_the_bounds_of_its_card_is_refused(folder: RunFolder) -> None:
    assert score(folder, "Overdone")["overdone"].endswith("outside the bounds of overdone, no limit to 10")
    assert score(folder, "Brighter")["blind"].endswith("outside the bounds of blind, 300 to no limit")


def test_few_shared_prompts_give_no_interval_and_own_prompts_fall_with_their_users() -> None:
    rng, users = np.random.default_rng(0), np.repeat([f"u{i}" for i in range(6)], 4)
    features, reference = rng.standard_normal((24, 1)), FeatureSet(np.zeros((6, 1)), users[::4], np.full(6, ""))

    def left_out(prompts: list[str]) -> list[list[float | None]]:
        found = jackknife(MeanShift(), FeatureSet(features, users, np.array(prompts)), reference)
        return [[value for key, value in found.items() if key.startswith(prefix)] for prefix in WITHOUT_KEYS]

    shared = {n: left_out([f"p{i % n}" for i in range(24)]) for n in (1, 2, 3, 4)}
    assert [len(by_prompt) for _, by_prompt in shared.values()] == [1, 2, 3, 4]
    assert shared[1][1] == [None]
    assert [jackknife_half_width(both) is None for both in shared.values()] == [True, True, True, False]
    own = left_out([f"p{i}" for i in range(24)])
    assert own[1] == []
    assert jackknife_half_width(own) is not None
    assert left_out([""] * 24) == own


@pytest.mark.parametrize("order", [1, -1])
def test_equal_pictures_get_equal_values_whatever_their_method_is_called(tmp_path: Path, order: int) -> None:
    """48 samples of which 36 are compared, under keys in another order and with the rows written in another order."""
    names = [(user, prompt, i) for user in USERS for prompt in PROMPTS for i in range(N)]
    found = []
    for method in ("one", "another"):
        folder = RunFolder(tmp_path / method)
        kinds = dict.fromkeys(USERS, "user")
        folder.write_description({"spec": SPEC, "method": {"name": method}, "kinds": kinds, "planned": len(names)})
        keys = np.random.default_rng(len(method)).permutation(len(names))
        samples = [
            Sample(f"{keys[k]:02d}{method}", u, f"{u}/{p}", p, i, 0, "ok", folder.put_image(level(200 + k)))
            for k, (u, p, i) in enumerate(names)
        ]
        folder.append_samples(samples[:: order if method == "one" else 1])
        assert score(folder, "MeanShift") == {"shift": "computed"}
        found.append(values(folder, "shift"))
    assert found[0] == found[1]


@pytest.mark.slow
def test_intervals_of_set_metrics_cover_where_prompts_are_shared() -> None:
    """Users alone, as if the prompts were all there are, cover far less."""
    rng, crossed, users_alone = np.random.default_rng(0), 0, 0
    repeats, n_users, n_prompts = 300, 20, 10
    reference = FeatureSet(
        np.zeros((n_users, 1)), np.array([f"u{i}" for i in range(n_users)]), np.array([""] * n_users)
    )
    for _ in range(repeats):
        user, prompt = np.repeat(np.arange(n_users), n_prompts), np.tile(np.arange(n_prompts), n_users)
        effects = 0.3 * rng.standard_normal(n_users)[user] + 0.3 * rng.standard_normal(n_prompts)[prompt]
        features = (effects + rng.standard_normal(len(user)))[:, None]
        drawn = FeatureSet(features, np.char.add("u", user.astype(str)), np.char.add("p", prompt.astype(str)))
        left_out = jackknife(MeanShift(), drawn, reference)
        by_user, by_prompt = ([v for k, v in left_out.items() if k.startswith(p)] for p in WITHOUT_KEYS)
        crossed += abs(features.mean()) <= (jackknife_half_width([by_user, by_prompt]) or 0)
        users_alone += abs(features.mean()) <= (jackknife_half_width([by_user, []]) or 0)
    assert crossed / repeats >= 0.92
    assert users_alone / repeats <= 0.88


def test_pixels_come_back_as_they_were_drawn(folder: RunFolder) -> None:
    material = Material(folder, World(), "test")  # type: ignore[arg-type]
    digest = material.drawn[0].image or ""
    assert np.array_equal(material.pixels([digest])[0], to_pixels(folder.image(digest)))
