"""Small scored run folders whose numbers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from prefbench.api import History, Judgment, Picture, Sample, Viewer
from prefbench.check.findings import Finding
from prefbench.reports.shared.audited import Fresh, store_outcome
from prefbench.run.folder import RunFolder
from prefbench.score.score_files import samples_digest
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary
from tests.support.colours import ColourSuite

USERS, PROMPTS, INDICES = ("ann", "bob", "cyd"), ("a cat", "a dog"), (0, 1)
HOSTILE = "x|y <script>alert(1)</script> [red]bold[/red] =cmd() **b** `c`\x1b[31m\nhttps://e.vil @you"
Values = Mapping[str, float | None] | float
Gain = Callable[[str, str, int], float | None]
KINDS = {"ann": "noisy", "bob": "sparse", "cyd": "noisy"}


def build(folder: Path, method: str, utility: Values, **options: Any) -> ScoredFolder:
    """A scored run; `utility` is one value per user, of whom there may be more than the three.

    None is for failed samples, NaN for drawn ones without a value. With `gain` there is `personal-gain` too: P(liked)
    under the own user by user, prompt and index, None where it has none; without `truth` there is no `utility`.
    """
    spec = {
        "suite": "toy", "suite_parameters": {}, "suite_digest": "d" * 64, "split": "test", "method": method,
        "method_version": "1", "parameters": {}, "control": None, "backbone": "tiny", "backbone_digest": "b" * 64,
        "steps": 2, "guidance": 1.0, "dtype": "float32", "seed": 0, "samples_per_case": 2, "users": None, "batch": 4,
        **options.get("spec", {}),
    }  # fmt: skip
    per_user = utility if isinstance(utility, Mapping) else dict.fromkeys(USERS, utility)
    users = (*USERS, *(user for user in per_user if user not in USERS))
    store = RunFolder(folder)
    is_control = options.get("is_control", method in ("inferred", "copy"))
    store.write_description(
        {
            "spec": spec,
            "method": {"name": options.get("method_name", method), "version": "1", "control": is_control},
            "kinds": {user: KINDS.get(user, "noisy") for user in users},
            "planned": len(options.get("present", users)) * len(PROMPTS) * len(INDICES) + options.get("undrawn", 0),
            "command": options.get("command", f"prefbench run --method {method} --out /home/me/runs"),
            "environment": {
                "versions": {"python": "3.11", "torch": "2.9"},
                "hardware": {"cores": 2},
                "code": {"commit": "0123456789abcdef", "dirty": False},
            },
            **options.get("description", {}),
        }
    )
    samples = [
        _sample(store, method, user, p, i, per_user.get(user), options)
        for user in users
        for p in PROMPTS
        for i in INDICES
    ]
    samples = [sample for sample in samples if sample.user in options.get("present", users)]
    store.append_samples(samples)
    if options.get("truth", True):
        _score(store, samples, per_user)
    if "gain" in options:
        _score_gain(store, samples, options["gain"], options.get("scorer"))
    store_summary(ScoredFolder.open(folder))
    if options.get("audited", True):
        store_outcome(
            store, list(store.samples().values()), [Finding("rows", options.get("audit", "ok"), "")], Fresh(0, "")
        )
    return ScoredFolder.open(folder)


def _sample(store: RunFolder, method: str, user: str, prompt: str, index: int, value: Any, options: Any) -> Sample:
    failed = value is None
    colour = (40 * USERS.index(user) if user in USERS else len(user), 90 * PROMPTS.index(prompt), 100 + index)
    image = None if failed else store.put_image(Image.new("RGB", (32, 32), colour))
    return Sample(
        key=f"{method}/{user}/{prompt}/{index}", user=user, case=f"{user}/{prompt}",
        prompt=options.get("prompts", {}).get(prompt, prompt), index=index, seed=1,
        status="failed" if failed else "ok", image=image, seconds=0.5, nfe=4,
        error=options.get("error", "RuntimeError: no luck") if failed else None, spread=options.get("spread"),
    )  # fmt: skip


def _score(store: RunFolder, samples: Sequence[Sample], per_user: Mapping[str, float | None]) -> None:
    """Rows as `scoring` writes them: one metric with a part, one over sets."""
    drawn = [sample for sample in samples if sample.image]
    header = {
        "metric": "utility@1[toy]",
        "direction": "up",
        "question": "preference",
        "unit": "image",
        "won_by": ["copy"],
        "extractor": None,
        "samples": samples_digest(samples),
    }
    rows = []
    for sample in drawn:
        value = per_user[sample.user]
        value = None if value is None or np.isnan(value) else value + 0.1 * sample.index
        part = None if value is None else 2 * value
        rows += [
            {"key": sample.key, "column": "utility", "value": value},
            {"key": sample.key, "column": "utility/silent", "value": part},
        ]
    store.write_scores("utility", header, rows)
    fid = {
        "metric": "fid@1[toy]",
        "direction": "down",
        "question": "fidelity",
        "unit": "set",
        "won_by": [],
        "extractor": "toy",
        "samples": samples_digest(samples),
    }
    values = {"set": 12.5, "floor": 3.25, **{f"without/user/{i}": 12.0 + i for i in range(len(USERS))}}
    store.write_scores("fid", fid, [{"key": k, "column": "fid", "value": v, "n": 6} for k, v in values.items()])


def _score_gain(store: RunFolder, samples: Sequence[Sample], gain: Gain, scorer: Mapping[str, Any] | None) -> None:
    """Rows as `personal-gain` writes them; every other user likes a picture at 0.5."""
    header = {
        "metric": "personal-gain@1[toy]",
        "direction": "up",
        "question": "preference",
        "unit": "image",
        "undirected": ["personal-gain/others"],
        "scorer": scorer,
        "extractor": None,
        "samples": samples_digest(samples),
    }
    rows = []
    for sample in [one for one in samples if one.image]:
        own = gain(sample.user, sample.prompt, sample.index)
        parts = {"": None if own is None else own - 0.5, "/own": own, "/others": 0.5}
        rows += [{"key": sample.key, "column": f"personal-gain{part}", "value": v} for part, v in parts.items()]
    store.write_scores("personal-gain", header, rows)


def history(user: str) -> History:
    """Pictures of one colour, in three sizes; `bob` dislikes nothing."""
    liked = [
        Judgment(Picture.of(Image.new("RGB", size, (250, 10, 10))), "p", True)
        for size in ((32, 32), (300, 150), (40, 20))
    ]
    disliked = [] if user == "bob" else [Judgment(Picture.of(Image.new("RGB", (32, 32), (10, 10, 250))), "p", False)]
    return History(user, tuple(liked), tuple(disliked))


class _Histories(ColourSuite):
    """A suite that only shows histories."""

    def history(self, user: str, viewer: Viewer = "method") -> History:  # noqa: ARG002
        return history(user)


HISTORIES = _Histories()
