"""Suites, reports and controls that break their contract end in one line that names them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.hostile import SUITE, arguments_of_run, check_clean, invoke, write

HEAD = """
import importlib.util
spec = importlib.util.spec_from_file_location("tiny_suite_of_hostile", {path!r})
tiny = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)
import dataclasses

class World(tiny.TinySuite):
    card = dataclasses.replace(tiny.TinySuite.card, name="world")
{body}
"""
SUITES = {
    "users that fail": ("def users(self, split): raise ValueError('no')", "users('test') raised ValueError: no"),
    "users that exit": ("def users(self, split): sys.exit(0)", "suite 'world': users('test') raised SystemExit: 0"),
    "no users": ("def users(self, split): return None", "suite 'world': users('test') is a NoneType, not a sequence"),
    "a generator": ("def users(self, split): return (u for u in [])", "is a generator, not a sequence"),
    "users without end": ("def users(self, split):\n        while True: yield 1", "is a generator, not a sequence"),
    "texts as users": ("def users(self, split): return ['a', 'b']", "users('test') holds a str, not a User"),
    "no history": ("def history(self, user, viewer='method'): return None", "is a NoneType, not a History"),
    "another's history": (
        "def history(self, user, viewer='method'): return super().history('test-1', viewer)", "is of 'test-1'",
    ),
    "another's cases": ("def cases(self, user): return super().cases('test-1')", "holds one of 'test-1'"),
    "cases that are texts": ("def cases(self, user): return ['a prompt']", "cases('test-0') holds a str, not a Case"),
    "a digest that is a number": ("digest = property(lambda self: 7)", "digest is a int, not a str"),
    "a constructor": ("def __init__(self): raise KeyError('no')", "the constructor raised KeyError"),
    "a card": ("card = dataclasses.replace(tiny.TinySuite.card, version=1)", "version on its card cannot be 1"),
    "an interrupt of its own": ("def cases(self, user): raise KeyboardInterrupt", "raised KeyboardInterrupt"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "told"), SUITES.values(), ids=SUITES)
def test_a_suite_that_breaks_its_contract_is_one_line(body: str, told: str, tmp_path: Path, tiny_sd: Path) -> None:
    source = HEAD.format(path=SUITE.rpartition(":")[0], body=f"    {body}")
    file = write(tmp_path, f"{source}\nclass Bad(Good): pass")
    arguments = arguments_of_run(file, tiny_sd, tmp_path / "runs", "--no-score", "--json")
    arguments[arguments.index("--suite") + 1] = f"{file}:World"
    done = invoke(*arguments)
    check_clean(done)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    last = done.stderr.splitlines()[-1]
    assert told in last
    assert "world" in last.lower()
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def scored(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    file = write(folder, "class Bad(Good): pass")
    done = invoke(*arguments_of_run(file, tiny_sd, folder / "runs", "--metrics", f"{file}:Redness"))
    assert (folder / "runs").is_dir(), done.output
    return next((folder / "runs").iterdir())


REPORT = """
class Mine(Report):
    card = ReportCard("mine", "1", "x", "runs")
    def measure(self, runs, context): return {{"n": len(runs)}}
    def as_json(self, result): return result
    def tables(self, result): return []
    {body}
"""
REPORTS = {
    "measure that fails": ("def measure(self, runs, context): raise ValueError('no')", "measure raised ValueError: no"),
    "measure that exits": ("def measure(self, runs, context): sys.exit(0)", "measure raised SystemExit: 0"),
    "write that exits": ("def write(self, result, folder): sys.exit(0)", "write raised SystemExit: 0"),
    "tables that are texts": ("def tables(self, result): return ['a']", "tables holds a str"),
    "no tables": ("def tables(self, result): return None", "tables raised TypeError"),
    "data that are no JSON": ("def as_json(self, result): return {1, 2}", "raised TypeError"),
    "NaN in its data": ("def as_json(self, result): return {'a': float('nan')}", "raised ValueError"),
    "a verdict that fails": ("def passed(self, result): raise Silent", "passed raised Silent"),
    "a constructor": ("def __init__(self): raise KeyError('no')", "the constructor raised KeyError"),
    "a card": ("card = ReportCard('mine', 1, 'x', 'runs')", "version on its card cannot be 1"),
    "a number of runs": ("card = ReportCard('mine', '1', 'x', 'seven')", "takes on its card cannot be 'seven'"),
}


@pytest.mark.parametrize(("body", "told"), REPORTS.values(), ids=REPORTS)
def test_a_report_that_breaks_its_contract_is_one_line(body: str, told: str, scored: Path, tmp_path: Path) -> None:
    run = shutil.copytree(scored, tmp_path / "runs" / scored.name)
    file = write(tmp_path, REPORT.format(body=body))
    done = invoke("report", str(run), "--name", f"{file}:Mine", "--out", str(tmp_path / "out"), "--json")
    check_clean(done)
    assert done.exit_code == 2, done.output
    last = done.stderr.splitlines()[-1]
    assert told in last
    assert "mine" in last.lower()
