"""The frame of every table: the methods and columns that reports know by name. No other report module names them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

from prefbench.api import DERIVED, BackboneKind, PrefbenchError, ScoredRun
from prefbench.api.runs import is_given
from prefbench.parameters import bind
from prefbench.registry import default, load, names
from prefbench.run.given.card import ROLES as STATED_ROLES

BASELINE, CEILING = default("method.baseline"), default("method.ceiling")
"""The method that differences are to unless another is named, and the best that the same histories allow."""
CROWD, MISMATCH = default("method.crowd"), default("control.mismatch")
"""The method that draws what most people like for everybody, and the control that shows a method another history."""
_PARTS: Mapping[BackboneKind, Mapping[str, str]] = {
    "style-transfer": {
        BASELINE: default("method.baseline.style-transfer"),
        CROWD: default("method.crowd.style-transfer"),
    }
}
"""What plays these parts on backbones of another kind, which neither of the two runs on."""
BASELINES, CROWDS = ((method, *(parts[method] for parts in _PARTS.values())) for method in (BASELINE, CROWD))
ROLES: Mapping[str, str] = dict(zip((BASELINE, CROWD), STATED_ROLES, strict=True))
"""What the card of given images calls the parts of the frame, by the methods that are these of drawn ones."""
STATED = " (stated)"
"""The end of a win rate's column over a frame that is one by its card alone."""
UTILITY, GAP = "utility", DERIVED[0]
"""The known truth's column, and the share of the way from baseline to ceiling that is made from it."""
OVER_CROWD = f"{GAP}/over-crowd"
"""The same share from the crowd's taste on, which is no merit of a method that is to tell users apart."""
NEARER = "copy-rate/nearer"
"""How near pictures lie to those that the method was shown: the part of copy-rate that runs of every size have."""
TRUE_ADHERENCE = "prompt-fidelity"
"""The known truth of whether a picture shows what its prompt asks for."""
GAIN, WIN = "personal-gain", DERIVED[1]
"""The headline where no truth is known, and how the columns begin that are made from what is under the own user."""
PERSONAL = (GAIN, "preference", "learn-user-pref", "viper-proxy")
"""What is made from scorers' P(liked) under the own user, in the order in which the headline is taken."""
_LIKED: Mapping[str, str] = {GAIN: f"{GAIN}/own"}
"""The column of P(liked) under the own user where it is not the metric itself."""
_HEADLINES: Mapping[str, tuple[str, ...]] = {
    "preference": (GAP, UTILITY, *PERSONAL),
    "adherence": ("clip-score", TRUE_ADHERENCE, "vqa-score"),
    "fidelity": ("fid", "fd-dinov2", "kid"),
    "side": ("copy-rate", "diversity"),
}
"""What a terminal shows of each question where several runs stand side by side: the first that there is."""


def headlines(questions: Mapping[str, str]) -> list[str]:
    """One metric for each question, of metrics with the questions that they answer; without parts such as `/own`.

    Beside the first of preference stand the win rates, unless the truth is known.
    """
    chosen = []
    for question, usual in _HEADLINES.items():
        names = [name for name, own in questions.items() if own == question and "/" not in name]
        chosen += [name for name in (*usual, *names) if name in names][:1]
        if question == "preference" and UTILITY not in questions:
            chosen += [name for name in names if name.startswith(WIN) and name not in chosen]
    return chosen


def ranking_metric(names: Iterable[str]) -> str | None:
    """The metric of ranks among those that there are: the known truth, else the headline without one."""
    known = set(names)
    return next((name for name in (UTILITY, *PERSONAL) if name in known), None)


def own_column(runs: Collection[Collection[str]]) -> str | None:
    """The P(liked) under the own user that win rates are made from, given the columns of each run; None without any.

    That of the first headline that all runs have, else of the first that some have.
    """
    names = [_LIKED.get(name, name) for name in PERSONAL]
    of_some = [name for name in names if any(name in columns for columns in runs)]
    of_all = [name for name in of_some if all(name in columns for columns in runs)]
    return next(iter([*of_all, *of_some]), None)


def same_origin(one: ScoredRun, other: ScoredRun) -> bool:
    """Whether two runs differ in their methods alone: both drawn here, or both given with the same stated backbone.

    What of given images nobody states is not known to be the same.
    """
    if is_given(one.spec) or is_given(other.spec):
        return is_given(one.spec) and is_given(other.spec) and stated_backbone(one) == stated_backbone(other) != ""
    return True


def stated_backbone(run: ScoredRun) -> str:
    """What drew given images by their card; empty where it does not say, and of runs that were drawn here."""
    stated = "backbone" in run.description.get("given", {}).get("stated", ())
    return str(run.description["backbone"]["stated"]) if is_given(run.spec) and stated else ""


def stated_role(run: ScoredRun) -> str:
    """The part of the frame that given images are by their card: `baseline`, `crowd`, or empty."""
    return str(run.description.get("given", {}).get("role", "")) if is_given(run.spec) else ""


def part(run: ScoredRun, method: str) -> str:
    """The method that stands in the place of `BASELINE` or `CROWD` on the run's backbone; any other is itself."""
    name = run.spec["backbone"]
    kind: BackboneKind = load("backbone", name).kind if name in names("backbone") else "text-to-image"
    return _PARTS.get(kind, {}).get(method, method)


def usual_baseline(runs: Iterable[ScoredRun], asked: str) -> str:
    """The baseline that is asked for; of `BASELINE`, which is the default everywhere, what plays it for these runs."""
    drawn = next((run for run in runs if not is_given(run.spec)), None)
    return asked if drawn is None else part(drawn, asked)


def framing(runs: Mapping[str, ScoredRun], label: str, method: str) -> str | None:
    """The label of the run that frames another as a method: of the same origin, given ones by their cards.

    Raises `PrefbenchError` for several.
    """
    if not is_given(runs[label].spec):
        return only(runs, part(runs[label], method))
    role = ROLES[method]
    labels = [name for name, run in runs.items() if stated_role(run) == role and same_origin(run, runs[label])]
    if len(labels) > 1:
        several = f"{role} of images by {stated_backbone(runs[label])}, got {len(labels)}"
        raise PrefbenchError(f"a comparison takes one {several}: {', '.join(labels)}")
    return labels[0] if labels else None


def mismatched(runs: Mapping[str, ScoredRun], label: str) -> str | None:
    """The label of the same method, parameters and settings with another user's history; None without one."""
    own = runs[label]
    if own.control is not None:
        return None
    return next((other for other, run in runs.items() if run.control == MISMATCH and _same_but_control(own, run)), None)


def _same_but_control(one: ScoredRun, other: ScoredRun) -> bool:
    """Of given images the version has a digest of the images too, which differ."""
    free = ["control", "batch", "users", "samples_per_case", *["method_version"] * is_given(one.spec)]
    versions = {str(run.spec["method_version"]).partition("+")[0] for run in (one, other)}
    same = all(one.spec.get(name) == other.spec.get(name) for name in one.spec if name not in free)
    return same and len(versions) == 1 and same_origin(one, other)


def is_personal(run: ScoredRun) -> bool:
    """Whether an honest method draws from the histories: what must beat the crowd and its own mismatched control.

    Of given images too where their card says otherwise: nothing here checks it. Those of a stated role are no method.
    """
    card = run.description["method"]
    reads = is_given(run.spec) or card.get("uses_liked", True) or card.get("uses_disliked", True)
    framed = stated_role(run) or any(is_plain(run, name) for name in (*BASELINES, *CROWDS))
    return reads and not is_control(run) and not framed


def is_control(run: ScoredRun) -> bool:
    """Whether the run exists to expose a metric: a control by its card, or a method under a control."""
    return bool(run.description["method"].get("control")) or run.control is not None


def is_plain(run: ScoredRun, method: str) -> bool:
    """Whether the run is the registered method of that name, with its default parameters, under no control: a file's
    class may take any name, and a variant is no frame.
    """
    if run.spec["method"] != method or run.control is not None:
        return False
    return all(run.spec["parameters"].get(name, value) == value for name, value in _defaults(method).items())


@cache
def _defaults(method: str) -> Mapping[str, Any]:
    """The parameters of a registered method as they are without any given."""
    return bind(load("method", method), {}) if method in names("method") else {}


def only(runs: Mapping[str, ScoredRun], method: str) -> str | None:
    """The label of the one plain run of a method, None where there is none. Raises `PrefbenchError` for several."""
    labels = [label for label, run in runs.items() if is_plain(run, method)]
    if len(labels) > 1:
        raise PrefbenchError(f"a comparison takes one run of {method}, got {len(labels)}: {', '.join(labels)}")
    return labels[0] if labels else None
