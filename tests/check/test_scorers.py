"""The conformance suite of scorers: each rule is seen to be broken by something that breaks it; what ships holds."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from prefbench import registry
from prefbench.api import Features, History, Judgment, Pixels, PrefbenchError, Scorer, ScorerCard
from prefbench.check import Finding, check_scorer
from prefbench.cli.main import main
from tests.support.tiny_scorers import (
    TinyImageReward,
    save_tiny_adapter,
    save_tiny_base,
    save_tiny_bert_vocabulary,
    save_tiny_hps,
    save_tiny_pickscore,
    save_tiny_pool,
    tiny_architecture,
)


def failed(findings: Sequence[Finding]) -> set[str]:
    return {finding.check for finding in findings if not finding.passed}


def hashed(*seen: object) -> float:
    return zlib.crc32(repr(seen).encode()) / 2**32


class Guess(Scorer):
    """A number between 0 and 1 from all that a personal scorer may read."""

    card = ScorerCard("guess", "1", "a hash", "Apache-2.0", personal=True, encoders=("none",), trained_on=())

    @property
    def id(self) -> str:
        return f"guess@1@{'0' * 64}"

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        pairs = zip(prompts, pictures, strict=True)
        return np.array([self.value(history, prompt, picture) for prompt, picture in pairs])

    def value(self, history: History, prompt: str, picture: Pixels) -> float:
        return hashed(self.read(history), prompt, picture.tobytes())

    def read(self, history: History) -> object:
        return [[j.picture.digest for j in side] for side in (history.liked, history.disliked)]


class Nameless(Guess):
    card = replace(Guess.card, summary=" ")


class Blank(Guess):
    card = replace(Guess.card, caveats=("knows nothing", " "))


class Demanding(Guess):
    def __init__(self, weights: str) -> None:
        self.path = weights


class Talkative(Guess):
    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:  # noqa: ARG002
        raise PrefbenchError("weights are absent\nget them somewhere")


class Crashing(Guess):
    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:  # noqa: ARG002
        raise FileNotFoundError("weights.pt")


class NoHash(Guess):
    @property
    def id(self) -> str:
        return "guess@1@latest"


class Counting(Guess):
    made = itertools.count()

    @property
    def id(self) -> str:
        return f"guess@1@{next(self.made):064x}"


class Unbounded(Guess):
    def value(self, history: History, prompt: str, picture: Pixels) -> float:
        return 30 * super().value(history, prompt, picture)


class NotANumber(Guess):
    def value(self, history: History, prompt: str, picture: Pixels) -> float:
        return float("nan") if np.ptp(picture) == 0 else super().value(history, prompt, picture)


class Column(Guess):
    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        return super().score(history, prompts, pictures)[:, None]


class Half(Guess):
    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        return super().score(history, prompts, pictures).astype(np.float32)


class Random(Guess):
    def read(self, history: History) -> object:  # noqa: ARG002
        return np.random.default_rng().random()


class Ranking(Guess):
    """Looks at the neighbours."""

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        values = super().score(history, prompts, pictures)
        return np.asarray(values / values.max())


class Positional(Guess):
    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        values = super().score(history, prompts, pictures)
        return np.asarray(values / (1 + np.arange(len(values))))


class Remembering(Guess):
    """The context grows: the published script of ViPer does this."""

    def __init__(self) -> None:
        self.context: list[object] = []

    def read(self, history: History) -> object:
        if history.user not in self.context:
            self.context.append(history.user)
        return super().read(history), self.context


class Crowd(Guess):
    """Says that it is personal."""

    def read(self, history: History) -> object:  # noqa: ARG002
        return None


class Secret(Guess):
    """Says that it is not."""

    card = replace(Guess.card, personal=False)


class ByName(Guess):
    def read(self, history: History) -> object:
        return history.user


class NeedsLikes(Guess):
    def read(self, history: History) -> object:
        return history.liked[0].picture.digest, super().read(history)


class Refusing(Guess):
    def read(self, history: History) -> object:
        if not (history.liked and history.disliked):
            raise PrefbenchError("needs both sides")
        return super().read(history)


class Grateful(Guess):
    """Takes the queries into its context, and marks them."""

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        values = super().score(history, prompts, pictures)
        for picture in pictures:
            picture[0, 0] = 7
        return values


class Editing(Guess):
    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        values = super().score(history, prompts, pictures)
        for judgment in history.liked:
            object.__setattr__(judgment, "prompt", "")
        return values


BROKEN: Sequence[tuple[type[Scorer], set[str]]] = [
    (Guess, set()),
    (Refusing, set()),
    (Nameless, {"card"}),
    (Blank, {"card"}),
    (Demanding, {"parameters"}),
    (Talkative, {"weights"}),
    (Crashing, {"weights"}),
    (NoHash, {"id"}),
    (Counting, {"id"}),
    (Unbounded, {"values"}),
    (NotANumber, {"values", "repeats", "batches", "order of pictures", "users in turn", "history", "empty history"}),
    (Half, {"values"}),
    (Random, {"repeats", "batches", "order of pictures", "users in turn", "history"}),
    (Ranking, {"batches"}),
    (Positional, {"batches", "order of pictures"}),
    (Remembering, {"users in turn", "history"}),
    (Crowd, {"history"}),
    (Secret, {"history"}),
    (ByName, {"history"}),
    (NeedsLikes, {"empty history"}),
    (Grateful, {"inputs untouched"}),
    (Editing, {"inputs untouched"}),
]


@pytest.mark.parametrize(("scorer", "broken"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_scorer_fails_the_rule_that_it_breaks(scorer: type[Scorer], broken: set[str]) -> None:
    assert failed(check_scorer(scorer)) == broken


def test_values_of_another_shape_fail() -> None:
    assert "values" in failed(check_scorer(Column))


def test_what_is_no_scorer_is_refused() -> None:
    with pytest.raises(PrefbenchError, match=r"is not a subclass of prefbench\.api\.Scorer"):
        check_scorer(Judgment)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- what ships


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """The parameters that put each published scorer on tiny weights."""
    root = tmp_path_factory.mktemp("scorers")
    for name in ("hps", "imagereward", "architectures"):
        (root / name).mkdir()
    save_tiny_pickscore(root / "pickscore", root / "clip")
    TinyImageReward().save(root / "imagereward")
    save_tiny_bert_vocabulary(root / "bert")
    save_tiny_adapter(save_tiny_base(root / "base"), root / "adapter")
    save_tiny_pool(root / "adapter" / "prompt_pool.pt", (10, 32))
    asking = [f"source={root / 'adapter'}", f"base={root / 'base'}", "orders=2", "batch=4", "pairs=2"]
    with tiny_architecture(root / "architectures", "ViT-tiny-conformance") as architecture:
        save_tiny_hps(root / "hps" / "HPS_v2.1_compressed.pt", architecture)
        yield {
            "pickscore": [f"source={root / 'pickscore'}", f"processor={root / 'clip'}", "anchor=0"],
            "hpsv2": [f"source={root / 'hps'}", f"architecture={architecture}", "anchor=0"],
            "imagereward": [f"source={root / 'imagereward'}", f"tokenizer={root / 'bert'}"],
            "viper-proxy": asking,
            "learn-user-pref": asking,
        }


PUBLISHED = ("pickscore", "hpsv2", "imagereward", "viper-proxy", "learn-user-pref")


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_scorers_conform(name: str, tiny: dict[str, list[str]]) -> None:
    findings = check_scorer(name, [*tiny[name], "device=cpu"])
    assert failed(findings) == set(), [finding for finding in findings if not finding.passed]
    assert {finding.outcome for finding in findings} == {"ok"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_absent_weights_are_one_line_and_nothing_is_said_to_hold(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    findings = {finding.check: finding for finding in check_scorer(name)}
    assert findings["weights"].outcome == "warning"
    assert "get it with: hf download" in findings["weights"].detail
    assert {f.outcome for c, f in findings.items() if c not in ("parameters", "card", "weights")} == {"not applicable"}


def test_looking_a_scorer_up_and_making_it_imports_no_torch() -> None:
    program = (
        "import sys; from prefbench.registry import load\n"
        f"for name in {PUBLISHED}: load('scorer', name)()\n"
        "assert not {'torch', 'transformers', 'open_clip'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_all_registered_scorers_are_checked_here_or_elsewhere() -> None:
    assert set(PUBLISHED) <= set(registry.names("scorer"))


def test_the_command_says_how_much_it_could_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    result = CliRunner().invoke(main, ["check", "scorer", "hpsv2"])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "scorer hpsv2: 9 of 12 checks not applicable, in the others it conforms"
    shown = json.loads(CliRunner().invoke(main, ["show", "scorer", "hpsv2", "--json"]).stdout)
    assert shown["personal"] is False
    assert "anchor" in shown["scale"]


def test_a_scorer_from_a_file_is_checked_by_path(tmp_path: Path, scorer_file: Callable[[Path], str]) -> None:
    result = CliRunner().invoke(main, ["check", "scorer", scorer_file(tmp_path)])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].endswith("1 of 12 checks FAILED: history")


@pytest.fixture
def scorer_file() -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / "mine.py").write_text(
            "import numpy as np\n"
            "from prefbench.api import Scorer, ScorerCard\n\n\n"
            "class Mine(Scorer):\n"
            "    card = ScorerCard('mine', '1', 'levels', 'MIT', personal=True, encoders=(), trained_on=())\n"
            f"    id = 'mine@1@{'a' * 64}'\n\n"
            "    def score(self, history, prompts, pictures):\n"
            "        return np.array([picture.mean() / 255 for picture in pictures])\n"
        )
        return f"{folder / 'mine.py'}:Mine"

    return write
