"""The example of a paper: its text cites numbers and writes none, says what they say, and compiles on two pages."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import prefbench
from tests.support.latex import needs_latex

EXAMPLE = Path(__file__).parents[1] / "examples" / "paper"
RANGE = re.compile(r"\\range\{(\w+)\}")
CITED = re.compile(r"\\(pb[A-Z][A-Za-z]*)")


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prefbench_example_paper", EXAMPLE / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def numbers(make: ModuleType) -> Mapping[str, Any]:
    """The stored values by their macros, as `numbers.json` holds them."""
    content = prefbench.report((), "paper", metrics=make.METRICS).as_json()
    stored: Mapping[str, Any] = json.loads(json.dumps(content))
    return stored


@pytest.fixture(scope="module")
def text() -> str:
    """What the paper says, without comments and the preamble."""
    source = (EXAMPLE / "paper.tex").read_text(encoding="utf-8")
    return re.sub(r"(?<!\\)%.*", "", source.partition(r"\begin{document}")[2])


def test_every_number_of_the_text_is_a_macro_that_there_is(text: str, numbers: Mapping[str, Any]) -> None:
    ranges = RANGE.findall(text)
    cited = [*CITED.findall(text), *ranges, *(f"{name}{end}" for name in ranges for end in ("Low", "High"))]
    assert len(ranges) > 10
    assert [name for name in cited if name not in numbers] == []
    assert re.findall(r"\d+", RANGE.sub("", text)) == ["95"], "no number is written by hand but the level of intervals"


def test_the_text_says_what_the_numbers_say(text: str, numbers: Mapping[str, Any]) -> None:
    def value(name: str) -> float:
        return float(numbers[f"pb{name}"]["value"])

    assert "far from what is possible" in text
    assert (
        value("OursUtilityHigh") < value("InferredUtilityLow") < value("InferredUtilityHigh") < value("IdealUtilityLow")
    )
    assert "both intervals reach below nought" in text
    assert value("OursUtilitySparseLow") < 0 < value("OursUtilitySparse")
    assert value("OursUtilityNoisyLow") < 0 < value("OursUtilityNoisy")
    assert value("OursUtilitySparseUsers") == value("OursUtilityNoisyUsers") < 30
    assert "it is not significant" in text
    assert value("OursPromptFidelityPHolm") >= 0.05
    assert value("OursPromptFidelity") < value("PromptOnlyPromptFidelity")
    assert "intervals that overlap" in text
    assert value("OursFidLow") < value("RandomStyleFidHigh")
    assert value("RandomStyleFidLow") < value("OursFidHigh")
    assert value("RandomStyleUtilityLow") < 0 < value("RandomStyleUtilityHigh")
    assert "It is personal" in text
    assert value("OursUtilityPHolm") < 0.05
    assert value("OursUtilityDifferenceLow") > 0
    assert value("OursOtherUserUtilityHigh") < value("OursUtilityLow")
    assert value("OursFlippedUtilityHigh") < 0
    assert "The scorer agrees" in text
    assert value("OursPreferenceLow") > value("CrowdPreferenceHigh") > value("PromptOnlyPreferenceHigh")
    assert "hold tests against \\m{prompt-only} alone" in " ".join(text.split())
    assert not any("Against" in name and "AgainstPromptOnly" not in name for name in numbers)


def test_cited_numbers_are_those_of_the_committed_files(numbers: Mapping[str, Any]) -> None:
    results = EXAMPLE.parents[1] / "results" / "leaderboard" / "picturebook"
    files = {path.stem.replace(".", " + "): json.loads(path.read_text()) for path in results.glob("*.json")}
    checked = 0
    for one in numbers.values():
        if one["label"] not in files or one["field"] not in ("", "low", "high") or "against" in one:
            continue
        kind = one.get("kind", "all")
        row = next(
            row
            for row in files[one["label"]]["rows"]
            if (row["metric"], row["kind"]) == (one["metric"], "all" if kind == "difference" else kind)
        )
        field = one["field"] or "value"
        stored = (
            row[field] if kind != "difference" else row["difference" if field == "value" else f"difference_{field}"]
        )
        assert one["value"] == stored
        decimals = len(one["printed"].partition(".")[2])
        assert float(one["printed"]) == pytest.approx(stored, abs=0.5001 * 10.0**-decimals)
        checked += 1
    assert checked > 500


@needs_latex
@pytest.mark.slow
def test_it_compiles_on_two_pages(make: ModuleType, tmp_path: Path) -> None:
    make.write_material(tmp_path)
    assert make.compile_paper(tmp_path).is_file()
    log = (tmp_path / "paper.log").read_text(encoding="utf-8", errors="replace")
    assert "Output written on paper.pdf (2 pages" in log
    assert "Overfull" not in log
    assert "undefined" not in log
    assert "Float too large" not in log
