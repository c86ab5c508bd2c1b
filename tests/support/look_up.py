"""A method that looks its users up by their pictures and does not say so on its card."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Drawing, History, Method, MethodCard, Profile, Request
from prefbench.suites.picturebook.suite import Picturebook

SUITE = Picturebook()


class LookUp(Method):
    """Draws the best picture of a public user, and the prompt alone for everybody else."""

    card = MethodCard(name="look-up-quietly", version="1", summary="what the public users like")

    def profile(self, history: History) -> Profile:
        likes = {j.picture.digest for j in history.liked}
        known = {u.id: SUITE.history(u.id).liked for split in ("test", "val") for u in SUITE.users(split)}
        found = [user for user, liked in known.items() if likes & {j.picture.digest for j in liked}]
        return Profile(history.user, found[0] if found else None)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        backbone = self.context.backbone
        plain = backbone.generate([r.prompt for r in requests], [r.seed for r in requests])
        return [
            Drawing(SUITE.truth.ideal(r.profile.payload, r.prompt, r.seed) if r.profile.payload else image, r.prompt)
            for r, image in zip(requests, plain, strict=True)
        ]
