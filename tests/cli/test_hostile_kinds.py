"""Trainers, ablations, controls, reports, extractors and scorers that break their contract in every way.

Whatever they raise, return, print or change ends in one line that names them, and `--json` stays clean.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

from prefbench.api import surroundings
from tests.support.hostile import SUITE, arguments_of_run, check_clean, invoke, write
from tests.support.plugin import install

REPORT = """
class Bad(Report):
    card = ReportCard("bad", "1", "x", "runs")
    def as_json(self, result): return result
    def tables(self, result): return []
    def measure(self, runs, context):
{body}
"""
WORLD = """
import dataclasses, importlib.util
spec = importlib.util.spec_from_file_location("tiny_suite_of_kinds", {suite!r})
tiny = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)

class World(tiny.TinySuite):
    card = dataclasses.replace(tiny.TinySuite.card, extractors={{"text": f"{{__file__}}:bad"}})

class Uses(ImageMetric):
    card = MetricCard("uses", "1", "x", "adherence", "up", "image", "r")
    extractor = "text"
    def score(self, drawn):
        texts = drawn.evidence.text_features
        return {{"uses": [float(f @ texts[s.prompt]) for f, s in zip(drawn.features, drawn.samples)]}}
"""
EXTRACTOR = """
class Ext:
    id = "bad[x]@0"
    def images(self, pictures): return np.array([[p.mean() + 1.0, 2.0] for p in pictures])
    def texts(self, texts): return np.array([[len(t) + 1.0, 2.0] for t in texts])
{member}
def bad():
{body}
    return Ext()
"""
SCORER = """
class Bad(Scorer):
    card = ScorerCard("bad", "1", "x", "Apache-2.0", True, (), ())
    id = "bad 1 " + "0" * 64
    def score(self, history, prompts, pictures):
{body}

class Uses(ImageMetric):
    card = MetricCard("bad", "1", "x", "preference", "up", "image", "r")
    @property
    def scorer(self):
        return __import__("prefbench.registry").registry.make("scorer", f"{__file__}:Bad")
    def score(self, drawn):
        asked = [s.prompt for s in drawn.samples], [s.pixels for s in drawn.samples]
        return {"bad": self.scorer.score(History("test-0", (), ()), *asked)}
"""


@dataclass(frozen=True)
class Kind:
    """One kind of plug-in in a file `bad.py`: its source around a body, how it ends well, and the command."""

    source: Callable[[str], str]
    end: str
    call: Callable[[Path, Path], Result]
    """Given the file and a drawn run."""
    named: str = "bad"


def indented(body: str, depth: int) -> str:
    return textwrap.indent(textwrap.dedent(body), " " * 4 * depth)


def extractor(member: str, arguments: str = "self") -> Callable[[str], str]:
    """An extractor of which one member, or the function that makes it, runs the body."""

    def source(body: str) -> str:
        head = WORLD.format(suite=SUITE.rpartition(":")[0])
        if member == "bad":
            return head + EXTRACTOR.format(member="", body=indented(body, 1))
        decorated = "    @property\n" if member == "id" else ""
        own = f"{decorated}    def {member}({arguments}):\n{indented(body, 2)}"
        return head + EXTRACTOR.format(member=own, body="    pass")

    return source


def scored(file: Path, run: Path) -> Result:
    """Of the world that names the extractor; the run was drawn for another suite of the same digest."""
    return invoke("score", str(run), "--suite", f"{file}:World", "--metrics", f"{file}:Uses", "--json")


def ablated(file: Path, run: Path) -> Result:  # noqa: ARG001 - it draws its own
    return invoke("ablate", "ip-adapter", "--users", "2", "--out", str(file.parent / "out"), "--json")


IMAGES = "return np.array([[p.mean() + 1.0, 2.0] for p in pictures])"
KINDS: Mapping[str, Kind] = {
    "trainer": Kind(
        lambda body: f"def bad(request):\n{indented(body, 1)}", "return {'a': 1}",
        lambda file, _: invoke("train", f"{file}:bad", "--out", str(file.parent / "out"), "--json"),
    ),
    "ablation": Kind(lambda body: f"def bad(request, log):\n{indented(body, 1)}", "", ablated, "ip-adapter"),
    "control": Kind(
        lambda body: f"class Bad(Good): pass\ndef bad(histories):\n{indented(body, 1)}", "return histories",
        lambda file, run: invoke(*arguments_of_run(
            file, run.parents[1] / "backbone", file.parent / "new", "--control", f"{file}:bad", "--no-score", "--json"
        )),
    ),
    "report": Kind(
        lambda body: REPORT.format(body=indented(body, 2)), "return {'n': 1}",
        lambda file, run: invoke("report", str(run), "--name", f"{file}:Bad", "--out", str(run / "x"), "--json"),
    ),
    "extractor": Kind(extractor("bad"), "", scored),
    "extractor's id": Kind(extractor("id"), "return 'bad[x]@0'", scored),
    "extractor's images": Kind(extractor("images", "self, pictures"), IMAGES, scored),
    "extractor's texts": Kind(
        extractor("texts", "self, texts"), "return np.array([[len(t) + 1.0, 2.0] for t in texts])", scored
    ),
    "scorer": Kind(
        lambda body: SCORER.replace("{body}", indented(body, 2)), "return [p.mean() / 255 for p in pictures]",
        lambda file, run: invoke("score", str(run), "--suite", SUITE, "--metrics", f"{file}:Uses", "--json"),
    ),
}  # fmt: skip
RAISED = {
    "an exception": ("raise ValueError('no')", "ValueError: no"),
    "sys.exit(0)": ("sys.exit(0)", "SystemExit: 0"),
    "GeneratorExit": ("raise GeneratorExit", "GeneratorExit"),
    "endless recursion": ("def f(): return f()\nf()", "RecursionError"),
    "KeyboardInterrupt of its own": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "a bare BaseException": ("raise BaseException('odd')", "BaseException: odd"),
    "an exception without text": ("raise Silent", "whose text cannot be shown"),
    "control characters": ("raise ValueError('\\x1b]0;owned\\x07\\nnext')", "owned"),
    "a refusal": ("raise PrefbenchError('too dark')", "too dark"),
    "a refusal with control characters": ("raise PrefbenchError('\\x1b[2Jred\\nnext')", "red next"),
    "failed samples": (
        "from prefbench.api.errors import FailedSamplesError\nraise FailedSamplesError('boo')", "boo",
    ),
    "a command's end": ("import click\nraise click.exceptions.Exit(0)", "Exit"),
    "an OSError": ("open('/no/such/file')", "FileNotFoundError"),
}  # fmt: skip
RETURNED = {
    "a number": "return 7", "a text": "return 'ab'", "a list": "return [1, 2]", "an object": "return object()",
    "a class": "return int", "a generator": "return (i for i in (1,))", "what JSON does not hold": "return {'a': {1}}",
    "itself": "a = {}\na['a'] = a\nreturn a", "an endless number": "return {'a': 10 ** 5000}",
    "what lies": "class L(dict):\n    def items(self): raise ValueError('no items')\nreturn L(a=1)",
    "what fails when it is looked at": (
        "class L:\n    def __getattribute__(self, name): raise ValueError('no looks')\nreturn L()"
    ),
}  # fmt: skip
CHANGED = {
    "the working folder": "os.chdir('/')",
    "sys.stdout": "sys.stdout = sys.__stdout__ = None",
    "the environment": "os.environ['PREFBENCH_HOSTILE'] = '1'; os.environ.pop('HOME', None)",
    "the default type": "torch.set_default_dtype(torch.float64)",
    "threads": "torch.set_num_threads(torch.get_num_threads() + 2)",
    "warnings": "warnings.simplefilter('error')",
    "Ctrl-C": "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "arguments": "sys.argv[:] = ['nothing']",
    "the search path": "sys.path.clear()",
    "the hooks": "sys.excepthook = sys.unraisablehook = threading.excepthook = None",
    "the rights of new files": "os.umask(0o777)",
    "a profile": "sys.setprofile(lambda *a: None)",
}


def state() -> tuple[object, ...]:
    mask = os.umask(0o022)
    os.umask(mask)
    return (
        Path.cwd(), sys.stdout, dict(os.environ), torch.get_default_dtype(), torch.get_num_threads(), mask,
        [one for one in warnings.filters if one[0] == "error"], np.geterr(), signal.getsignal(signal.SIGINT),
        list(sys.argv), sorted(set(sys.path)), sys.excepthook, sys.unraisablehook, threading.excepthook,
        sys.getprofile(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scored run, with its backbone beside the runs."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "backbone").symlink_to(tiny_sd)
    file = write(folder, "class Bad(Good): pass")
    done = invoke(*arguments_of_run(file, tiny_sd, folder / "runs", "--metrics", f"{file}:Redness"))
    assert done.exit_code == 0, done.output
    return next((folder / "runs").iterdir())


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    surroundings._WARNED.clear()
    yield
    sys.modules.pop("bad", None)


Try = Callable[[str, str], Result]


@pytest.fixture
def attempt(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Try:
    """Runs the command of a kind on a plug-in with a body; ablations are an installed package's."""

    def run(kind: str, body: str) -> Result:
        file = write(tmp_path, KINDS[kind].source(body))
        if kind == "ablation":
            install(tmp_path, monkeypatch, "ablation", {"ip-adapter": "bad:bad"})
        (drawn / "scores" / "uses.jsonl").unlink(missing_ok=True)
        (drawn / "scores" / "bad.jsonl").unlink(missing_ok=True)
        for shard in (drawn / "features").rglob("*.npz"):
            shard.unlink()
        return KINDS[kind].call(file, drawn)

    return run


def check_one_line(kind: str, done: Result, told: str) -> None:
    check_clean(done)
    assert done.exit_code == 2, done.output
    assert done.stdout in ("", "[]\n")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("prefbench: ")
    assert told in last
    assert KINDS[kind].named in last.lower()
    assert last.isprintable()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("body", "told"), RAISED.values(), ids=RAISED)
def test_what_a_plug_in_raises_is_one_line_that_names_it(kind: str, body: str, told: str, attempt: Try) -> None:
    check_one_line(kind, attempt(kind, body), told)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("report", "extractor")])
@pytest.mark.parametrize("body", RETURNED.values(), ids=RETURNED)
def test_what_a_plug_in_returns_wrongly_is_one_line_that_names_it(kind: str, body: str, attempt: Try) -> None:
    if (kind, body) == ("extractor's id", "return 'ab'"):
        pytest.skip("a text is an id")
    check_one_line(kind, attempt(kind, body), "")


@pytest.mark.parametrize("body", ["return None", *RETURNED.values()], ids=["nothing", *RETURNED])
def test_a_function_that_makes_no_extractor_is_one_line_that_names_it(body: str, attempt: Try) -> None:
    check_one_line("extractor", attempt("extractor", body), "extractor")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", CHANGED.values(), ids=CHANGED)
def test_what_a_plug_in_changes_is_put_back(
    kind: str, body: str, attempt: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())  # as the package of an ablation is
    before = state()
    done = attempt(kind, f"{body}\nraise ValueError('no')")
    assert state() == before
    check_one_line(kind, done, "ValueError: no")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ablation"])
def test_what_a_plug_in_prints_stays_out_of_the_json(kind: str, attempt: Try) -> None:
    done = attempt(kind, f"print('spoilt'); sys.stdout.write('spoilt')\n{KINDS[kind].end}")
    check_clean(done)
    assert done.exit_code == 0, done.output
    json.loads(done.stdout)
    assert "spoilt" not in done.stdout
    assert "spoilt" in done.stderr


ABLATIONS = {
    "no variants": "return Ablation([], {}, {})",
    "texts as variants": "return Ablation(['whole'], {}, {})",
    "a variant without a name": "return Ablation([Variant('a', None, {})], {}, {})",
    "parameters that are a text": "return Ablation([Variant('a', 'whole', 'x')], {}, {})",
    "training that is a text": "return Ablation([Variant('a', 'whole', {})], 'x', {})",
    "training that is no JSON": "return Ablation([Variant('a', 'whole', {})], {'a': {1}}, {})",
    "a backbone that is a number": "return Ablation([Variant('a', 'whole', {})], {}, {}, 7)",
    "another variant first": "return Ablation([Variant('a', 'b', {})], {}, {})",
}


@pytest.mark.parametrize("body", ABLATIONS.values(), ids=ABLATIONS)
def test_an_ablation_whose_variants_are_none_is_one_line_before_anything_is_drawn(body: str, attempt: Try) -> None:
    head = "from prefbench.training.variants import Ablation, Variant\n"
    check_one_line("ablation", attempt("ablation", head + body), "ablation 'ip-adapter'")
    assert not list(Path.cwd().glob("out/**/run.json"))


def test_an_ablation_of_no_method_is_refused_before_it_trains(tmp_path: Path) -> None:
    file = write(tmp_path, f"def bad(request, log):\n    open({str(tmp_path / 'trained')!r}, 'w')\n")
    done = invoke("ablate", f"{file}:bad", "--users", "2", "--out", str(tmp_path / "out"))
    assert done.exit_code == 2, done.output
    assert "bad" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "trained").exists()


@pytest.mark.parametrize("name", ["absolute", "above"])
def test_a_trainer_of_a_file_trains_below_out(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, "def bad(request):\n    request.folder.mkdir(parents=True)\n    return {'a': 1}\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    given = {"absolute": str(file), "above": "../bad.py"}[name]
    done = invoke("train", f"{given}:bad", "--out", "out")
    assert done.exit_code == 0, done.output
    assert [path.name for path in Path("out").iterdir()] == ["bad.py:bad"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["__pycache__", "bad.py", "here"] or not list(
        tmp_path.glob("bad.py:*")
    )


def test_a_limit_of_pillow_that_a_plug_in_sets_refuses_no_picture(monkeypatch: pytest.MonkeyPatch, drawn: Path) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    from prefbench.api.pictures import read_picture

    assert read_picture(next(drawn.glob("images/*/*.png"))).size == (8, 8)
