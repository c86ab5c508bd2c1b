"""One lazy registry: names to `module:Attr` strings, resolved only when asked.

Three sources, in this order: the built-in table, entry points of installed packages (group `prefbench.<kind>`), and
`path/to/file.py:Class` for a file outside any package. `NAME:MEMBER` is a member of a family: the function registered
as NAME under the kind `<kind>_family` gives the object of the text MEMBER.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, get_args

from prefbench.api import PrefbenchError

Kind = Literal[
    "suite",
    "method",
    "control",
    "metric",
    "metric_family",
    "scorer",
    "extractor",
    "backbone",
    "mllm",
    "trainer",
    "ablation",
    "weights",
    "report",
]

BUILT_IN: Mapping[Kind, Mapping[str, str]] = {
    "suite": {"picturebook": "prefbench.suites.picturebook.suite:Picturebook"},
    "method": {
        "prompt-only": "prefbench.methods.prompt_only:PromptOnly",
        "ideal": "prefbench.methods.controls.ideal:Ideal",
        "inferred": "prefbench.methods.controls.inferred:Inferred",
        "truth": "prefbench.methods.controls.truth:TrueWords",
        "copy": "prefbench.methods.attacks.copy_liked:CopyLiked",
        "copy-crop": "prefbench.methods.attacks.copy_crop:CopyCrop",
        "copy-flip": "prefbench.methods.attacks.copy_flip:CopyFlip",
        "mean-of-likes": "prefbench.methods.attacks.mean_of_likes:MeanOfLikes",
        "style-clone": "prefbench.methods.attacks.style_clone:StyleClone",
        "best-of-n": "prefbench.methods.attacks.best_of_n:BestOfN",
        "popular-style": "prefbench.methods.attacks.popular_style:PopularStyle",
        "random-style": "prefbench.methods.controls.random_style:RandomStyle",
        "ours": "prefbench.methods.ours.method:PrefGen",
        "ip-adapter": "prefbench.methods.ip_adapter:IpAdapter",
        "attribute-rewrite": "prefbench.methods.attribute_rewrite:AttributeRewrite",
    },
    "control": {
        "other-user": "prefbench.methods.controls.histories:other_user",
        "flipped": "prefbench.methods.controls.histories:flipped",
    },
    "metric": {
        "fid": "prefbench.metrics.fid:FrechetDistance",
        "kid": "prefbench.metrics.kid:KernelInceptionDistance",
        "mmd": "prefbench.metrics.mmd:GaussianDistance",
        "cmmd": "prefbench.metrics.cmmd:ClipDistance",
        "density": "prefbench.metrics.density:Density",
        "coverage": "prefbench.metrics.coverage:Coverage",
        "fd-dinov2": "prefbench.metrics.fd_dinov2:Dinov2Distance",
        "clip-score": "prefbench.metrics.clip_score:ClipScore",
        "vqa-score": "prefbench.metrics.vqa_score:VqaScore",
        "utility": "prefbench.metrics.utility:Utility",
        "prompt-fidelity": "prefbench.metrics.prompt_fidelity:PromptFidelity",
        "probing": "prefbench.metrics.probing:Probing",
        "clip-i": "prefbench.metrics.clip_i:ClipI",
        "style": "prefbench.metrics.style:StyleLikeness",
        "diversity": "prefbench.metrics.diversity:Diversity",
        "copy-rate": "prefbench.metrics.copy_rate:CopyRate",
        "preference": "prefbench.metrics.preference:Preference",
        "viper-proxy": "prefbench.metrics.preference:ViperProxy",
        "learn-user-pref": "prefbench.metrics.preference:LearnUserPref",
        "pickscore": "prefbench.metrics.crowd:PickScore",
        "hpsv2": "prefbench.metrics.crowd:HpsV2",
        "imagereward": "prefbench.metrics.crowd:ImageReward",
    },
    "metric_family": {},
    "scorer": {
        "preference": "prefbench.metrics.scorers.preference.scorer:PreferenceScorer",
        "pickscore": "prefbench.metrics.scorers.crowd.pickscore:PickScore",
        "hpsv2": "prefbench.metrics.scorers.crowd.hpsv2:HpsV2",
        "imagereward": "prefbench.metrics.scorers.crowd.imagereward:ImageReward",
        "viper-proxy": "prefbench.metrics.scorers.personal.viper_proxy:ViperProxy",
        "learn-user-pref": "prefbench.metrics.scorers.personal.learn_user_pref:LearnUserPref",
    },
    "extractor": {
        "mini-clip": "prefbench.models.extractors.clip:mini_clip",
        "open-clip": "prefbench.models.extractors.clip:open_clip_large",
        "inception": "prefbench.models.extractors.inception:inception",
        "mini-dino": "prefbench.models.extractors.dinov2:mini_dino",
        "dinov2": "prefbench.models.extractors.dinov2:dinov2_large",
        "style-statistics": "prefbench.models.extractors.style_statistics:StyleStatistics",
    },
    "backbone": {
        "mini-sd": "prefbench.models.backbones.cards:MINI_SD",
        "sd15": "prefbench.models.backbones.cards:SD15",
        "sdxl": "prefbench.models.backbones.cards:SDXL",
    },
    "mllm": {
        "mini-mllm": "prefbench.models.mllms.cards:MINI_MLLM",
        "idefics2-8b": "prefbench.models.mllms.cards:IDEFICS2_8B",
        "qwen2.5-vl-7b": "prefbench.models.mllms.cards:QWEN25_VL_7B",
    },
    "trainer": {
        "reader": "prefbench.suites.picturebook.miniatures.trainers:reader",
        "mini-clip": "prefbench.suites.picturebook.miniatures.trainers:mini_clip",
        "mini-vision": "prefbench.suites.picturebook.miniatures.trainers:mini_vision",
        "mini-sd": "prefbench.suites.picturebook.miniatures.trainers:mini_sd",
        "mini-dino": "prefbench.suites.picturebook.miniatures.trainers:mini_dino",
        "ours": "prefbench.methods.ours.train.stages:train",
        "preference": "prefbench.metrics.scorers.preference.training:train",
        "mini-ip-adapter": "prefbench.suites.picturebook.miniatures.trainers:mini_ip_adapter",
    },
    "report": {
        "table": "prefbench.reports.table.report:Table",
        "contrasts": "prefbench.reports.contrasts.report:Contrasts",
        "power": "prefbench.reports.power.report:Power",
        "leaderboard": "prefbench.reports.leaderboard.report:Leaderboard",
        "scorer": "prefbench.reports.scorer.report:ScorerReport",
        "validation": "prefbench.reports.validation.report:Validation",
        "audit": "prefbench.reports.audit.report:Audit",
        "attacks": "prefbench.reports.attacks.report:Attacks",
        "ablation": "prefbench.reports.ablation.report:AblationReport",
    },
    "ablation": {"ours": "prefbench.methods.ours.train.ablation:ours"},
    "weights": {
        "reader": "prefbench.suites.picturebook.miniatures.quality:reader",
        "mini-clip": "prefbench.suites.picturebook.miniatures.quality:mini_clip",
        "mini-vision": "prefbench.suites.picturebook.miniatures.quality:mini_vision",
        "mini-sd": "prefbench.suites.picturebook.miniatures.quality:mini_sd",
        "mini-dino": "prefbench.suites.picturebook.miniatures.quality:mini_dino",
        "mini-ip-adapter": "prefbench.suites.picturebook.miniatures.quality:mini_ip_adapter",
        "preference": "prefbench.metrics.scorers.preference.quality:preference",
        "mini-mllm": "prefbench.methods.ours.train.quality:mini_mllm",
        "ours-mini-sd": "prefbench.methods.ours.train.quality:ours_mini_sd",
    },
}


@dataclass(frozen=True)
class Entry:
    """A registered name and the string that says where its object is."""

    kind: Kind
    name: str
    target: str

    def load(self) -> Any:
        """Imports and returns the object. Raises `PrefbenchError` naming the string when it cannot."""
        module_name, _, attribute = self.target.rpartition(":")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or module_name.startswith(error.name):
                raise PrefbenchError(f"{self.kind} {self.name!r}: there is no module {module_name}") from error
            raise PrefbenchError(
                f"{self.kind} {self.name!r} needs the package {error.name!r}: pip install {error.name}"
            ) from error
        if not hasattr(module, attribute):
            raise PrefbenchError(f"{self.kind} {self.name!r}: {module_name} has no {attribute!r}")
        return getattr(module, attribute)

    def location(self) -> str:
        """`file:line` of the class or function, or of the line that assigns the object."""
        found = self.load()
        if inspect.isclass(found) or inspect.isfunction(found):
            return f"{inspect.getsourcefile(found)}:{inspect.getsourcelines(found)[1]}"
        module_name, _, attribute = self.target.rpartition(":")
        module = sys.modules[module_name]
        lines = inspect.getsource(module).splitlines()
        assigned = (i for i, line in enumerate(lines, start=1) if re.match(rf"{attribute}\s*[:=]", line))
        return f"{inspect.getsourcefile(module)}:{next(assigned, 1)}"


def names(kind: Kind) -> list[str]:
    """All registered names of a kind, built-in ones first."""
    return list(_table(kind))


def entry(kind: Kind, name: str) -> Entry:
    """The entry of a name. Raises `PrefbenchError` with the nearest match and all allowed names."""
    table = _table(kind)
    if name in table:
        return Entry(kind, name, table[name])
    members = [f"{family}:MEMBER" for family in families(kind)]
    raise PrefbenchError(unknown(kind, name, [*table, *members]))


def load(kind: Kind, name: str) -> Any:
    """The object behind a name, behind `NAME:MEMBER` of a family, or behind `path/to/file.py:Class`."""
    path, separator, attribute = name.rpartition(":")
    if separator and path.endswith(".py"):
        return _load_file(kind, Path(path), attribute)
    if name.endswith(".py"):
        raise PrefbenchError(f"{kind} {name!r} must name a class too: {name}:Class")
    family, separator, member = name.partition(":")
    if separator and family in families(kind):
        return families(kind)[family].load()(member)
    return entry(kind, name).load()


def families(kind: Kind) -> dict[str, Entry]:
    """The families of a kind: name to entry. Their members are loaded as `NAME:MEMBER`."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    return {name: entry(group, name) for group in kinds if group == f"{kind}_family" for name in names(group)}


def unknown(what: str, given: str, allowed: list[str]) -> str:
    """The line for a name that is not known: what was given, the nearest match, what is allowed."""
    near = difflib.get_close_matches(given, allowed, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {given!r}{hint} (known: {', '.join(allowed)})"


def _table(kind: Kind) -> dict[str, str]:
    table = dict(BUILT_IN[kind])
    for point in entry_points(group=f"prefbench.{kind}"):
        table.setdefault(point.name, point.value)
    return table


def _load_file(kind: Kind, path: Path, attribute: str) -> Any:
    if not path.is_file():
        raise PrefbenchError(f"{kind} file {path} does not exist")
    name = f"prefbench_file_{path.stem}_{abs(hash(path.resolve())):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PrefbenchError(f"{kind} file {path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise PrefbenchError(f"{kind} file {path} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        public = [n for n, v in vars(module).items() if inspect.isclass(v) and v.__module__ == name]
        raise PrefbenchError(unknown(f"class in {path}", attribute, public))
    return getattr(module, attribute)
