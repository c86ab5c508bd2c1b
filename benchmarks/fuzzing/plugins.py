"""Generated methods, metrics and suites that raise, return, print, exit and change whatever they can.

Each is run by the real command on a suite of three users. What it returns is stored as it is, or refused, or a failed
sample: pictures and numbers that are stored are compared with those that the source says.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.fuzzing.trial import (
    METRICS,
    SUITE,
    WORLD,
    Trial,
    WrongError,
    arguments_of_run,
    command,
    copied,
    tiny_backbone,
)
from benchmarks.fuzzing.world import noise
from prefbench.api import image_digest
from prefbench.run.folder import RunFolder
from prefbench.score.score_files import read_scores

HEAD = f"""
import asyncio, builtins, decimal, fractions, gc, io, itertools, locale, logging, math, os, random
import signal, sys, threading, time, warnings
import numpy as np
import torch
from pathlib import Path
from PIL import Image
from prefbench.api import *
sys.path.insert(0, {str(WORLD.parent)!r})
from world import Painter, Redness, World, noise

class Silent(BaseException):
    def __str__(self): raise self

class Odd(float):
    def __float__(self): raise ValueError("odd")
    def __repr__(self): return "\\x1b[2J"
"""
CTRL_C = "os.kill(os.getpid(), signal.SIGINT)"
"""What the process cannot tell from a user's Ctrl-C, and what ends a command as that does."""
RAISED = (
    "raise ValueError('no')", "raise KeyError({})", "sys.exit(0)", "sys.exit('bye')", "sys.exit(None)", "exit()",
    "raise Silent",
    "raise KeyboardInterrupt", "raise GeneratorExit", "raise StopIteration", "raise StopAsyncIteration",
    "raise MemoryError",
    "raise asyncio.CancelledError", "raise BaseException('x' * 10 ** 6)", "raise ValueError('\\x1b[2J\\n' * 9)",
    "1 / 0",
    "raise PrefbenchError('a\\nb\\x07')", "raise PrefbenchError('')", "raise PrefbenchError(7)",
    "raise OSError(28, 'full')",
    "raise UnicodeDecodeError('utf-8', b'', 0, 1, 'x')", "raise BaseExceptionGroup('g', [SystemExit(3), ValueError()])",
    "raise torch.OutOfMemoryError('CUDA out of memory')", "def f(): return f()\nf()", "import no_such_module",
    "assert False, Silent()",
    "raise NotMeasurableError('too\\nfew')", "raise type('Ö\\n', (Exception,), {})('x')", "raise ValueError('\\ud800')",
    "raise SystemExit(Silent())", "raise FileNotFoundError(2, 'no', 'a\\nb')", "raise BrokenPipeError",
    "raise TimeoutError",
    "raise PluginError('x', 'y', 'z')" , "open('/dev/full', 'w').write('x')", CTRL_C,
)  # fmt: skip
DEEDS = (
    "print('spoilt')", "sys.stdout.write('{}')", "os.write(1, b'spoilt')", "os.chdir('/')", "sys.stdout = None",
    "sys.stderr = io.StringIO()",
    "os.environ.clear()", "torch.set_default_dtype(torch.float64)", "np.seterr(all='raise')",
    "warnings.simplefilter('error')",
    "random.seed(0); np.random.seed(0); torch.manual_seed(0)", "logging.disable()",
    "logging.basicConfig(level=0, force=True)",
    "sys.setrecursionlimit(200)", "signal.signal(signal.SIGINT, signal.SIG_IGN)", "gc.disable()",
    "sys.argv.clear()", "sys.path.clear()",
    "locale.setlocale(locale.LC_ALL, 'C')", "threading.Thread(target=time.sleep, args=(2,)).start()",
    "os.umask(0o777)", "json = None",
    "threading.Thread(target=lambda: 1 / 0).start()", "Image.MAX_IMAGE_PIXELS = 1", "torch.set_grad_enabled(True)",
    "os.close(1)",
    "builtins.print = None", "torch.use_deterministic_algorithms(True)", "Image.Image.convert = None",
    "sys.modules.pop('json', None)",
    "warnings.warn('\\x1b[2Jspoilt')", "logging.warning('a\\x07b')",
    "import atexit; atexit.register(lambda: 1 / 0)", "pass",
)  # fmt: skip
PICTURES = (
    "noise(r.seed % 2**31)", "Image.new('RGBA', (3, 2), (9, 9, 9, 0))", "Image.new('L', (3, 2), 7)",
    "Image.new('F', (3, 2))", "None",
    "Image.new('I', (3, 2))", "Image.new('RGB', (0, 3))", "Image.new('1', (1, 1))", "Image.new('P', (2, 2))",
    "np.zeros((3, 3, 3))", "'x'",
    "Image.new('RGB', (9000, 8000))", "Image.new('CMYK', (2, 2))",
    "Image.fromarray(np.full((2, 2), 65535, np.uint16))", "Image.Image()",
)  # fmt: skip
DRAWN = ("[d(r) for r in requests]", "(d(r) for r in requests)", "tuple(d(r) for r in requests)",
    "[d(r) for r in requests][1:]", "None",
         "[d(r) for r in requests] * 2", "{}", "'ab'", "itertools.repeat(d(requests[0]))",
         "[d(r) for r in requests][::-1]", "7",
         "[d(r).image for r in requests]", "np.array([d(r) for r in requests], dtype=object)",
         "[[d(r)] for r in requests]")  # fmt: skip
PROMPTS_USED = ("r.prompt", "''", "'a' * 10 ** 5", "'\\x1b[2J'", "'\\ud800'", "None", "7", "b'x'", "r.prompt, True",
    "r.prompt, -1",
                "r.prompt, 2.5", "r.prompt, float('nan')", "r.prompt, 10 ** 30", "r.prompt, np.int64(3)",
                "r.prompt, '3'")  # fmt: skip
NUMBERS = ("0.5", "1", "True", "None", "float('nan')", "float('inf')", "-0.0", "1e-320", "10 ** 400", "2", "-1",
    "np.float32(0.1)",
           "np.int8(1)", "np.bool_(True)", "torch.tensor(0.25)", "decimal.Decimal('0.1')",
           "fractions.Fraction(1, 3)", "'0.5'", "1j", "[]",
           "np.array(0.5)", "np.array([0.5])", "Odd(0.5)", "np.float16(0.1)", "np.datetime64('2020')", "object()",
           "b'1'")  # fmt: skip
COLUMNS = (
    "'mine'",
    "'mine/part'",
    "'redness'",
    "7",
    "''",
    "'mine\\x1b[2J'",
    "'mine/'",
    "'/mine'",
    "'mine/\\ud800'",
    "'Mine'",
    "None",
    "'mine|x'",
)
PROFILES = ("Profile(history.user)", "None", "Profile('other')", "Profile(history.user, lambda: 1)",
    "Profile(history.user, Silent)",
            "Profile(history.user, {'a': [1, (2.5, 'x')]})", "Profile(history.user, None, -1)",
            "Profile(history.user, trained_parameters='x')",
            "Profile(history.user, float('nan'))", "Profile(history.user, {'\\ud800': 1})", "'x'",
            "Profile(7)")  # fmt: skip
STATES = ("{}", "None", "{7: [1.0]}", "{'a': np.zeros(2)}", "{'a': np.array([np.nan])}", "{'a': 'x'}", "[]")
CARDS = ("MethodCard('bad', '1', 'x')", "MethodCard('prompt-only', '1', 'x')", "MethodCard('a\\nb', '1', 'x')", "None",
         "MethodCard('bad', 1, 'x')", "MethodCard('../x', '1', 'x')",
         "MethodCard('bad', '1', 'x', training='often')", "World.card",
         "MethodCard('bad', '\\x1b', 'x')", "MethodCard('=cmd()', '1', '|x|')",
         "MethodCard('b|_{}d', '1', 'x', attack='[a](b)')")  # fmt: skip


KNOWN: Mapping[str, float | None] = {
    "0.5": 0.5, "1": 1.0, "None": None, "float('nan')": None, "-0.0": -0.0, "1e-320": 1e-320, "2": 2.0, "-1": -1.0,
    "np.float32(0.1)": float(np.float32(0.1)), "np.int8(1)": 1.0, "np.float16(0.1)": float(np.float16(0.1)),
}  # fmt: skip
"""What some of them are stored as."""


@dataclass(frozen=True)
class Source:
    """A plug-in, and what it must store where it is not refused."""

    text: str
    paints_noise: bool = False
    values: Sequence[object] = ()


class Plugins:
    """The campaign."""

    def __init__(self, folder: Path) -> None:
        self.backbone = tiny_backbone(folder)
        drawn = folder / "drawn"
        if not drawn.exists():
            command(*arguments_of_run(self.backbone, folder / "scored"), "--metrics", METRICS)  # loads every library
            command(*arguments_of_run(self.backbone, drawn), "--no-score")
        self.drawn = next(path.parent for path in drawn.glob("*/run.json"))

    def answer(self, trial: Trial) -> str:
        return self._method(trial) if trial.chance(0.5) else self._metric(trial)

    def _method(self, trial: Trial) -> str:
        source, out = _method(trial), trial.folder / "runs"
        path = _write(trial.folder, source.text)
        scored = ["--metrics", f"{WORLD}:Redness"] if trial.chance(0.3) else ["--no-score"]
        words = (*arguments_of_run(self.backbone, out, method=f"{path}:Bad"), *scored, "--json")
        done = command(*words, interrupted=CTRL_C in source.text)
        if "spoilt" in done.out:
            raise WrongError("what a plug-in printed stands in the JSON")
        samples = [s for run in out.glob("*/run.json") for s in RunFolder(run.parent).samples().values()]
        if done.code == 0 and not (samples and all(sample.status == "ok" for sample in samples)):
            raise WrongError(f"exit code {done.code}, and the samples are {[sample.status for sample in samples]}")
        if done.code == 130 and any(sample.status != "ok" for sample in samples):
            raise WrongError("Ctrl-C fails samples")
        if source.paints_noise:
            for sample in samples:
                if sample.image not in (None, image_digest(noise(sample.seed % 2**31))):
                    raise WrongError("another picture is stored than was returned")
        return f"method ends with {done.code}"

    def _metric(self, trial: Trial) -> str:
        source, run = _metric(trial), copied(self.drawn, trial.folder / self.drawn.name)
        path = _write(trial.folder, source.text)
        metrics = f"{path}:Bad" if trial.chance(0.5) else f"{path}:Bad,{WORLD}:Redness"
        words = ("score", str(run), "--metrics", metrics, "--suite", SUITE, "--json")
        done = command(*words, interrupted=CTRL_C in source.text)
        if "spoilt" in done.out:
            raise WrongError("what a plug-in printed stands in the JSON")
        stored = read_scores(RunFolder(run), "mine")
        if stored is not None and done.code == 130:
            raise WrongError("Ctrl-C leaves scores of the metric that it stopped")
        if stored is None:
            return f"metric ends with {done.code}"
        rows = [row.value for row in stored.rows if row.column == "mine"]
        expected = _stored(source.values, len(rows))
        if expected is not None and json.dumps(rows) != json.dumps(expected):
            raise WrongError(f"stored {rows}, returned {source.values}")
        return "metric stored"


def _write(folder: Path, text: str) -> Path:
    path = folder / "bad.py"
    path.write_text(HEAD + text, errors="surrogatepass")
    return path


def _body(*lines: str) -> str:
    return textwrap.indent("\n".join(lines), " " * 8)


def _method(trial: Trial) -> Source:
    """A method with one or two faults."""
    deed = trial.of(
        ("import", "class", "__init__", "setup", "profile", "generate", "generate", "generate", "represent", "card")
    )
    fault = trial.of((trial.of(RAISED), trial.of(DEEDS), "\n".join((trial.of(DEEDS), trial.of(DEEDS)))))
    if deed in ("import", "class"):
        inside = textwrap.indent(fault, "    ")
        return Source(
            f"{fault}\nclass Bad(Painter): pass" if deed == "import" else f"class Bad(Painter):\n{inside}", True
        )
    if deed == "card":
        return Source(f"class Bad(Painter):\n    card = {trial.of(CARDS)}\n", True)
    ends = {"__init__": "pass", "setup": "self.context = context", "profile": f"return {trial.of(PROFILES)}",
            "represent": f"return {trial.of(STATES)}"}  # fmt: skip
    arguments = {
        "__init__": "self",
        "setup": "self, context",
        "profile": "self, history",
        "represent": "self, history, item=None",
    }
    if deed in arguments:
        lines = [fault, ends[deed]] if trial.chance(0.6) else [ends[deed]]
        return Source(f"class Bad(Painter):\n    def {deed}({arguments[deed]}):\n{_body(*lines)}\n", True)
    picture, used, returned = (
        trial.of((PICTURES[0], trial.of(PICTURES))),
        trial.of(("r.prompt", trial.of(PROMPTS_USED))),
        trial.of(DRAWN),
    )
    answer = f"def d(r): return Drawing({picture}, {used})"
    lines = [answer, *([fault] if trial.chance(0.4) else []), f"return {returned}"]
    in_order = returned in (DRAWN[0], DRAWN[2])
    return Source(
        f"class Bad(Painter):\n    def generate(self, requests):\n{_body(*lines)}\n",
        picture == PICTURES[0] and in_order,
    )


def _metric(trial: Trial) -> Source:
    """A metric that returns a mixture of values, or fails."""
    number = trial.of((trial.of(NUMBERS), trial.of(tuple(KNOWN))))
    mixed = trial.chance(0.5)
    values = [number if not mixed or i % 3 else "0.5" for i in range(12)]
    column = trial.of(("'mine'", "'mine'", trial.of(COLUMNS)))
    shape = trial.of(
        ("[{}]", "[{}]", "[{}]", "({},)", "np.array([{}])", "torch.tensor([{}])", "iter([{}])", "[{}][1:]", "set([{}])")
    )
    returned = f"return {{{column}: {shape.format(', '.join(values))}}}"
    bounds = trial.of(
        ("(None, None)", "(None, None)", "(-1.0, None)", "(0.0, 1.0)", trial.of(("(1, 0)", "('a', None)", "None")))
    )
    card = f"MetricCard('mine', '1', 'x', 'side', 'up', 'image', 'r', bounds={bounds})"
    fault = [trial.of((*RAISED, *DEEDS))] if trial.chance(0.25) else []
    text = f"class Bad(ImageMetric):\n    card = {card}\n    def score(self, drawn):\n{_body(*fault, returned)}\n"
    return Source(text, values=values if shape in ("[{}]", "({},)") else ())


def _stored(values: Sequence[object], n: int) -> list[float | None] | None:
    """What must be stored of these texts of numbers, None where that is not known here."""
    if len(values) != n or not all(value in KNOWN for value in values):
        return None
    return [KNOWN[str(value)] for value in values]
