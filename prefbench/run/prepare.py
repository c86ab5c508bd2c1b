"""From names that a user gave to a run that is ready to draw: names to objects, objects to spec and plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast, get_type_hints

from annotated_types import Ge, Interval

from prefbench.api import SPLITS, Case, History, Method, PrefbenchError, Split, Suite
from prefbench.api.guard import guarded, module_of
from prefbench.api.near import unknown
from prefbench.parameters import checked, restore
from prefbench.registry import (
    check_name,
    check_source,
    construct,
    default,
    folder_of,
    is_taken,
    load,
    load_class,
    names,
)
from prefbench.run.folder import RunFolder
from prefbench.run.guarded_suite import GuardedSuite
from prefbench.run.identity import MethodIdentity, Parameters, bind_values, identify, portable_name
from prefbench.run.opaque import OpaqueNames
from prefbench.run.plan import Planned, RunSpec, make_plan
from prefbench.run.set_up import check_contents, set_up, usual_backbone

if TYPE_CHECKING:
    from prefbench.run.set_up import AnyBackbone

Count = Annotated[int, Ge(1)]


@dataclass(frozen=True)
class Settings:
    """The options of a run. None leaves a choice to the suite, the backbone or the machine."""

    method: str | type[Method] | Method
    suite: str = default("suite")
    split: str = "test"
    control: str | None = None
    parameters: Parameters = ()
    suite_parameters: Parameters = ()
    backbone: str | None = None
    steps: Count | None = None
    guidance: Annotated[float, Interval(gt=-1e9, lt=1e9)] | None = None
    device: str | None = None
    dtype: str | None = None
    seed: int = 0
    samples: Count | None = None
    users: Count | None = None
    batch: Count | None = None
    out: Path = Path("runs")
    command: str = ""

    def __post_init__(self) -> None:
        """Raises `PrefbenchError` for a value of another kind or outside of its limits."""
        hints = get_type_hints(Settings, include_extras=True)
        for name in [one.name for one in fields(self) if getattr(self, one.name) is not one.default]:
            value = getattr(self, name)
            if name not in ("method", "out") and not (isinstance(value, str) and hints[name] in (str, str | None)):
                object.__setattr__(self, name, checked(name, value, hints[name]))


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to draw."""

    spec: RunSpec
    suite: Suite
    backbone: AnyBackbone
    method: Method
    kinds: Mapping[str, str]
    histories: Mapping[str, History]
    plan: Sequence[Sequence[Planned]] = field(repr=False)
    folder: RunFolder = field(repr=False)
    command: str = ""
    names: OpaqueNames = field(default_factory=OpaqueNames, repr=False)
    """What the method sees in place of the suite's ids."""
    cases: Sequence[Case] = field(default=(), repr=False)
    """All that the plan draws for."""
    n_whole: int | None = None
    """Samples of the whole run, where the plan is a part of it."""

    @property
    def shown(self) -> str:
        """The method as tables name it: by its card, or by where it comes from if the card says another's name."""
        own = type(self.method).card.name
        return self.spec.method if is_taken("method", self.spec.method, own) else own

    @property
    def n_samples(self) -> int:
        return sum(len(batch) for batch in self.plan)


def check_names(settings: Settings) -> None:
    """Raises `PrefbenchError` for a name that is not known. Imports nothing, so that a mistake is answered at once."""
    if isinstance(settings.method, str):
        check_name("method", settings.method)
    check_data(settings)
    if settings.control is not None:
        check_name("control", settings.control)
    if settings.backbone is not None:
        check_source("backbone", settings.backbone)


def check_data(settings: Settings) -> None:
    """The same for the suite, the split and the folder that the run's own is made in."""
    check_name("suite", settings.suite)
    if settings.split not in SPLITS:
        raise PrefbenchError(unknown("split", settings.split, list(SPLITS)))
    if not next(folder for folder in (settings.out, *settings.out.absolute().parents) if folder.exists()).is_dir():
        raise PrefbenchError(f"cannot write into {settings.out}: a file stands where a folder should be")


class RunData(NamedTuple):
    """What a run draws for."""

    suite: GuardedSuite
    suite_parameters: Mapping[str, Any]
    kinds: Mapping[str, str]
    cases: Sequence[Case]

    def histories(self, control: str | None) -> Mapping[str, History]:
        """The history of each user, as the control that is named leaves it."""
        histories = self.suite.histories(self.kinds)
        return histories if control is None else controlled(control, load("control", control), histories)


def data_of(settings: Settings) -> RunData:
    """Loads the suite, and what the settings choose of it. Raises `PrefbenchError` where there is nothing to draw."""
    suite, parameters = load_suite(settings.suite, settings.suite_parameters)
    kinds = kinds_of_users(suite, cast("Split", settings.split), settings.users)
    return RunData(suite, parameters, kinds, cases_of(suite, kinds, settings.split))


def prepare(settings: Settings, *, secret: str | None = None, planned: bool = True) -> Prepared:
    """Resolves every name and loads what the run needs. Raises `PrefbenchError` with one line for any mistake.

    `secret` is what the names that the method sees follow from in a run that begins. Where not `planned`, the plan is
    left out: it is somebody else's.
    """
    check_names(settings)
    identity = identify(settings.method, settings.parameters)
    if settings.control is not None:
        load("control", settings.control)
    data = data_of(settings)
    suite, drawing = data.suite, identity.make()
    check_contents(type(drawing), data.cases)
    drawn_by, opaque = settings.backbone or usual_backbone(type(drawing), suite, data.cases), OpaqueNames(secret)
    method, backbone = _ready(settings, drawing, drawn_by, suite, opaque)
    histories = data.histories(settings.control)
    spec = _spec(settings, identity, suite, data.suite_parameters, method, backbone)
    plan = make_plan(spec, data.cases, histories) if planned else ()
    folder = RunFolder(settings.out / spec.id)
    if (kept := folder.names_secret()) and opaque.given:  # the run goes on, and its method knows people by its names
        opaque = OpaqueNames(kept)
        method, backbone = _ready(settings, identity.make(), drawn_by, suite, opaque)
    return Prepared(
        spec, suite, backbone, method, data.kinds, histories, plan, folder, settings.command, opaque, data.cases
    )


def _ready(
    settings: Settings, method: Method, backbone: str, suite: Suite, opaque: OpaqueNames
) -> tuple[Method, AnyBackbone]:
    return set_up(
        method,
        backbone,
        suite,
        cast("Split", settings.split),
        opaque,
        device=settings.device,
        dtype=settings.dtype,
        steps=settings.steps,
        guidance=settings.guidance,
    )


def controlled(
    name: str, control: Callable[[Mapping[str, History]], Any], histories: Mapping[str, History]
) -> dict[str, History]:
    """What a control makes of the histories. Raises `PrefbenchError` for anything but one for every user."""
    with guarded(f"control {name!r}", "the control", module=module_of(control)):
        changed = control(histories)
        fits = isinstance(changed, Mapping) and set(changed) == set(histories)
        if not fits or not all(isinstance(one, History) for one in changed.values()):
            raise PrefbenchError(f"control {name!r} returned a {type(changed).__name__}, not one History for each user")
        return dict(changed)


def load_suite(name: str, parameters: Parameters = ()) -> tuple[GuardedSuite, dict[str, Any]]:
    """A suite and its bound parameters."""
    constructor = load_class("suite", name)
    bound = bind_values(constructor, parameters)
    return GuardedSuite(construct(f"suite {name!r}", constructor, bound)), bound


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
    constructor = load_class("suite", named or recorded)
    bound = restore(constructor, {**constructor.unrecorded, **parameters})
    return GuardedSuite(construct(f"suite {recorded!r}", constructor, bound))


def suite_name(suite: str) -> str:
    """A suite as the spec names it; of a folder its own name with a slash, wherever it lies."""
    folder = folder_of("suite", suite)
    return portable_name(suite, pinned=True) if folder is None else f"{folder.resolve().name}/"


def kinds_of_users(suite: Suite, split: Split, limit: int | None) -> dict[str, str]:
    """User id to kind, in the suite's order."""
    users = suite.users(split)
    if limit is not None and not users:
        raise PrefbenchError(f"suite {suite.card.name!r} has no users of {split} with these parameters")
    if limit is not None and not 1 <= limit <= len(users):
        raise PrefbenchError(f"users must be 1 to {len(users)}, got {limit}")
    return {user.id: user.kind for user in users[:limit]}


def cases_of(suite: GuardedSuite, users: Iterable[str], split: str) -> list[Case]:
    """The cases of users, in their order. Raises `PrefbenchError` where there is none."""
    cases = suite.all_cases(users)
    if not cases:
        raise PrefbenchError(_no_case(suite, split))
    return cases


def _no_case(suite: Suite, split: str) -> str:
    """That there is nothing to draw for, after what a suite of somebody's data says can be done about it."""
    lines = suite.inventory()
    why = f"suite {suite.card.name!r} has no case to draw for users of {split}"
    if "prompts" in lines:
        return f"{lines['prompts']}: {why}"
    return f"{why}; no prompt is for {idle}" if (idle := lines.get("users without a prompt")) else why


def _not_loaded(suite: str) -> str:
    if suite.endswith("/"):
        return f"the run's suite {suite!r} is a folder, which is only read when you name it: --suite path/to/{suite}"
    if ":" not in suite:
        return unknown("suite of the run", suite, names("suite"))
    return f"the run's suite {suite!r} is a file, which is only loaded when you name it: --suite path/to/file.py:Class"


def _spec(
    settings: Settings,
    identity: MethodIdentity,
    suite: Suite,
    suite_parameters: Mapping[str, Any],
    method: Method,
    backbone: AnyBackbone,
) -> RunSpec:
    from prefbench.models.backbones.batches import usual_batch

    return RunSpec(
        suite=suite_name(settings.suite),
        suite_parameters=suite_parameters,
        suite_digest=suite.digest,
        split=cast("Split", settings.split),
        method=identity.name,
        method_version=identity.version(method),
        parameters=identity.parameters,
        control=portable_name(settings.control, pinned=True) if settings.control else None,
        backbone=backbone.card.name,
        backbone_digest=backbone.digest,
        steps=backbone.card.steps,
        guidance=backbone.card.guidance,
        dtype=str(backbone.dtype).removeprefix("torch."),
        seed=settings.seed,
        samples_per_case=settings.samples or suite.card.samples_per_case,
        users=settings.users,
        batch=settings.batch or usual_batch(backbone.device, backbone.card.resolution),
    )
