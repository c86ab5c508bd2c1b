"""From what a user typed to a run folder: resolves names, builds the spec and the plan, draws, scores."""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefbench.api import (
    SPLITS,
    Backbone,
    Context,
    History,
    Method,
    MethodCard,
    PrefbenchError,
    Split,
    Suite,
    SuiteCard,
)
from prefbench.environment import code_state, hardware, versions
from prefbench.parameters import bind, parse_pairs, restore
from prefbench.probing.plan import probe_plans
from prefbench.registry import Kind, load, names, unknown
from prefbench.run.draw import RunResult, draw
from prefbench.run.folder import RunFolder, append_lines
from prefbench.run.plan import Planned, RunSpec, make_plan
from prefbench.run.states import CollectedStates, collect_states

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
    constructor = _load_class("suite", name, Suite, SuiteCard)
    bound = bind(constructor, parse_pairs(parameters))
    return constructor(**bound), bound


def suite_of_run(spec: Mapping[str, Any], named: str | None = None) -> Suite:
    """The suite that a run was drawn for.

    A name in a run folder never loads code: it reaches registered suites alone, and a file only where the user gave it.

    Args:
        spec: the spec in the run's description.
        named: what the user gave as --suite, a registered name or path/to/file.py:Class.

    Raises:
        PrefbenchError: what `recorded_suite` raises; or the suite is another, or another version, than the run was
            drawn for.
    """
    suite = recorded_suite(spec, named)
    if suite.digest != spec.get("suite_digest"):
        raise PrefbenchError(f"the run was drawn for another version of {spec['suite']}; it cannot be scored here")
    return suite


def recorded_suite(spec: Mapping[str, Any], named: str | None = None) -> Suite:
    """The suite that a run names, whatever its version is now; see `suite_of_run`.

    Raises:
        PrefbenchError: the spec names no suite, or one that is not registered while none is `named`.
    """
    recorded, parameters = spec.get("suite"), spec.get("suite_parameters")
    if not isinstance(recorded, str) or not isinstance(parameters, Mapping):
        raise PrefbenchError("the run's description is damaged: it names no suite")
    if named is None and recorded not in names("suite"):
        raise PrefbenchError(_not_loaded(recorded))
    constructor = _load_class("suite", named or recorded, Suite, SuiteCard)
    suite: Suite = constructor(**restore(constructor, parameters))
    return suite


def _not_loaded(suite: str) -> str:
    if ":" not in suite:
        return unknown("suite of the run", suite, names("suite"))
    return f"the run's suite {suite!r} is a file, which is only loaded when you name it: --suite path/to/file.py:Class"


def check_metrics(names: Sequence[str]) -> None:
    """Raises `PrefbenchError` for a metric that is not known: before anything is drawn, not after."""
    for name in names:
        load("metric", name)


def prepare(settings: Settings) -> Prepared:
    """Resolves every name and loads what the run needs. Raises `PrefbenchError` with one line for any mistake."""
    from prefbench.models.backbones.loader import load_backbone

    if settings.split not in SPLITS:
        raise PrefbenchError(unknown("split", settings.split, list(SPLITS)))
    split: Split = settings.split
    constructor = _load_class("method", settings.method, Method, MethodCard)
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
    method.setup(context_of(method, backbone, suite))
    histories = {user: suite.history(user) for user in users}
    if control is not None:
        histories = control(histories)
    spec = RunSpec(
        suite=_identity(settings.suite, pinned=True),
        suite_parameters=suite_parameters,
        suite_digest=suite.digest,
        split=split,
        method=_identity(settings.method),
        method_version=_version(settings.method, method),
        parameters=parameters,
        control=_identity(settings.control, pinned=True) if settings.control else None,
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


def context_of(method: Method, backbone: Backbone, suite: Suite) -> Context:
    """What a method is set up with: the suite's truth and the train users' judgments are for controls."""
    return Context(backbone, suite.truth, suite.train_users) if method.card.control else Context(backbone)


def execute(prepared: Prepared, *, advance: Callable[[int], object] = lambda _: None) -> RunResult:
    """Draws what the folder lacks. The folder is locked meanwhile; each start that draws is noted in `starts.jsonl`.

    Raises:
        PrefbenchError: another process holds the folder, the run was begun with other batches, the disk is full, or the
            method broke its contract.
    """
    # Asked before the lock: git, if this process is killed while it starts it, would hold the folder for a moment more.
    code = code_state()
    with prepared.folder.locked():
        if not (prepared.folder.path / "run.json").is_file():
            prepared.folder.write_description(_description(prepared, code))
        stored = prepared.folder.read_description()["spec"]
        if stored["batch"] != prepared.spec.batch:
            raise PrefbenchError(
                f"{prepared.folder.path} was begun with --batch {stored['batch']}: continue it so, or use another --out"
            )
        finished = prepared.folder.finished()
        if any(planned.key not in finished for batch in prepared.plan for planned in batch):
            append_lines(prepared.folder.path / "starts.jsonl", [_start(code)])
        return draw(prepared.plan, prepared.method, prepared.histories, prepared.folder, advance=advance)


def wants_representations(prepared: Prepared, metrics: Sequence[str]) -> bool:
    """Whether some metric asks for representations that the method has."""
    asked = any(load("metric", name).card.asks_representations for name in metrics)
    return asked and prepared.method.represents()


def execute_represent(prepared: Prepared, *, advance: Callable[[int], object] = lambda _: None) -> CollectedStates:
    """Keeps what the method knows of each user, where the folder lacks it. The folder is locked meanwhile.

    Raises:
        PrefbenchError: another process holds the folder, a file in it is damaged, or the disk is full.
    """
    unseen = {user: prepared.suite.history(user, "scorer") for user in prepared.histories}
    plans = probe_plans(prepared.histories, unseen)
    with prepared.folder.locked():
        return collect_states(plans, prepared.method, prepared.folder, advance=advance)


def _start(code: Mapping[str, Any]) -> dict[str, Any]:
    """When and by which code a run was begun or continued; `run.json` keeps the first one's alone."""
    return {"time": datetime.now(UTC).isoformat(timespec="seconds"), **code, "versions": versions()}


def _description(prepared: Prepared, code: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "spec": prepared.spec.to_json(),
        "method": asdict(prepared.method.card_in_use),
        "backbone": asdict(prepared.backbone.card),
        "represents": prepared.method.represents(),
        "kinds": dict(prepared.kinds),
        "planned": prepared.n_samples,
        "command": prepared.command,
        "environment": {"versions": versions(), "hardware": hardware(), "code": dict(code)},
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


def _load_class(kind: Kind, name: str, base: type, card: type) -> Any:
    found = load(kind, name)
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise PrefbenchError(f"{kind} {name!r} is no class derived from prefbench.api.{base.__name__}")
    if not isinstance(getattr(found, "card", None), card):
        raise PrefbenchError(f"{kind} {name!r}: the class has no card; give it one: card = {card.__name__}(...)")
    lacking = sorted(getattr(found, "__abstractmethods__", ()))
    if lacking:
        raise PrefbenchError(f"{kind} {name!r}: the class lacks {', '.join(lacking)}")
    return found


def _identity(name: str, *, pinned: bool = False) -> str:
    """A name as the spec holds it: of `path/to/file.py:Name` not the folder, so that no key depends on where it lies.

    Where `pinned`, with a hash of the file too, since nobody bumps versions there.
    """
    path, separator, attribute = name.rpartition(":")
    if not separator:
        return name
    return f"{Path(path).name}:{attribute}" + (f"+{_file_hash(path)}" if pinned else "")


def _version(name: str, method: Method) -> str:
    """The card's version; for a class from a file also a hash of the file, for one with weights of its own of these."""
    path, separator, _ = name.rpartition(":")
    parts = [method.card.version, _file_hash(path) if separator else "", method.weights_digest[:12]]
    return "+".join(part for part in parts if part)


def _file_hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
