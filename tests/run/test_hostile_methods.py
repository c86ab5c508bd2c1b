"""Methods that break their contract in every way end in one line, or in failed samples; what was drawn is kept."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from prefbench.api import surroundings
from tests.support.hostile import arguments_of_run, check_clean, invoke, method_of, rows_in, statuses, write

pytestmark = pytest.mark.slow
RAISED = {
    "an exception": ("raise ValueError('no')", "ValueError: no"),
    "sys.exit(0)": ("sys.exit(0)", "SystemExit: 0"),
    "sys.exit of a text": ("sys.exit('bye')", "SystemExit: bye"),
    "GeneratorExit": ("raise GeneratorExit", "GeneratorExit"),
    "StopIteration": ("next(iter(()))", "StopIteration"),
    "endless recursion": ("def f(): return f()\nf()", "RecursionError"),
    "MemoryError": ("raise MemoryError", "MemoryError"),
    "CUDA memory": ("raise torch.OutOfMemoryError('CUDA out of memory')", "CUDA out of memory"),
    "KeyboardInterrupt of its own": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "a bare BaseException": ("raise BaseException('odd')", "BaseException: odd"),
    "an exception without text": ("raise Silent", "whose text cannot be shown"),
    "an endless text": ("raise ValueError('x' * 10 ** 7)", "ValueError: xxx"),
    "control characters": ("raise ValueError('\\x1b]0;owned\\x07\\nnext')", "ValueError"),
    "a refusal with control characters": ("raise PrefbenchError('\\x1b[2Jred\\nnext')", "red next"),
    "an empty refusal": ("raise PrefbenchError('')", "Error"),
    "an OSError": ("open('/no/such/file')", "FileNotFoundError"),
    "an ImportError": ("import no_such_module_at_all", "ModuleNotFoundError"),
    "an assertion": ("assert False", "AssertionError"),
    "an empty picture": (
        "return [Drawing(Image.new('RGB', (0, 8)), 'x') for r in requests]",
        "bad returned an image that",
    ),
    "an exception group": ("raise ExceptionGroup('many', [ValueError('a')])", "many"),
}
BEFORE = {name: one for name, one in RAISED.items() if name != "an empty picture"}
RETURNED = {
    "nothing": "return None",
    "a generator": "return (one for one in painted(requests))",
    "an iterator without end": "import itertools\nreturn itertools.repeat(painted(requests)[0])",
    "too few": "return painted(requests)[:-1]",
    "too many": "return painted(requests) * 2",
    "a text": "return 'ab'[:len(requests)]",
    "an array": "return np.zeros((len(requests), 8, 8, 3), np.uint8)",
    "a dictionary": "return dict(enumerate(painted(requests)))",
    "pictures": "return [d.image for d in painted(requests)]",
    "arrays as pictures": "return [Drawing(np.zeros((8, 8, 3)), 'x') for r in requests]",
    "a prompt that is no text": "return [Drawing(d.image, 7) for d in painted(requests)]",
    "a negative count": "return [Drawing(d.image, 'x', -1) for d in painted(requests)]",
    "NaN as a count": "return [Drawing(d.image, 'x', float('nan')) for d in painted(requests)]",
    "a sequence that fails": (
        "class S(list):\n    def __len__(self): raise ValueError('no length')\nreturn S(painted(requests))"
    ),
}
CHANGED = {
    "the working folder": "os.chdir('/')",
    "sys.stdout": "sys.stdout = None",
    "sys.stdout closed": "sys.stdout.close()",
    "the environment": "os.environ['PREFBENCH_HOSTILE'] = '1'; os.environ.pop('HOME', None)",
    "the default type": "torch.set_default_dtype(torch.float64)",
    "gradients": "torch.set_grad_enabled(False)",
    "warnings": "warnings.simplefilter('error')",
    "NumPy": "np.seterr(all='raise')",
    "Ctrl-C": "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "recursion": "sys.setrecursionlimit(sys.getrecursionlimit() - 300)",
    "arguments": "sys.argv[:] = ['nothing']",
    "an alarm": "signal.alarm(100)",
    "seeds": "torch.manual_seed(0); np.random.seed(0)",
    "logs": "logging.disable(logging.CRITICAL); logging.root.handlers.clear()",
}
PRINTED = {
    "print": "print('spoilt')",
    "standard output": "sys.stdout.write('spoilt')",
    "a log": "logging.basicConfig(stream=sys.stdout, force=True); logging.warning('spoilt')",
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Runs start in a folder of their own, with a relative --out."""
    monkeypatch.chdir(tmp_path)
    surroundings._WARNED.clear()
    yield
    signal.alarm(0)


@pytest.mark.parametrize(("body", "told"), RAISED.values(), ids=RAISED)
def test_what_generate_raises_fails_its_samples_and_keeps_the_others(
    body: str, told: str, tmp_path: Path, tiny_sd: Path
) -> None:
    path = write(tmp_path, method_of("generate", body))
    done = invoke(*arguments_of_run(path, tiny_sd, "runs", "--no-score", "--json"))
    check_clean(done)
    assert done.exit_code == 1, done.output
    rows = rows_in(tmp_path / "runs")
    assert statuses(rows) == {"ok": 2, "failed": 4}
    for row in rows:
        assert row["error"] is None or (
            told in row["error"] and row["error"].isprintable() and len(row["error"]) <= 500
        )


@pytest.mark.parametrize("deed", ["__init__", "setup"])
@pytest.mark.parametrize(("body", "told"), BEFORE.values(), ids=BEFORE)
def test_what_a_method_raises_before_it_draws_is_one_line(
    deed: str, body: str, told: str, tmp_path: Path, tiny_sd: Path
) -> None:
    path = write(tmp_path, method_of(deed, body))
    done = invoke(*arguments_of_run(path, tiny_sd, "runs", "--no-score", "--json"))
    check_clean(done)
    assert done.exit_code == 2, done.output
    last = done.stderr.splitlines()[-1]
    assert last.startswith("prefbench: ")
    assert told in last
    assert "bad" in last
    assert last.isprintable()
    assert not rows_in(tmp_path / "runs")


@pytest.mark.parametrize("body", RETURNED.values(), ids=RETURNED)
def test_what_generate_returns_wrongly_is_one_line_and_keeps_what_was_drawn(
    body: str, tmp_path: Path, tiny_sd: Path
) -> None:
    path = write(tmp_path, method_of("generate", body))
    done = invoke(*arguments_of_run(path, tiny_sd, "runs", "--no-score", "--json"))
    check_clean(done)
    assert done.exit_code == 2, done.output
    assert "bad" in done.stderr.splitlines()[-1]
    assert statuses(rows_in(tmp_path / "runs")) == {"ok": 2}


UNSEEN = {
    "an empty picture": "return [Drawing(Image.new('RGB', (0, 8)), 'x') for r in requests]",
    "a picture that fails": (
        "class P(Image.Image):\n    def convert(self, *a, **k): sys.exit(0)\n"
        "p = P(); p._size = (8, 8)\nreturn [Drawing(p, 'x') for r in requests]"
    ),
    "a picture that exits": (
        "class P(Image.Image):\n    def load(self): sys.exit(0)\n"
        "p = P(); p._size = (8, 8); p._mode = 'RGB'\nreturn [Drawing(p, 'x') for r in requests]"
    ),
}


@pytest.mark.parametrize("body", UNSEEN.values(), ids=UNSEEN)
def test_a_picture_that_cannot_be_seen_fails_its_sample_and_keeps_the_others(
    body: str, tmp_path: Path, tiny_sd: Path
) -> None:
    path = write(tmp_path, method_of("generate", body))
    done = invoke(*arguments_of_run(path, tiny_sd, "runs", "--no-score", "--json"))
    check_clean(done)
    assert done.exit_code == 1, done.output
    assert statuses(rows_in(tmp_path / "runs")) == {"ok": 2, "failed": 4}


@pytest.mark.parametrize("deed", ["generate", "setup", "profile"])
@pytest.mark.parametrize("body", CHANGED.values(), ids=CHANGED)
def test_what_a_method_changes_is_put_back(deed: str, body: str, tmp_path: Path, tiny_sd: Path) -> None:
    end = {"generate": "return painted(requests)", "setup": "", "profile": "return Profile(history.user)"}[deed]
    path = write(tmp_path, method_of(deed, f"{body}\n{end}"))
    before = _state()
    done = invoke(*arguments_of_run(path, tiny_sd, "runs", "--no-score", "--json"))
    if "close" not in body:  # the stream of a test lies in memory, so what was written to it is gone
        check_clean(done)
    assert done.exit_code == 0, done.output
    assert _state() == before
    assert statuses(rows_in(tmp_path / "runs")) == {"ok": 6}


def _state() -> tuple[object, ...]:
    return (
        Path.cwd(), sys.stdout, dict(os.environ), torch.get_default_dtype(), torch.is_grad_enabled(),
        [one for one in warnings.filters if one[0] == "error"], np.geterr(), signal.getsignal(signal.SIGINT),
        sys.getrecursionlimit(), list(sys.argv), signal.getitimer(signal.ITIMER_REAL)[0],
    )  # fmt: skip


@pytest.mark.parametrize("where", ["import", "class", "setup", "generate"])
@pytest.mark.parametrize("body", PRINTED.values(), ids=PRINTED)
def test_what_a_method_prints_stays_out_of_the_json(where: str, body: str, tmp_path: Path, tiny_sd: Path) -> None:
    if where in ("setup", "generate"):
        source = method_of(where, f"{body}\nreturn None if {where == 'setup'} else painted(requests)")
    else:
        source = f"{body}\nclass Bad(Good): pass" if where == "import" else f"class Bad(Good):\n    {body}"
    done = invoke(*arguments_of_run(write(tmp_path, source), tiny_sd, "runs", "--no-score", "--json"))
    check_clean(done)
    assert done.exit_code == 0, done.output
    assert "spoilt" not in done.stdout
    assert "spoilt" in done.stderr


@pytest.mark.parametrize(
    "card",
    [
        "MethodCard('bad', 7, 'x')", "MethodCard(7, '1', 'x')", "MethodCard('', '1', 'x')",
        "MethodCard('b\\n', '1', 'x')",
        "MethodCard('bad', '1', 'x', training='often')", "MethodCard('bad', '1', 'x', backbones='mini-sd')",
        "MethodCard('bad', '1', 'x', control='yes')", "None", "'bad'",
    ],
)  # fmt: skip
def test_a_card_that_holds_something_else_is_one_line(card: str, tmp_path: Path, tiny_sd: Path) -> None:
    path = write(tmp_path, f"class Bad(Good):\n    card = {card}\n")
    done = invoke(*arguments_of_run(path, tiny_sd, "runs", "--no-score"))
    check_clean(done)
    assert done.exit_code == 2, done.output
    assert "card" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("body", "told"), BEFORE.values(), ids=BEFORE)
def test_what_a_file_raises_when_it_is_imported_is_one_line(
    body: str, told: str, tmp_path: Path, tiny_sd: Path
) -> None:
    done = invoke(*arguments_of_run(write(tmp_path, f"{body}\nclass Bad(Good): pass"), tiny_sd, "runs"))
    check_clean(done)
    assert done.exit_code == 2, done.output
    assert told in done.stderr.splitlines()[-1]
    assert "bad.py" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "profile",
    ["None", "'x'", "Profile('somebody')", "Profile(history.user, lambda: 1)", "Profile(history.user, None, -1)",
     "Profile(history.user, None, 'many')", "Profile(history.user, {})"],
)  # fmt: skip
def test_a_profile_that_is_none_fails_the_samples_of_its_user(profile: str, tmp_path: Path, tiny_sd: Path) -> None:
    order = "order = vars(self).setdefault('order', {})\nplace = order.setdefault(history.user, len(order))\n"
    body = f"{order}return {profile} if place == 1 else Profile(history.user)"
    path = write(tmp_path, method_of("profile", body))
    done = invoke(*arguments_of_run(path, tiny_sd, "runs", "--no-score"))
    check_clean(done) if not done.stdout else None
    fine = profile.endswith("{})")
    assert done.exit_code == (0 if fine else 1), done.output
    assert statuses(rows_in(tmp_path / "runs")) == ({"ok": 6} if fine else {"ok": 4, "failed": 2})
