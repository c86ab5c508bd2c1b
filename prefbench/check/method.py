"""The conformance suite of methods: what is checked is behaviour, on a real pipeline and real histories."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from prefbench.api import (
    History,
    Method,
    Pixels,
    PrefbenchError,
    ProbeItem,
    Profile,
    Request,
)
from prefbench.api.guard import suites_made
from prefbench.check.bench import Bench, backbone_card, drawn_by, gap, odd_pictures, pixels_of, short, with_picture
from prefbench.check.cards import check_defaults, check_method_card, registered_name
from prefbench.check.changed_histories import CHANGES
from prefbench.check.code import check_code, check_held
from prefbench.check.findings import Check, Finding, Listener, fail, one_line, run_checks, skip, warn
from prefbench.check.represented import ROUNDING, layers_of, same_layers
from prefbench.check.shown import check_drawings, count_drawings
from prefbench.parameters import bind, parse_pairs
from prefbench.registry import default, load
from prefbench.run.opaque import OpaqueNames
from prefbench.run.prepare import load_suite

_TOLERANCE = 1.0
"""Levels of 255 that rounding may move a drawing by, on average over its pixels."""


def check_method(
    method: str | type[Method],
    parameters: Sequence[str] = (),
    *,
    suite: str = default("suite"),
    backbone: str | Path | None = None,
    device: str = "cpu",
    listener: Listener = lambda _: None,
) -> list[Finding]:
    """Checks a method: card, seeds, batches, hostile histories, and that it uses what it says and nothing else.

    Args:
        method: a registered name, path/to/file.py:Class, or the class.
        parameters: of the method, as `name=value`.
        suite: whose val users lend their histories.
        backbone: a name or folder; by default the suite's with random weights, so no trained weights are needed.
        device: the CPU by default, where one seed gives equal bits.
        listener: receives each finding as soon as its check ends.

    Raises:
        PrefbenchError: an unknown name or parameter, or an object that is no `Method`.
    """
    constructor = load("method", method) if isinstance(method, str) else method
    if not (isinstance(constructor, type) and issubclass(constructor, Method)):
        raise PrefbenchError(f"{method} is not a subclass of prefbench.api.Method")
    suites_made.clear()
    static: dict[str, Check] = {
        "card": partial(check_method_card, constructor, registered_name(method)),
        "parameters": partial(check_defaults, constructor, parameters),
        "code": partial(check_code, constructor),
    }
    findings = run_checks(static, listener)
    if not all(finding.passed for finding in findings):
        return findings
    of_suite = load_suite(suite)[0]
    with backbone_card(backbone, of_suite, constructor) as card:
        bench = Bench(constructor, bind(constructor, parse_pairs(parameters)), of_suite, card, device)
        checks = MethodChecks(bench)
        ready = run_checks({"set up": checks.set_up}, listener)
        # A method that cannot be set up has nothing to show, but may have reached for the truth on the way.
        rest = checks.all() if ready[0].outcome == "ok" else {"truth": checks.truth}
        return findings + ready + run_checks(rest, listener)


class MethodChecks:
    """The checks that draw. They share one method and the profiles of four users."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def all(self) -> dict[str, Check]:
        """Name to check, in the order they are shown."""
        first = self._bench.histories[0]
        edges = {
            "empty history": History(first.user, (), ()),
            "only likes": replace(first, disliked=()),
            "only dislikes": replace(first, liked=()),
            **{f"{name} picture": with_picture(first, picture) for name, picture in odd_pictures().items()},
        }
        return {
            "drawings": self.drawings,
            "pictures": self.pictures,
            "one seed twice": self.repeats,
            "users' names": self.names,
            "batch of 1 and of 4": self.batch,
            "order of requests": self.order,
            "mixed users": self.mixed,
            **{name: partial(self.edge, history) for name, history in edges.items()},
            "profiles pickle": self.pickles,
            **{f"input {name}": partial(self.input, name) for name in CHANGES},
            "representations": self.representations,
            "asked pictures": self.asked,
            "truth": self.truth,
            "held": lambda: check_held(self._method),
        }

    @cached_property
    def _method(self) -> Method:
        return self._bench.fresh()

    @cached_property
    def _profiles(self) -> Sequence[Profile]:
        return [self._method.profile(history) for history in self._bench.histories]

    @cached_property
    def _one_user(self) -> Sequence[Request]:
        return self._bench.requests([self._profiles[0]] * 4)

    @cached_property
    def _four_users(self) -> Sequence[Request]:
        return self._bench.requests(self._profiles)

    def _draw(self, requests: Sequence[Request], method: Method | None = None) -> list[Pixels]:
        """The drawings of one call. Fails unless there is one per request."""
        return pixels_of(drawn_by(method or self._method, requests))

    def set_up(self) -> str:
        """The method is set up on the backbone."""
        allowed, name = self._bench.constructor.card.backbones, self._bench.card.name
        if allowed is not None and name not in allowed:
            skip(f"runs on {', '.join(allowed)} and was checked with {name}: give one of them as backbone")
        return f"{self._method.card.name} on {name}"

    def drawings(self) -> str:
        """One drawing per request that can be seen, at the backbone's resolution, with the prompt that was used.

        One that is redrawn is no larger than that.
        """
        side, redrawn = self._bench.card.resolution, self._bench.card.kind == "style-transfer"
        for profile, history in zip(self._profiles, self._bench.histories, strict=True):
            if not isinstance(profile, Profile) or profile.user != history.user:
                fail(f"profile of {history.user} is {short(profile)}, not a Profile of that user")
        drawings = drawn_by(self._method, self._four_users)
        for drawing in drawings:
            if drawing.image.size != (side, side) and not (redrawn and max(drawing.image.size) <= side):
                fail(f"image is {drawing.image.size}, not {(side, side)}")
            if not isinstance(drawing.prompt_used, str) or not isinstance(drawing.nfe, int):
                fail(f"prompt_used is {short(drawing.prompt_used)}, nfe {short(drawing.nfe)}")
        sizes = sorted({drawing.image.size for drawing in drawings})
        return f"{len(drawings)} of RGB {', '.join(f'{width}x{height}' for width, height in sizes)}"

    def pictures(self) -> str:
        """Pictures show something, and differ between prompts, users and seeds."""
        requests = [*self._one_user, *self._four_users[1:]]
        counts = count_drawings(requests, drawn_by(self._method, requests))
        return check_drawings(counts, control=self._method.card.control)

    def repeats(self) -> str:
        """The same requests again, and on a new instance with new profiles, give equal pixels."""
        first, again = self._draw(self._one_user), self._draw(self._one_user)
        if gap(first, again):
            fail(f"drawn twice, images differ by {gap(first, again):.3g} of 255")
        method = self._bench.fresh()
        profile = method.profile(self._bench.histories[0])
        renewed = self._draw([replace(request, profile=profile) for request in self._one_user], method)
        if gap(first, renewed):
            fail(f"a new instance differs by {gap(first, renewed):.3g} of 255")
        return "equal pixels, also on a new instance"

    def names(self) -> str:
        """Users under other names, as every run gives them, are drawn for the same."""
        difference = self._gap_under(OpaqueNames())
        if difference and self._gap_under(self._bench.names):
            skip("a new instance draws otherwise under the same names too")
        if difference:
            fail(f"images differ by {difference:.3g} of 255 under other names, which users get in every run")
        return "under other names users are drawn for the same"

    def _gap_under(self, names: OpaqueNames) -> float:
        """How far the drawings of a new instance that is shown these names are from those so far."""
        method = self._bench.fresh(names)
        profiles = [method.profile(history) for history in self._bench.shown(names)]
        return gap(self._draw(self._four_users), self._draw(self._bench.requests(profiles, names), method))

    def batch(self) -> str:
        """Four samples of a user drawn together are those drawn one by one."""
        single = [image for request in self._one_user for image in self._draw([request])]
        return _same(gap(single, self._draw(self._one_user)))

    def order(self) -> str:
        """Reversed requests give the reversed drawings."""
        return _same(gap(self._draw(self._one_user), self._draw(self._one_user[::-1])[::-1]))

    def mixed(self) -> str:
        """Four users in one batch get what each gets alone."""
        single = [image for request in self._four_users for image in self._draw([request])]
        return _same(gap(single, self._draw(self._four_users)))

    def edge(self, history: History) -> str:
        """An unusual history is drawn for, or refused with a clean error."""
        try:
            drawings = self._for([history])
        except PrefbenchError as error:
            return f"refused: {one_line(error)}"
        return f"{len(drawings)} drawn"

    def pickles(self) -> str:
        """A profile that was pickled draws the same."""
        data = pickle.dumps(self._profiles)
        restored = self._bench.requests(pickle.loads(data))
        difference = gap(self._draw(self._four_users), self._draw(restored))
        if difference:
            fail(f"drawn from pickled profiles, images differ by {difference:.3g} of 255")
        return f"{len(data)} bytes for {len(self._profiles)}"

    def input(self, name: str) -> str:
        """An input that the card says is unused changes nothing; a used one should change some drawing."""
        declares = bool(getattr(self._method.card, f"uses_{name}"))
        histories = self._bench.histories[:2]
        others = self._bench.histories[2:4]
        changed = [CHANGES[name](mine, other) for mine, other in zip(histories, others, strict=True)]
        difference = gap(self._for(histories), self._for(changed))
        if difference and not declares:
            fail(f"card says unused, yet other {name} change images by {difference:.3g} of 255")
        if declares and not difference:
            warn(f"card says used, yet other {name} change nothing")
        return f"used: images change by {difference:.3g} of 255" if declares else "unused, and changes nothing"

    def representations(self) -> str:
        """Vectors, finite, and of one length for every user."""
        vectors = [self._method.represent(history) for history in self._bench.histories]
        if not any(vectors):
            skip("the method has none")
        return layers_of(vectors)

    def asked(self) -> str:
        """Vectors of a picture after a history: as above, and the same whatever was asked before.

        A method receives the picture and its prompt, so nothing can depend on whether it was liked.
        """
        histories = self._bench.histories
        if not self._method.represent(histories[0]):
            skip("the method has no representations")
        pictures = [ProbeItem(side[0].picture, side[0].prompt) for side in (histories[0].liked, histories[0].disliked)]
        questions = [(history, picture) for history in histories[1:] for picture in pictures]
        vectors = [self._method.represent(*one) for one in questions]
        if not any(vectors):
            fail("there is none of a picture that is asked about, though there is of a user")
        layers = layers_of(vectors)
        again = [self._method.represent(*one) for one in questions[::-1]][::-1]
        if not all(same_layers(before, after, ROUNDING) for before, after in zip(vectors, again, strict=True)):
            fail("asked in another order, a picture is represented otherwise")
        if all(same_layers(first, second, 0) for first, second in zip(vectors[::2], vectors[1::2], strict=True)):
            warn("different pictures are represented alike")
        return layers

    def truth(self) -> str:
        """Only controls may ask for the suite's truth."""
        control = self._bench.constructor.card.control
        if self._bench.reached_truth and not control:
            fail("an honest method asked for context.truth; only a control may")
        return "a control, and was given it" if control else "never asked for"

    def _for(self, histories: Sequence[History]) -> list[Pixels]:
        return self._draw(self._bench.requests([self._method.profile(history) for history in histories]))


def _same(difference: float) -> str:
    if not difference < _TOLERANCE:
        fail(f"images differ by {difference:.3g} of 255, more than rounding ({_TOLERANCE:g})")
    return f"images differ by {difference:.2g} of 255"
