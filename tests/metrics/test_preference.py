"""The scorer `preference`, what is measured of a scorer, and the metric that stands on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import brier_score_loss, roc_auc_score

from prefbench.api import (
    DrawnImages,
    Evidence,
    Features,
    History,
    Pixels,
    PrefbenchError,
    Scored,
    ScoreHeader,
    Scorer,
    ScorerCard,
    ScorerRecord,
    Split,
    User,
    Viewer,
    to_pixels,
)
from prefbench.metrics import preference as metric_module
from prefbench.metrics.preference import Preference as PreferenceMetric
from prefbench.metrics.scorers.preference import data
from prefbench.metrics.scorers.preference.model import Histories, PreferenceModel
from prefbench.metrics.scorers.preference.prompts import word_counts
from prefbench.metrics.scorers.preference.scorer import PreferenceScorer
from prefbench.metrics.scorers.preference.training import _given, train
from prefbench.registry import load
from prefbench.reports.scorer.card import MeasuredScorer, draw_reliability, scorer_grid
from prefbench.score import admission
from prefbench.score.admission import unranked
from prefbench.score.scorer_figures import keep, measure
from prefbench.training.requests import TrainRequest
from tests.support.colours import ColourSuite, MeanColour, judged

SUPPORT = Path(__file__).parents[1] / "support"

NOBODY = History("nobody", (), ())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A scorer trained for the colour suite by the trainer itself: its folder and its card."""
    folder = tmp_path_factory.mktemp("preference")
    card = train(TrainRequest(folder, images=4_800), suite=f"{SUPPORT / 'colours.py'}:ColourSuite")
    assert card is not None
    return folder / "final", card


@pytest.fixture
def scorer(trained: tuple[Path, dict[str, Any]]) -> PreferenceScorer:
    return PreferenceScorer(folder=str(trained[0]))


def pictures_of(history: History) -> tuple[list[str], list[Pixels]]:
    shown = [*history.liked, *history.disliked]
    return [j.prompt for j in shown], [to_pixels(j.picture.load()) for j in shown]


# ------------------------------------------------------------------------------------------------- the model


def test_a_taste_is_kernel_ridge_over_the_judged_pictures() -> None:
    torch.manual_seed(0)
    model = PreferenceModel(6, rank=4)
    seen, asked = torch.randn(1, 10, 6), torch.randn(1, 5, 6)
    labels = torch.tensor([[1.0] * 6 + [-1.0] * 4])
    found = model.fit_logits(model.user_vectors(Histories(seen, labels)), asked)[0]
    points, places = (model.project(model.standardise(x))[0].detach().numpy() for x in (seen, asked))
    ridge = KernelRidge(alpha=model.log_penalty.exp().item(), kernel="linear").fit(points, labels[0].numpy())
    expected = model.log_gain.exp().item() * ridge.predict(places) + model.population.bias.item()
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_pictures_without_a_label_count_for_nothing() -> None:
    """So histories of different lengths share a batch; an empty one leaves what all users like in common."""
    torch.manual_seed(0)
    model = PreferenceModel(6, rank=4)
    seen = torch.randn(1, 7, 6)
    labels = torch.tensor([[1.0, 1.0, -1.0, -1.0, 0.0, 0.0, 0.0]])
    whole = model.user_vectors(Histories(seen, labels))
    np.testing.assert_allclose(
        whole.detach(), model.user_vectors(Histories(seen[:, :4], labels[:, :4])).detach(), rtol=1e-4, atol=1e-6
    )
    assert not model.user_vectors(Histories(seen[:, :0], labels[:, :0])).any()


def test_words_of_a_prompt_are_counted_whatever_their_order() -> None:
    same, other, turned = word_counts(["a cat at sea", "a cat at night", "at sea a CAT"])
    np.testing.assert_array_equal(same, turned)
    assert (same != other).sum() == 2, "one word is gone, one is new"


# ------------------------------------------------------------------------------------------------ what it learns


def test_an_episode_never_asks_what_it_has_shown() -> None:
    pool = data.pool_of(ColourSuite(), "scorer", MeanColour())
    rng = np.random.default_rng(0)
    for _ in range(20):
        episode = data.draw_episode(pool, rng, 8)
        for side, sign in ((episode.liked, 1), (episode.disliked, -1)):
            for seen, labels, asked in zip(episode.histories.features, episode.histories.labels, side, strict=True):
                assert set(labels.tolist()) <= {1.0, -1.0}
                shown = {tuple(row) for row in seen[labels == sign].tolist()}
                assert not shown & {tuple(row) for row in asked.tolist()}


@pytest.mark.slow
def test_users_can_be_held_out_of_a_pool_and_users_of_further_suites_added() -> None:
    suite, further = ColourSuite(), ColourSuite()
    whole = data.pool_of(suite, "scorer", MeanColour())
    less = data.pool_of(suite, "scorer", MeanColour(), without=["scorer-0", "scorer-7"])
    assert (len(whole), len(less)) == (60, 58)
    liked = [{tuple(row) for rows in pool.liked for row in pool.features[rows].tolist()} for pool in (whole, less)]
    gone = {tuple(row) for j in ("scorer-0", "scorer-7") for row in likes_of(j).astype(np.float32).tolist()}
    assert liked[0] - liked[1] == gone
    both = data.pool_of(suite, "scorer", MeanColour(), without=["scorer-0"], further=[further])
    assert len(both) == 59 + 60, "a user of a further suite is another one, whatever the name"
    assert both.prompts.max() == 1, "prompts of all suites are numbered together"


def likes_of(user: str) -> Features:
    pictures = [to_pixels(j.picture.load()) for viewer in ("method", "scorer") for j in judged(user, viewer).liked]
    return MeanColour().images(pictures)


class WithoutVal(ColourSuite):
    """Nobody may look at the users of val."""

    def users(self, split: Split) -> Sequence[User]:
        assert split != "val"
        return super().users(split)


@pytest.mark.slow
def test_calibration_stays_among_scorer_users_who_are_then_not_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    history = ColourSuite.history

    def noted(self: ColourSuite, user: str, viewer: Viewer = "method") -> History:
        asked.append(user)
        return history(self, user, viewer)

    monkeypatch.setattr(ColourSuite, "history", noted)
    monkeypatch.setattr("prefbench.metrics.scorers.preference.training.load", loads_without_val)
    card = train(TrainRequest(tmp_path, images=160))
    assert card is not None
    held_out = {f"scorer-{i}" for i in range(0, 60, 5)}
    assert card["data"]["users"] == 60 - len(held_out)
    assert card["data"]["calibrated"] == "12 scorer users, held out"
    assert "calibrated" not in card["command"], "by default"
    assert "populations" not in card["command"]
    assert held_out <= set(asked)


def test_a_card_names_the_options_that_are_not_the_defaults() -> None:
    assert _given({"calibrated": "scorer", "populations": 1}) == ""
    assert _given({"calibrated": "val", "populations": 5}) == " -p calibrated=val -p populations=5"


def loads_without_val(kind: Any, name: str) -> Any:
    return WithoutVal if kind == "suite" else load(kind, name)


def test_a_suite_without_worlds_or_seeds_is_told_so(tmp_path: Path) -> None:
    for setting in ({"world": "2"}, {"populations": 2}):
        with pytest.raises(PrefbenchError, match="unknown parameter of ColourSuite"):
            train(TrainRequest(tmp_path), suite=f"{SUPPORT / 'colours.py'}:ColourSuite", **setting)


def test_right_and_wrong_prompts_are_told_apart_in_training() -> None:
    pool = data.pool_of(ColourSuite(), "scorer", MeanColour())
    pictures, words, same = data.draw_prompts(pool, np.random.default_rng(0), 400)
    own = {tuple(f.tolist()): tuple(w.tolist()) for f, w in zip(pool.features, pool.words, strict=True)}
    for picture, word, right in zip(pictures, words, same, strict=True):
        assert (own[tuple(picture.tolist())] == tuple(word.tolist())) == bool(right)
    assert 0.5 < same.mean() < 0.9, "of two prompts, wrong ones are often the right one by chance"


@pytest.mark.slow
def test_the_trained_scorer_knows_unseen_users(trained: tuple[Path, dict[str, Any]]) -> None:
    figures = trained[1]["figures"]
    assert figures["n_users"] == 24
    assert figures["within_user_accuracy"]["value"] > 0.8
    assert figures["permuted"]["low"] < 0.5 < figures["permuted"]["high"]
    assert figures["best_possible"]["value"] is None, "this suite knows no truth"
    assert figures["admitted"]
    assert figures["ece"]["value"] < 0.15


@pytest.mark.slow
def test_a_picture_of_another_prompt_is_liked_less(scorer: PreferenceScorer) -> None:
    history = judged("test-1", "scorer")
    prompts, pictures = pictures_of(judged("test-1", "method"))
    swapped = ["a stripe" if prompt == "a square" else "a square" for prompt in prompts]
    assert (scorer.score(history, prompts, pictures) > scorer.score(history, swapped, pictures)).mean() > 0.8


# -------------------------------------------------------------------------------------------------- the scorer


@pytest.mark.slow
def test_scores_are_probabilities_that_depend_on_nothing_else(scorer: PreferenceScorer) -> None:
    history = judged("test-2", "scorer")
    prompts, pictures = pictures_of(judged("test-3", "method"))
    whole = scorer.score(history, prompts, pictures)
    assert whole.shape == (12,)
    assert ((whole > 0) & (whole < 1)).all()
    single = [scorer.score(history, [prompt], [picture])[0] for prompt, picture in zip(prompts, pictures, strict=True)]
    np.testing.assert_allclose(whole, single, atol=1e-6)
    np.testing.assert_allclose(scorer.score(history, prompts[::-1], pictures[::-1])[::-1], whole, atol=1e-6)
    assert np.abs(scorer.score(judged("test-4", "scorer"), prompts, pictures) - whole).max() > 0.01
    assert scorer.score(NOBODY, prompts, pictures).shape == (12,)
    assert scorer.score(history, [], []).shape == (0,)


@pytest.mark.slow
def test_what_is_wrong_with_a_scorer_is_one_line(
    scorer: PreferenceScorer, trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(PrefbenchError, match="prefbench train preference --install"):
        _ = PreferenceScorer(folder=str(tmp_path)).id
    with pytest.raises(PrefbenchError, match="2 prompts for 0 pictures"):
        scorer.score(NOBODY, ["a", "b"], [])
    for file in trained[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "encoder_id": "mean-colour@0"}))
    with pytest.raises(PrefbenchError, match="trained on mean-colour@0, the suite has mean-colour@1"):
        _ = PreferenceScorer(folder=str(tmp_path)).id


@pytest.mark.slow
def test_each_different_picture_is_encoded_once(scorer: PreferenceScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    images = MeanColour.images

    def counted(self: MeanColour, pictures: Sequence[Pixels]) -> Features:
        seen.append(len(pictures))
        return images(self, pictures)

    monkeypatch.setattr(type(scorer._encoder), "images", counted)
    history, (prompts, pictures) = judged("test-2", "scorer"), pictures_of(judged("test-3", "method"))
    first = scorer.score(history, prompts, [pictures[0]] * len(pictures))
    again = scorer.score(history, prompts, pictures)
    assert first[0] == pytest.approx(again[0])
    assert sum(seen) == 18 + 12, "the history's pictures, then those that were asked about"


# ------------------------------------------------------------------------------------------- what is measured


class MadeUp(Scorer):
    """Says what it is made to say: by default the brightness of the picture's red."""

    card = ScorerCard("made-up", "1", "", "", True, ("red",), ("colours:scorer",))
    id = "made-up@1"

    def score(
        self,
        history: History,  # noqa: ARG002
        prompts: Sequence[str],  # noqa: ARG002
        pictures: Sequence[Pixels],
    ) -> Features:
        return np.array([picture[..., 0].mean() / 255 for picture in pictures])


class Knowing(MadeUp):
    """Knows the judgment of every picture of the user whose history it is given, and nothing of others'."""

    def score(
        self,
        history: History,
        prompts: Sequence[str],  # noqa: ARG002
        pictures: Sequence[Pixels],
    ) -> Features:
        known = judged(history.user, "method") if history.user != "nobody" else NOBODY
        liked = {to_pixels(j.picture.load()).tobytes() for j in known.liked}
        return np.array([0.8 if p.tobytes() in liked else 0.2 for p in pictures])


def test_figures_are_what_independent_code_finds() -> None:
    suite, scorer = ColourSuite(), MadeUp()
    figures = measure(scorer, suite)
    aucs, right, said, true = [], [], [], []
    for user in suite.users("test"):
        history = judged(user.id, "method")
        prompts, pictures = pictures_of(history)
        answers, labels = scorer.score(NOBODY, prompts, pictures), np.repeat([1, 0], 6)
        aucs.append(roc_auc_score(labels, answers))
        right.append(np.mean((answers[:6] > answers[6:]) + 0.5 * (answers[:6] == answers[6:])))
        said += answers.tolist()
        true += labels.tolist()
    assert figures.n_pairs == 24 * 6
    assert figures.within_user_auc.value == pytest.approx(np.mean(aucs))
    assert figures.within_user_accuracy.value == pytest.approx(np.mean(right))
    assert figures.brier.value == pytest.approx(brier_score_loss(true, said))
    bins = np.minimum((np.array(said) * 10).astype(int), 9)
    errors = [
        (bins == b).mean() * abs(np.mean(np.array(said)[bins == b]) - np.mean(np.array(true)[bins == b]))
        for b in np.unique(bins)
    ]
    assert figures.ece.value == pytest.approx(sum(errors))


@pytest.mark.slow
def test_a_scorer_that_knows_no_user_is_not_admitted() -> None:
    blind, knowing = measure(MadeUp(), ColourSuite()), measure(Knowing(), ColourSuite())
    assert blind.above_population.value == blind.above_permuted.value == 0
    assert not blind.admitted
    assert knowing.within_user_accuracy.value == 1
    assert knowing.population.value == knowing.mismatched.value == knowing.permuted.value == 0.5, "ties are half right"
    assert knowing.admitted


def test_figures_are_kept_for_one_scorer_and_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path))
    scorer = MadeUp()
    assert admission.stored(scorer, "colours") is None
    keep(scorer, measure(scorer, ColourSuite()))
    kept = admission.stored(scorer, "colours")
    assert kept is not None
    assert kept["admitted"] is False
    assert admission.stored(scorer, "another suite") is None
    monkeypatch.setattr(MadeUp, "id", "made-up@2")
    assert admission.stored(scorer, "colours") is None, "figures of other weights say nothing"


@pytest.mark.slow
def test_whom_a_scorer_must_not_rank(trained: tuple[Path, dict[str, Any]]) -> None:
    figures = trained[1]["figures"]
    scorer = ScorerRecord("made-up", "made-up@1", ("red",), ("colours:scorer",), figures)

    def reason(method: dict[str, Any], **changes: Any) -> str:
        header = ScoreHeader("x@1", "up", "preference", "image", "s", scorer=replace(scorer, **changes))
        return unranked(header, method)

    assert reason({}) == ""
    assert reason({"encoders": ("blue",), "trained_on": ("colours:train",)}) == ""
    assert "shares red" in reason({"encoders": ("blue", "red")})
    assert "selected or trained by" in reason({"selected_by": ("made-up",)})
    assert "colours:scorer" in reason({"trained_on": ("colours:train", "colours:scorer")})
    assert "never measured" in reason({}, figures=None)
    assert "no better" in reason({}, figures={**figures, "admitted": False})


@pytest.mark.slow
def test_the_card_is_shown_and_drawn(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    card = {**vars(PreferenceScorer.card), **trained[1]["figures"]}
    grid = scorer_grid(MeasuredScorer(card))
    assert len(grid.sections[0]) == 10
    assert any(note.endswith(": admitted to rankings there.") for note in grid.notes)
    assert draw_reliability(MeasuredScorer(card), tmp_path / "plot.png").stat().st_size > 5_000
    with pytest.raises(PrefbenchError, match="not measured"):
        draw_reliability(MeasuredScorer({"name": "made-up"}), tmp_path / "none.png")


# ------------------------------------------------------------------------------------------------- the metric


def metric_with(scorer: Scorer) -> PreferenceMetric:
    metric = PreferenceMetric()
    vars(metric)["scorer"] = scorer
    return metric


def samples_of(users: Sequence[str]) -> list[Scored]:
    rng = np.random.default_rng(0)
    return [
        Scored(f"{user}/{i}", user, "a square", rng.integers(0, 255, (4, 4, 3), dtype=np.uint8))
        for user in users
        for i in range(2)
    ]


@pytest.mark.slow
def test_it_is_what_is_under_the_own_user_and_the_gain_that_minus_other_users(scorer: PreferenceScorer) -> None:
    users = [f"test-{i}" for i in range(12)]
    histories = {user: judged(user, "scorer") for user in users}
    samples = samples_of(users)
    found = metric_with(scorer).score(DrawnImages(samples, None, Evidence(None, {}, {"scorer": histories})))
    for row, sample in enumerate(samples):
        place = users.index(sample.user)
        others = [users[(place + step) % 12] for step in range(1, 1 + metric_module.OTHERS)]
        own, *rest = (
            scorer.score(histories[user], [sample.prompt], [sample.pixels])[0] for user in (sample.user, *others)
        )
        assert found["preference"][row] == pytest.approx(own)
        assert found["preference/others"][row] == pytest.approx(np.mean(rest))
        assert found["preference/gain"][row] == pytest.approx(own - np.mean(rest))


def test_users_without_judgments_have_no_value() -> None:
    histories = {"a": judged("test-1", "scorer"), "b": replace(NOBODY, user="b")}
    found = metric_with(MadeUp()).score(
        DrawnImages(samples_of(["a", "b"]), None, Evidence(None, {}, {"scorer": histories}))
    )
    assert found["preference/gain"] == [None] * 4, "the one has nobody to be compared with, the other is not known"
    assert found["preference"][2:] == [None, None]
    assert None not in found["preference"][:2]
    with pytest.raises(PrefbenchError, match="judgments that no method sees"):
        metric_with(MadeUp()).score(DrawnImages(samples_of(["a"]), None, Evidence(None, {})))
