"""What a page of many pictures costs: writing it, opening it in Chromium, filtering its users.

    python -m benchmarks.browse --samples 1000 --samples 100000 --out benchmarks/results/browse.json

Runs are made up: five methods for picturebook's 100 test users, as many samples of a prompt as are asked for, a picture
of 32 x 32 pixels for each. `first_view_s` is from the navigation to the heading of the overview, `users_s` to the first
user, each in a new tab from the disk, the median of five; `filter_s` is from a change of the address to the second
frame after it, the slowest of six filters and orders. Memory is the proportional set after a look at all views, of the
tab and of all of Chromium. Needs Debian's Chromium and the package playwright.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click
import psutil

import prefbench
from benchmarks.load import CASES, make_up
from prefbench.files import write_atomic
from prefbench.reports.shared.published import portable
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.prepare import Settings, prepare

METHODS = ("prompt-only", "crowd", "truth", "ideal", "copy")
LEAST = CASES * len(METHODS)
LIMITS = {"first_view_s": 2.0, "filter_s": 0.2, "tab_mib": 500.0}
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
FILTERS = (
    "q=test-00", "kind=noisy", "prompt=3", "sort=score&by=2", "sort=methods&a=0&b=3",
    "sort=metrics&x=preference&y=utility",
)  # fmt: skip
VIEWS = {"#/user/test-0042": ".case figure", "#/sample/1/7": ".sample", "#/metrics": "main h1"}
_FILTER = """async (hash) => {
  const start = performance.now(), frame = () => new Promise((done) => requestAnimationFrame(done));
  location.hash = hash;
  await new Promise((done) => addEventListener("hashchange", done, { once: true }));
  await frame(); await frame();
  return (performance.now() - start) / 1000;
}"""


@click.command()
@click.option("--samples", multiple=True, type=click.IntRange(LEAST), default=(LEAST, 100_000), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(samples: Sequence[int], out: Path | None) -> None:
    """Prints what pages of so many samples cost. Exit code 1 where a limit is passed."""
    measured = {}
    for n in sorted(samples):
        measured[str(n)] = one = measure(n)
        click.echo(f"{n:,} samples: " + ", ".join(f"{name} {value:,.2f}" for name, value in one.items()))
    result = {
        "command": portable(shlex.join(["python", "-m", "benchmarks.browse", *sys.argv[1:]])),
        "samples": measured,
        "limits": LIMITS,
        "code": code_state(),
        "hardware": hardware(),
        "versions": versions(),
    }
    if out is not None:
        write_atomic(out, json.dumps(result, indent=1) + "\n")
    passed = [f"{n} samples: {name} over {limit:g}" for n, one in measured.items() for name, limit in LIMITS.items()
              if one[name] > limit]  # fmt: skip
    for line in passed:
        click.echo(line)
    sys.exit(1 if passed else 0)


def measure(samples: int) -> dict[str, float]:
    """Writing and opening a page of so many samples."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = [_make(method, samples, Path(scratch), i) for i, method in enumerate(METHODS)]
        started = time.process_time()
        prefbench.report(paths, "page").write(Path(scratch) / "page")
        seconds = time.process_time() - started
        size = sum(path.stat().st_size for path in (Path(scratch) / "page").rglob("*") if path.is_file())
        shutil.rmtree(paths[0].parent)
        return {"written_s": seconds, "size_mib": size / 2**20, **opened(Path(scratch) / "page" / "index.html")}


def _make(method: str, samples: int, folder: Path, seed: int) -> Path:
    per_case = samples // LEAST
    command = f"prefbench run --method {method}"
    prepared = prepare(Settings(method, device="cpu", samples=per_case, out=folder / "runs", command=command))
    make_up(prepared, pictures=per_case * CASES, seed=seed)
    return prepared.folder.path


def opened(page: Path) -> dict[str, float]:
    """What a browser takes for the page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        context = browser.new_context(viewport={"width": 1600, "height": 900})
        first = [_seconds_to(context, page, "", "main h1") for _ in range(5)]
        users = [_seconds_to(context, page, "#/users", "li.user") for _ in range(5)]
        tab = context.new_page()
        tab.goto(page.as_uri() + "#/users")
        tab.wait_for_selector("li.user")
        filters = [tab.evaluate(_FILTER, f"#/users?{query}") for query in FILTERS]
        for route, wanted in VIEWS.items():
            tab.goto(page.as_uri() + route)
            tab.wait_for_selector(wanted)
        tab.wait_for_timeout(1000)
        memory = _memory_mib()
        browser.close()
    return {
        "first_view_s": median(first),
        "users_s": median(users),
        "filter_s": max(filters),
        "tab_mib": max(size for kind, size in memory if kind == "renderer"),
        "browser_mib": sum(size for _, size in memory),
    }


def _seconds_to(context: Any, page: Path, route: str, selector: str) -> float:
    tab = context.new_page()
    started = time.perf_counter()
    tab.goto(page.as_uri() + route, wait_until="commit")
    tab.wait_for_selector(selector)
    seconds = time.perf_counter() - started
    tab.close()
    return seconds


def _memory_mib() -> list[tuple[str, float]]:
    """Kind and proportional set size of each of Chromium's processes."""
    processes = [one for one in psutil.Process().children(recursive=True) if "chrom" in one.name()]
    kinds = [next((word[7:] for word in one.cmdline() if word.startswith("--type=")), "browser") for one in processes]
    return [(kind, one.memory_full_info().pss / 2**20) for kind, one in zip(kinds, processes, strict=True)]


if __name__ == "__main__":
    main()
