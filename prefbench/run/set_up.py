"""A method on its backbone, and whether the two and the cases fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from prefbench import registry
from prefbench.api import (
    Backbone,
    BackboneCard,
    BackboneKind,
    Case,
    Context,
    Method,
    PrefbenchError,
    Split,
    StyleBackbone,
    Suite,
    TrainUser,
)
from prefbench.api.near import unknown
from prefbench.run.opaque import OpaqueNames
from prefbench.run.outputs import asking

if TYPE_CHECKING:
    from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
    from prefbench.models.backbones.style_transfer import StyleTransferBackbone

    AnyBackbone: TypeAlias = DiffusersBackbone | StyleTransferBackbone


def set_up(
    method: Method,
    backbone: str,
    suite: Suite,
    split: Split,
    names: OpaqueNames,
    *,
    device: str | None,
    dtype: str | None,
    steps: int | None,
    guidance: float | None,
) -> tuple[Method, AnyBackbone]:
    """The method, set up on a backbone that is loaded as `load_any` says.

    Raises:
        PrefbenchError: the method does not run on the backbone, it cannot be loaded, or setting up fails.
    """
    from prefbench.models.backbones.loader import load_any

    check_kind(type(method), backbone)
    allowed = type(method).card.backbones
    if allowed is not None and backbone not in allowed:
        raise PrefbenchError(unknown(f"backbone for {type(method).card.name}", backbone, list(allowed)))
    loaded = load_any(backbone, device=device, dtype=dtype, steps=steps, guidance=guidance)
    context = context_of(method, loaded, suite, names, split)
    with asking(method, "setup"):
        method.setup(context)
    return method, loaded


def context_of(
    method: Method, backbone: Backbone | StyleBackbone, suite: Suite, names: OpaqueNames, split: Split = "test"
) -> Context:
    """The context that a method is set up with; the suite's truth and train users are for controls only.

    The truth is asked in the names that the method sees.
    """
    card, drawing = type(method).card, cast("Backbone", backbone)  # of the kind that the method's card names
    people = People(people_of(suite, split, names)) if card.asks_people else None
    if not card.control:
        return Context(drawing, people=people)
    return Context(drawing, names.truth(suite.truth), suite.train_users, people)


class People:
    """What `Context.people` gives: it holds the people alone, so that nothing of the suite is reached by way of it."""

    def __init__(self, people: Sequence[TrainUser]) -> None:
        self._people = tuple(people)

    def __call__(self) -> Sequence[TrainUser]:
        return self._people


def people_of(suite: Suite, split: Split, names: OpaqueNames) -> Sequence[TrainUser]:
    """The train users; where a suite has none, the users of a split with what methods see of them.

    Nothing is drawn for train users: they keep their ids. The others bear the names that the method sees of them.
    """
    split_users = (TrainUser(suite.history(user.id)) for user in suite.users(split))
    return suite.train_users() or [names.person(person) for person in split_users]


def check_kind(method: type[Method], backbone: str | Path | BackboneCard) -> None:
    """Raises `PrefbenchError` for a backbone of another kind than the method draws with. Loads no weights."""
    from prefbench.models.backbones.loader import find_card

    card, kind = find_card(backbone), method.card.backbone_kind
    if kind is not None and kind != card.kind:
        raise PrefbenchError(
            f"{method.card.name} draws by {kind}, and backbone {card.name!r} by {card.kind};"
            f" give --backbone {' or '.join(of_kind(kind))}"
        )


def usual_backbone(method: type[Method], suite: Suite, cases: Sequence[Case]) -> str:
    """The backbone where none is named: the suite's, unless it is of another kind than is asked for.

    Wanted is what the method draws by; of one that draws by any, style transfer where each case has a content.
    """
    from prefbench.models.backbones.loader import find_card

    kind = method.card.backbone_kind or wanted_by(cases)
    fits = kind is None or find_card(suite.card.backbone).kind == kind
    return suite.card.backbone if kind is None or fits else of_kind(kind)[0]


def wanted_by(cases: Sequence[Case]) -> BackboneKind | None:
    """Style transfer where each case has a picture to redraw; None where any kind may be meant."""
    return "style-transfer" if all(case.content is not None for case in cases) else None


def of_kind(kind: BackboneKind) -> list[str]:
    """The registered backbones of a kind."""
    from prefbench.models.backbones.loader import find_card

    return [name for name in registry.names("backbone") if find_card(name).kind == kind]


def check_contents(method: type[Method], cases: Sequence[Case]) -> None:
    """Raises `PrefbenchError` for a case without the content that a method of style transfer redraws."""
    bare = next((case for case in cases if case.content is None), None)
    if bare is not None and method.card.backbone_kind == "style-transfer":
        raise PrefbenchError(
            f"{method.card.name} redraws pictures, and case {bare.id!r} has none to redraw; in a folder the column"
            " content of prompts.csv names them"
        )
