"""Figures that papers report of their own methods on their own data. Nothing here was measured by prefbench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefbench.api import Grid


@dataclass(frozen=True)
class Reported:
    """A table of a paper: where it stands, what is known of its protocol, its numbers as printed."""

    title: str
    source: str
    protocol: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def grid(self) -> Grid:
        """The table as it is shown, its source and protocol below it."""
        notes = [f"Source: {self.source}.", f"Protocol: {self.protocol}"]
        return Grid(self.title, self.columns, [self.rows], notes)


PREFGEN = Reported(
    title="PrefGen, Table 1",
    source="arXiv 2512.06020, read from the project page (PrefGen.github.io, tab1.png)",
    protocol="SDXL; simulated users of the authors, split by identity. Number of users, images and references, the "
    "extractors and the discriminator behind PrefDisc are not given. No error bars are published.",
    columns=("method", "FID ↓", "CMMD ↓", "CLIP-Img ↑", "CSD ↑", "PrefDisc ↑"),
    rows=(
        ("IP-Adapter", "172.06", "0.25", "67.88", "50.22", "81.65"),
        ("InstantStyle", "162.20", "0.37", "73.40", "54.69", "79.09"),
        ("StyleAligned", "167.54", "0.31", "67.89", "46.88", "79.71"),
        ("ViPer", "210.89", "0.75", "68.04", "39.94", "54.57"),
        ("Bagel", "148.92", "0.33", "72.39", "50.84", "66.82"),
        ("EasyRef", "157.48", "0.26", "74.23", "54.62", "69.19"),
        ("PrefGen", "143.79", "0.25", "76.03", "59.22", "81.86"),
    ),
)

PREMIER = Reported(
    title="Premier, Table 1",
    source="arXiv 2603.20725 (CVPR 2026), read from the project page's source (premier-img.github.io, src/App.vue)",
    protocol="FLUX.1-dev; 50 users unseen in training, 8 adaptation images and 20 samples each, on data that the "
    "authors credit to PrefGen; PrefGen itself is not among the methods. Data: the users' own liked images that no "
    "method saw. How the ViPer rate is computed is not given. No error bars are published.",
    columns=("method", "ViPer proxy score ↑", "ViPer rate ↑", "CLIP T2I ↑", "LPIPS ↓"),
    rows=(
        ("Data", "0.8890", "—", "0.3027", "—"),
        ("FLUX", "0.3953", "—", "0.3089", "—"),
        ("InstantStyle", "0.6277", "0.777", "0.2988", "0.6641"),
        ("Bagel", "0.5075", "0.703", "0.3107", "0.6438"),
        ("Qwen-Image-Edit", "0.4688", "0.613", "0.3101", "0.6407"),
        ("DrUM", "0.4791", "0.573", "0.3072", "0.6541"),
        ("ViPer", "0.5159", "0.676", "0.2981", "0.6564"),
        ("Premier", "0.6889", "0.876", "0.3183", "0.5986"),
    ),
)

REPORTED = (PREFGEN, PREMIER)
