"""From what a user typed to a run folder: resolves names, builds the spec and the plan, draws, scores."""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prefbench.api import Backbone, Context, Method, PrefbenchError, Suite
from prefbench.environment import code_state, hardware, versions
from prefbench.parameters import bind, parse_pairs
from prefbench.plan import Planned, RunSpec, make_plan
from prefbench.records import SPLITS, History, Split
from prefbench.registry import Kind, entry, load, unknown
from prefbench.runner import RunResult, draw
from prefbench.store import RunFolder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What `prefbench run` was asked for."""

    method: str
    suite: str = "picturebook"
    split: str = "test"
    control: str | None = None
    parameters: Sequence[str] = ()
    suite_parameters: Sequence[str] = ()
    backbone: str | None = None
    steps: int | None = None
    guidance: float | None = None
    device: str | None = None
    dtype: str | None = None
    seed: int = 0
    samples: int | None = None
    users: int | None = None
    batch: int = 100
    out: Path = Path("runs")
    command: str = ""


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to draw."""

    spec: RunSpec
    suite: Suite
    backbone: Backbone
    method: Method
    kinds: Mapping[str, str]
    histories: Mapping[str, History]
    plan: Sequence[Sequence[Planned]] = field(repr=False)
    folder: RunFolder = field(repr=False)
    command: str = ""

    @property
    def n_samples(self) -> int:
        return sum(len(batch) for batch in self.plan)


def load_suite(name: str, parameters: Sequence[str] = ()) -> tuple[Suite, dict[str, Any]]:
    """A suite and its bound parameters."""
    constructor = _load_class("suite", name, Suite)
    bound = bind(constructor, parse_pairs(parameters))
    return constructor(**bound), bound


def check_metrics(names: Sequence[str]) -> None:
    """Raises `PrefbenchError` for a metric that is not known: before anything is drawn, not after."""
    for name in names:
        entry("metric", name)


def prepare(settings: Settings) -> Prepared:
    """Resolves every name and loads what the run needs. Raises `PrefbenchError` with one line for any mistake."""
    from prefbench.backbones.loader import load_backbone

    if settings.split not in SPLITS:
        raise PrefbenchError(unknown("split", settings.split, list(SPLITS)))
    split: Split = settings.split
    constructor = _load_class("method", settings.method, Method)
    parameters = bind(constructor, parse_pairs(settings.parameters))
    control = load("control", settings.control) if settings.control else None
    suite, suite_parameters = load_suite(settings.suite, settings.suite_parameters)
    users = _users(suite, split, settings.users)
    method: Method = constructor(**parameters)
    _check_backbone(method, settings.backbone or suite.card.backbone)
    backbone = load_backbone(
        settings.backbone or suite.card.backbone,
        device=settings.device,
        dtype=settings.dtype,
        steps=settings.steps,
        guidance=settings.guidance,
    )
    method.setup(Context(backbone, suite.truth if method.card.control else None))
    histories = {user: suite.history(user) for user in users}
    if control is not None:
        histories = control(histories)
    spec = RunSpec(
        suite=settings.suite,
        suite_parameters=suite_parameters,
        suite_digest=suite.digest,
        split=split,
        method=_identity(settings.method),
        method_version=_version(settings.method, method),
        parameters=parameters,
        control=settings.control,
        backbone=backbone.card.name,
        backbone_digest=backbone.digest,
        steps=backbone.card.steps,
        guidance=backbone.card.guidance,
        dtype=str(backbone.dtype).removeprefix("torch."),
        seed=settings.seed,
        samples_per_case=settings.samples or suite.card.samples_per_case,
        users=settings.users,
        batch=settings.batch,
    )
    cases = [case for user in users for case in suite.cases(user)]
    plan = make_plan(spec, cases, histories)
    folder = RunFolder(settings.out / spec.id)
    return Prepared(spec, suite, backbone, method, users, histories, plan, folder, settings.command)


def execute(prepared: Prepared, *, advance: Callable[[int], object] = lambda _: None) -> RunResult:
    """Draws what the folder lacks. The folder is locked meanwhile."""
    with prepared.folder.locked():
        if not (prepared.folder.path / "run.json").is_file():
            prepared.folder.describe(_description(prepared))
        stored = prepared.folder.description()["spec"]
        if stored["batch"] != prepared.spec.batch:
            raise PrefbenchError(
                f"{prepared.folder.path} was begun with --batch {stored['batch']}: continue it so, or use another --out"
            )
        return draw(prepared.plan, prepared.method, prepared.histories, prepared.folder, advance=advance)


def _description(prepared: Prepared) -> dict[str, Any]:
    return {
        "spec": prepared.spec.to_json(),
        "method": asdict(prepared.method.card),
        "backbone": asdict(prepared.backbone.card),
        "kinds": dict(prepared.kinds),
        "planned": prepared.n_samples,
        "command": prepared.command,
        "environment": {"versions": versions(), "hardware": hardware(), "code": code_state()},
    }


def _users(suite: Suite, split: Split, limit: int | None) -> dict[str, str]:
    """User id to kind, in the suite's order."""
    users = suite.users(split)
    if limit is not None and not 1 <= limit <= len(users):
        raise PrefbenchError(f"--users must be 1 to {len(users)}, got {limit}")
    return {user.id: user.kind for user in users[:limit]}


def _check_backbone(method: Method, backbone: str) -> None:
    allowed = method.card.backbones
    if allowed is not None and backbone not in allowed:
        raise PrefbenchError(unknown(f"backbone for {method.card.name}", backbone, list(allowed)))


def _load_class(kind: Kind, name: str, base: type) -> Any:
    found = load(kind, name)
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise PrefbenchError(f"{kind} {name!r} is no class derived from prefbench.api.{base.__name__}")
    return found


def _identity(name: str) -> str:
    """The method as the spec names it: of a class from a file only the file's name, so that keys hold no folder."""
    path, separator, attribute = name.rpartition(":")
    return f"{Path(path).name}:{attribute}" if separator else name


def _version(name: str, method: Method) -> str:
    """The card's version; for a class from a file also a hash of the file, since nobody bumps versions there."""
    path, separator, _ = name.rpartition(":")
    if not separator:
        return method.card.version
    return f"{method.card.version}+{hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]}"
