"""`instant-style`: the shipped adapter heard in some blocks alone, on `mini-sd` with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from prefbench.api import Context, PrefbenchError
from prefbench.check import check_method
from prefbench.methods.instant_style import STYLES, InstantStyle
from prefbench.methods.ip_adapter import ADAPTERS, IpAdapter
from prefbench.methods.prompt_only import PromptOnly
from prefbench.models.backbones.loader import load_backbone
from prefbench.suites.picturebook.miniatures.cards import MINI_SD
from tests.methods.test_ip_adapter import USERS, drawn, gap
from tests.support import tiny

Make = Callable[..., Any]
ALL = "down_blocks mid_block up_blocks"


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    folder = tiny.save_tiny_mini_sd(tmp_path_factory.mktemp("mini") / "sd")

    def made(method: type[Any] = InstantStyle, **parameters: Any) -> Any:
        one = method(**parameters)
        one.setup(Context(load_backbone(replace(MINI_SD, source=str(folder)), device="cpu", steps=2)))
        return one

    return made


def test_scale_0_is_the_prompt_alone_to_the_bit(make: Make) -> None:
    assert gap(drawn(make(scale=0.0, guidance=0.0), USERS), drawn(make(PromptOnly), USERS)) == 0


def test_in_all_blocks_it_is_the_ip_adapter_and_in_its_own_it_is_neither(make: Make) -> None:
    adapter = drawn(make(IpAdapter, scale=3.0, images="mean", negative="none"), USERS[:1])
    assert gap(drawn(make(blocks=ALL, scale=3.0, guidance=0.0), USERS[:1]), adapter) == 0
    own = drawn(make(scale=3.0, guidance=0.0), USERS[:1])
    assert gap(own, adapter) > 0.5
    assert gap(own, drawn(make(PromptOnly), USERS[:1])) > 0.5


def test_only_the_style_blocks_hear_the_adapter(make: Make) -> None:
    processors = make(scale=0.7).context.backbone.pipeline.unet.attn_processors
    scales = {name: processor.scale for name, processor in processors.items() if "attn2" in name}
    assert {name for name, scale in scales.items() if scale == [0.7]} == {n for n in scales if "up_blocks.1." in n}
    assert {tuple(scale) for scale in scales.values()} == {(0.7,), (0.0,)}


def test_likes_change_the_picture_and_dislikes_do_not(make: Make) -> None:
    method, ann = make(scale=3.0), USERS[0]
    assert gap(drawn(method, [ann]), drawn(method, [replace(ann, liked=USERS[3].liked)])) > 0.5
    assert gap(drawn(method, [ann]), drawn(method, [replace(ann, disliked=())])) == 0
    vectors = [method.represent(each) for each in (ann, replace(ann, disliked=()))]
    assert list(vectors[0]) == ["liked"]
    torch.testing.assert_close(*(torch.from_numpy(each["liked"]) for each in vectors))


def test_every_backbone_with_an_adapter_has_style_blocks() -> None:
    assert set(STYLES) == set(ADAPTERS)


def test_what_is_not_given_is_the_backbone_s_own_choice(make: Make) -> None:
    method, own = make(), STYLES["mini-sd"]
    assert (method.scale, method.guidance) == (own.scale, own.guidance)
    given = make(blocks=own.blocks, scale=own.scale, guidance=own.guidance)
    assert gap(drawn(method, USERS[:1]), drawn(given, USERS[:1])) == 0
    assert make(scale=0.0, guidance=0.0).guidance == 0


@pytest.mark.parametrize("block", ["up_blocks.2", "up_blocks.1.att", "up_blocks.10", "style"])
def test_a_block_without_a_cross_attention_is_refused(block: str, make: Make) -> None:
    with pytest.raises(PrefbenchError, match=f"no cross-attention is in '{block}', only in down_blocks.1.attentions.0"):
        make(blocks=f"up_blocks.1 {block}")


@pytest.mark.slow
def test_it_conforms() -> None:
    findings = check_method("instant-style", ["scale=3"])
    assert [finding for finding in findings if finding.outcome in ("FAILED", "warning")] == []
