"""Fusion, alignment, injection and weights of `ours`, by counting and by formulas written out in NumPy."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from prefbench.api import History, Judgment, Picture, PrefbenchError, TrainUser
from prefbench.methods.ours import weights
from prefbench.methods.ours.alignment import Alignment, alignment_loss
from prefbench.methods.ours.fusion import Fusion, Widths
from prefbench.methods.ours.train.history_states import HistoryStates
from prefbench.methods.ours.train.injection_stage import pixels_of
from prefbench.methods.ours.train.injection_task import AlignmentTask, InjectionBatches
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.ours.vectors import Layers, Scales, join, referred, widths
from prefbench.methods.shared.image_tower import most_typical
from prefbench.methods.shared.questions import TEMPLATES, Examples, likes_question
from prefbench.models import hub
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.states import HiddenStates
from prefbench.training.adapter import Adapter
from prefbench.training.loop import FitConfig, fit
from tests.support.tiny import save_tiny_sd15
from tests.support.tiny_mllms import WIDTH

# ------------------------------------------------------------------------------------------------------ fusion

VIEWERS = Widths(sem=6, core=3, img=4)


def fusion(**options: object) -> Fusion:
    torch.manual_seed(0)
    return Fusion(VIEWERS, 8, **{"tokens": 2} | options)


def test_zeros_are_the_same_tokens_for_all() -> None:
    tokens = fusion()(torch.zeros(3, VIEWERS.total))
    assert tokens.shape == (3, 6, 8)
    torch.testing.assert_close(tokens[0], tokens[2])
    assert torch.isfinite(tokens).all()


def test_users_of_a_batch_do_not_meet() -> None:
    found, vectors = fusion(), torch.randn(5, VIEWERS.total)
    together = found(vectors)
    torch.testing.assert_close(together, torch.cat([found(row[None]) for row in vectors]))
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize(("name", "tokens"), [("sem", slice(0, 2)), ("core", slice(2, 4)), ("img", slice(4, 6))])
def test_a_part_moves_its_own_tokens_unless_it_is_left_out(name: str, tokens: slice) -> None:
    vectors = torch.randn(1, VIEWERS.total)
    before, moved = vectors.clone(), vectors.clone()
    moved[:, VIEWERS.parts[name]] += 1
    whole, lacking = fusion(), fusion(without=(name,))
    changed = (whole(moved) != whole(vectors)).any(2)[0]
    assert changed[tokens].all()
    assert changed.sum() == 2
    torch.testing.assert_close(lacking(moved), lacking(vectors))
    torch.testing.assert_close(vectors, before, msg="the input is left alone")


def test_tokens_that_begin_small_leave_the_denoiser_as_it_was_and_can_still_learn(sd15: Path) -> None:
    backbone = load_backbone(str(sd15), device="cpu")
    unet, vectors = backbone.pipeline.unet, torch.randn(2, 1, VIEWERS.total)
    latents, text = torch.randn(2, 4, 8, 8), torch.randn(2, 5, unet.config.cross_attention_dim)

    def predicted(**added: object) -> torch.Tensor:
        found: torch.Tensor = unet(latents, 500, text, return_dict=False, **added)[0]
        return found

    with torch.no_grad():
        plain = predicted()
    moved = {}
    for factor in (1.0, 0.01):
        torch.manual_seed(0)
        small = Fusion(VIEWERS, unet.config.cross_attention_dim, tokens=2)
        aligned, fresh = fusion(), fusion()
        aligned.shrink(factor, sem=False)
        assert torch.equal(aligned.mapped(vectors[:, 0]), fresh.mapped(vectors[:, 0])), "those that words taught stay"
        small.shrink(factor)
        adapter = Adapter(unet, small, tokens=small.total)
        drawn = predicted(added_cond_kwargs={"image_embeds": [vectors]})
        moved[factor] = float((drawn - plain).detach().abs().mean())
    assert moved[0.01] < 0.02 * moved[1.0]
    drawn.square().mean().backward()
    gradients = [parameter.grad for parameter in adapter.projection.parameters()]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


# --------------------------------------------------------------------------------------------------- alignment

KINDS: tuple[Alignment, ...] = ("none", "cosine", "mse", "contrastive", "mmd", "mmd-unbiased", "mmd-user", "mmd-both")


def kernel_mean(x: np.ndarray, y: np.ndarray, width: float) -> np.ndarray:
    squared = ((x[:, None] - y[None]) ** 2).sum(-1)
    factors = (0.25, 0.5, 1, 2, 4)
    return sum(np.exp(-squared / (2 * (f * width) ** 2)) for f in factors) / len(factors)


@pytest.fixture
def aligned() -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    mask = torch.tensor([[1, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 0]], dtype=torch.bool)
    return torch.randn(4, 2, 5, generator=rng), torch.randn(4, 3, 5, generator=rng), mask


@pytest.mark.parametrize("kind", ["mmd", "mmd-unbiased"])
def test_mmd_equals_the_formula(kind: Alignment, aligned: tuple[Tensor, Tensor, Tensor]) -> None:
    mapped, words, mask = aligned
    x, y = mapped[[0, 2, 3]].reshape(-1, 5).double().numpy(), words[mask].double().numpy()
    pairs = np.triu_indices(len(y), k=1)
    width = float(np.median(np.linalg.norm(y[:, None] - y[None], axis=-1)[pairs]))
    inside = [kernel_mean(part, part, width) for part in (x, y)]
    if kind == "mmd":
        own = [k.mean() for k in inside]
    else:
        own = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in inside]
    expected = sum(own) - 2 * kernel_mean(x, y, width).mean()
    assert alignment_loss(mapped, words, mask, kind).item() == pytest.approx(expected, abs=1e-5)


def test_mmd_of_users_pairs_each_with_the_own_words(aligned: tuple[Tensor, Tensor, Tensor]) -> None:
    mapped, words, mask = aligned
    y = words[mask].double().numpy()
    width = float(np.median(np.linalg.norm(y[:, None] - y[None], axis=-1)[np.triu_indices(len(y), k=1)]))
    expected = []
    for tokens, states, spoken in zip(mapped, words, mask, strict=True):
        if not spoken.any():
            continue
        own, said = tokens.double().numpy(), states[spoken].double().numpy()
        total = -2 * kernel_mean(own, said, width).mean()
        for part in (own, said):
            k = kernel_mean(part, part, width)
            total += (k.sum() - len(k)) / (len(k) * (len(k) - 1)) if len(k) > 1 else 1.0
        expected.append(total)
    found = alignment_loss(mapped, words, mask, "mmd-user").item()
    assert found == pytest.approx(np.mean(expected), abs=1e-5)
    both = found + alignment_loss(mapped, words, mask, "mmd").item()
    assert alignment_loss(mapped, words, mask, "mmd-both").item() == pytest.approx(both, abs=1e-6)


def test_mmd_of_users_is_lower_with_the_own_words_and_mmd_of_all_is_not() -> None:
    rng = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(8, 1, 5, generator=rng)
    words, mask = centres + 0.3 * torch.randn(8, 4, 5, generator=rng), torch.ones(8, 4, dtype=torch.bool)
    mapped = centres + 0.3 * torch.randn(8, 3, 5, generator=rng)
    right, wrong = (alignment_loss(x, words, mask, "mmd-user") for x in (mapped, mapped.roll(1, 0)))
    assert right + 0.2 < wrong
    right, wrong = (alignment_loss(x, words, mask, "mmd") for x in (mapped, mapped.roll(1, 0)))
    assert right.item() == pytest.approx(wrong.item(), abs=1e-5)


def test_identical_sets_are_aligned() -> None:
    words = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0))
    shuffled = words.flatten(0, 1)[torch.randperm(24)].view(6, 4, 5)
    spoken = torch.ones(6, 4, dtype=torch.bool)
    assert alignment_loss(shuffled, words, spoken, "mmd").item() == pytest.approx(0, abs=1e-5)
    assert alignment_loss(shuffled + 3, words, spoken, "mmd") > 0.1
    for kind in ("cosine", "mse"):
        assert alignment_loss(words, words, spoken, kind).item() == pytest.approx(0, abs=1e-5)


def test_contrastive_and_pointwise_losses_are_lower_for_the_right_pairs() -> None:
    words = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0))
    spoken = torch.ones(6, 4, dtype=torch.bool)
    for kind in ("contrastive", "cosine", "mse"):
        right, wrong = (alignment_loss(mapped, words, spoken, kind) for mapped in (words, words.roll(1, 0)))
        assert right < wrong


@pytest.mark.parametrize("kind", KINDS)
def test_without_words_there_is_nothing_to_align(kind: Alignment, aligned: tuple[Tensor, Tensor, Tensor]) -> None:
    mapped, words, mask = aligned
    assert alignment_loss(mapped, words, torch.zeros_like(mask), kind) == 0
    mapped.requires_grad_(True)
    loss = alignment_loss(mapped, words, mask, kind)
    if kind == "none":
        assert loss == 0
        return
    torch.autograd.backward(loss)
    assert mapped.grad is not None
    assert torch.isfinite(loss)
    assert not mapped.grad[1].any(), "who has no words is drawn nowhere"
    assert mapped.grad[0].any()


@pytest.mark.parametrize("kind", ["mmd", "mmd-unbiased"])
def test_one_word_for_all_sets_no_width_and_stops_no_training(kind: Alignment) -> None:
    words = torch.ones(3, 2, 5)
    mask = torch.tensor([[True, False]] * 3)
    assert alignment_loss(torch.randn(3, 2, 5), words, mask, kind) == 0


# ----------------------------------------------------------------------------------------------------- vectors


def test_layers_are_stored_and_pick_their_states(tmp_path: Path) -> None:
    layers = Layers.top_four(6, (2, 3), "mean")
    assert layers.sem == (3, 4, 5, 6)
    layers.save(tmp_path / "layers.json")
    assert Layers.load(tmp_path / "layers.json") == layers
    last, mean, contrast = (torch.randn(2, 7, 5) for _ in range(3))
    states = HiddenStates(last, mean, contrast)
    sem, core = layers.of(states)
    torch.testing.assert_close(sem, torch.cat([last[:, i] for i in (3, 4, 5, 6)], 1))
    torch.testing.assert_close(core, (mean[:, 2] + mean[:, 3]) / 2)
    torch.testing.assert_close(replace(layers, pooling="last").of(states)[1], last[:, 2:4].mean(1))
    torch.testing.assert_close(replace(layers, pooling="contrast").of(states)[1], contrast[:, 2:4].mean(1))
    assert Layers.top_four(2, (1,), "last").sem == (1, 2), "the embedding layer is none of them"


def test_scales_standardise_and_join() -> None:
    sem, core = torch.randn(50, 3) * 4 + 2, torch.ones(50, 2)
    scales = Scales.joined([Scales.of(sem), Scales.of(core)])
    found = scales(join(sem, core, torch.empty(50, 0)))
    torch.testing.assert_close(found[:, :3].mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(found[:, :3].std(0), torch.ones(3))
    assert not found[:, 3:].any(), "what never varies says nothing"


def test_the_most_typical_image_is_nearest_to_the_mean_direction() -> None:
    embeddings = torch.tensor([[10.0, 0.0], [1.0, 1.0], [0.0, 3.0], [1.0, 0.8]])
    assert most_typical(embeddings) == 1
    assert most_typical(embeddings[:1]) == 0


def test_images_of_any_size_become_squares_of_their_middle(judged_images: JudgedImages) -> None:
    rows = pixels_of(judged_images, 8)(np.array([0, 1, 5]))
    assert rows.shape == (3, 3, 8, 8)
    assert rows.min() >= -1
    assert rows.max() <= 1
    middle = Image.new("RGB", (24, 8), "red")
    middle.paste(Image.new("RGB", (8, 8), "blue"), (8, 0))
    square = JudgedImages([TrainUser(History("a", (Judgment(Picture.of(middle), "", True),), ()))])
    torch.testing.assert_close(pixels_of(square, 8)(np.array([0]))[0, 2], torch.ones(8, 8), msg="nothing is squashed")


# --------------------------------------------------------------------------------------------------- injection


def test_a_step_asks_for_a_liked_picture_that_the_history_does_not_show() -> None:
    histories = HistoryStates(
        sem=torch.arange(2.0)[:, None].repeat(1, 3),
        core=torch.zeros(2, 2),
        shown=[[0, 1], []],
        wanted=[[2, 3], [4]],
        likes=["red", ""],
    )
    embeddings = torch.arange(5.0)[:, None].repeat(1, 2)
    batches = InjectionBatches(
        histories,
        embeddings=embeddings,
        pixels=lambda rows: torch.from_numpy(rows)[:, None, None, None].float(),
        prompts=[f"prompt {i}" for i in range(5)],
        scales=Scales(torch.zeros(7), torch.ones(7)),
        embed_text=lambda text: {"prompt_embeds": torch.full((1, 1), -1.0 if not text else float(text[-1]))},
        words_of=lambda text: (torch.zeros(2, 3), torch.tensor([bool(text), False])),
        latents=(4, 2, 2),
        user_dropped=0.25,
        text_dropped=0.25,
    )
    batch = batches(np.random.default_rng(0), 400)
    assert batch["u"].median() == pytest.approx(0.68, abs=0.05), "mostly noise, where the look of a picture is decided"
    rows, kept, sem = batch["pictures"].flatten(), batch["conditioned"], batch["features"][:, 0]
    first, second = kept & (sem == 0), kept & (sem == 1)
    assert set(rows[first].tolist()) == {2, 3}
    assert set(rows[second].tolist()) == {4}
    assert set(batch["features"][first, -1].tolist()) == {0.0, 1.0}, "e_img is of a liked picture that was shown"
    assert set(batch["features"][second, -1].tolist()) == {2.0}, "the mean where none was"
    assert not batch["features"][~kept].any()
    assert (~kept).float().mean().item() == pytest.approx(0.25, abs=0.07)
    text = batch["prompt_embeds"].flatten()
    assert (text == -1).float().mean().item() == pytest.approx(0.25, abs=0.07)
    assert (text[text >= 0] == rows[text >= 0]).all(), "each picture with its own prompt"
    assert batch["spoken"].any(1)[rows < 4].all()
    assert not batch["spoken"].any(1)[rows == 4].any()
    assert batch["noise"].shape == (400, 4, 2, 2)


def test_the_alignment_alone_teaches_the_mapping_of_e_sem_and_nothing_else(tmp_path: Path) -> None:
    """Users of one kind say "red", of the other "blue": afterwards the tokens of each lie at the own words."""
    kinds, words = torch.eye(2), torch.tensor([[[1.0], [0.8]], [[-1.0], [-0.8]]]).expand(2, 2, 8)
    histories = HistoryStates(
        sem=kinds.repeat(1, 3), core=torch.zeros(2, 3), shown=[[0], [1]], wanted=[[1], [0]], likes=["red", "blue"]
    )
    batches = InjectionBatches(
        histories,
        embeddings=torch.randn(2, 4, generator=torch.Generator().manual_seed(0)),
        pixels=lambda rows: pytest.fail(f"{rows} are looked at"),
        prompts=["a fox", "a boat"],
        scales=Scales(torch.zeros(13), torch.ones(13)),
        embed_text=lambda text: pytest.fail(f"{text} is read"),
        words_of=lambda text: (words[int(text == "blue")], torch.tensor([True, True])),
        latents=(4, 2, 2),
    )
    mapping = fusion()
    before = {name: tensor.clone() for name, tensor in mapping.state_dict().items()}
    fit(
        AlignmentTask(mapping, "mmd-both"),
        batches.unpictured,
        FitConfig(images=4000, lr=1e-2, warmup_steps=1),
        tmp_path,
    )
    moved = {name for name, tensor in mapping.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in before if name.startswith("sem.")}
    tokens = mapping.mapped(torch.cat([histories.sem, torch.zeros(2, 7)], dim=1))
    for own, word, other in zip(tokens, words.mean(1), words.mean(1).flip(0), strict=True):
        assert ((own - word).norm(dim=1) < 0.3 * (own - other).norm(dim=1)).all()


def test_a_batch_without_any_words_teaches_no_alignment_and_is_no_error() -> None:
    task = AlignmentTask(fusion(), "mmd-both")
    nothing = torch.zeros(3, 2, dtype=torch.bool)
    loss = task({"features": torch.randn(3, 13), "words": torch.zeros(3, 2, 8), "spoken": nothing})
    loss.backward()
    assert loss == 0
    assert not any(parameter.grad.any() for parameter in task.parameters() if parameter.grad is not None)


# ----------------------------------------------------------------------------------------------------- weights


@pytest.fixture(scope="module")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd15(tmp_path_factory.mktemp("backbone") / "sd15")


@pytest.fixture
def stored(sd15: Path, tmp_path: Path) -> Path:
    """Weights for the tiny SD 1.5, far from fresh."""
    backbone = load_backbone(sd15, device="cpu")
    config = weights.Config("sd15", backbone.digest, "somewhere", VIEWERS, 16, 2)
    torch.manual_seed(0)
    adapter = weights.attach(backbone, config)
    for parameter in adapter.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    layers = Layers((1, 2), (1,))
    weights.save(tmp_path / "final", config, adapter, layers, Scales(torch.zeros(13), torch.ones(13)))
    return tmp_path / "final"


def draw(folder: Path, sd15: Path) -> np.ndarray:
    backbone = load_backbone(sd15, device="cpu", steps=2)
    weights.load(folder, backbone)
    embeds = torch.randn(2, 1, VIEWERS.total, generator=torch.Generator().manual_seed(0))
    images = backbone.generate(["a red fox"], [0], ip_adapter_image_embeds=[embeds], guidance_scale=3.0)
    return np.asarray(images[0])


def test_weights_round_trip(stored: Path, sd15: Path, tmp_path: Path) -> None:
    backbone = load_backbone(sd15, device="cpu")
    config, adapter, layers, scales = weights.load(stored, backbone)
    assert (config.tokens, config.widths, layers) == (2, VIEWERS, Layers((1, 2), (1,)))
    weights.save(tmp_path / "again", config, adapter, layers, scales)
    for name in (weights.FILE, weights.CONFIG, weights.LAYERS):
        assert (stored / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    np.testing.assert_array_equal(draw(stored, sd15), draw(tmp_path / "again", sd15))


def test_weights_of_before_draw_the_same_and_are_the_same_run(
    stored: Path, sd15: Path, mllm: Mllm, tmp_path: Path
) -> None:
    """Version 0.2 noted no `reference`; its run ids hold a digest over the text of the other fields."""
    kept = json.loads((stored / weights.CONFIG).read_text())
    shutil.copytree(stored, tmp_path / "old")
    assert kept.pop("reference") == "typical"
    (tmp_path / "old" / weights.CONFIG).write_text(json.dumps(kept))
    old, new = (weights.Config.load(folder / weights.CONFIG) for folder in (tmp_path / "old", stored))
    assert old == new
    assert "reference" not in repr(old)
    eyes = SimpleNamespace(digest="eyes")
    first = replace(old, reference="first")
    same, again, other = (weights.digest(stored, one, mllm, eyes) for one in (old, new, first))
    text = f"{hub.digest({stored: [stored / weights.FILE, stored / weights.LAYERS]})} {replace(old, mllm='')}"
    assert same == again == hashlib.sha256(f"{text} {mllm.digest} eyes".encode()).hexdigest()
    assert other != same
    np.testing.assert_array_equal(draw(stored, sd15), draw(tmp_path / "old", sd15))


def test_the_picture_that_stands_for_all_follows_the_rule() -> None:
    embeddings = torch.tensor([[10.0, 0.0], [1.0, 1.0], [0.0, 3.0], [1.0, 0.8]])
    assert [referred(embeddings, rule) for rule in ("typical", "random", "first")] == [1, 1, 0]


def test_weights_for_another_backbone_are_one_line(stored: Path, tmp_path: Path) -> None:
    from tests.support.tiny import save_tiny_sdxl

    backbone = load_backbone(save_tiny_sdxl(tmp_path / "sdxl"), device="cpu")
    line = r"trained with 'sd15', whose cross-attention is 16 wide; that of 'sdxl' is 32; train for it: prefbench train"
    with pytest.raises(PrefbenchError, match=line) as caught:
        weights.load(stored, backbone)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda f: (f / weights.FILE).write_bytes(b"\0" * 40), "is damaged"),
        (lambda f: (f / weights.LAYERS).write_text("{}"), "is damaged"),
        (lambda f: (f / weights.LAYERS).unlink(), "is damaged"),
        (lambda f: (f / weights.CONFIG).write_text('{"backbone": "sd15"}'), "is damaged"),
        (lambda f: (f / weights.CONFIG).write_text("[]"), "is damaged"),
        (lambda f: (f / weights.CONFIG).unlink(), "ours has no weights for backbone 'sd15' in .*train them"),
        (
            lambda f: (f / weights.CONFIG).write_text(
                (f / weights.CONFIG).read_text().replace('"tokens": 2', '"tokens": 3')
            ),
            "does not fit backbone 'sd15'",
        ),
        (
            lambda f: (f / weights.CONFIG).write_text((f / weights.CONFIG).read_text().replace('"sem": 6', '"sem": 7')),
            "is damaged .13 scales for vectors of 14",
        ),
    ],
)
def test_damaged_weights_are_one_line(stored: Path, sd15: Path, damage: Callable[[Path], object], line: str) -> None:
    damage(stored)
    with pytest.raises(PrefbenchError, match=line) as caught:
        weights.load(stored, load_backbone(sd15, device="cpu"))
    assert "\n" not in str(caught.value)


def test_other_weights_of_the_same_shape_are_warned_of(
    stored: Path, sd15: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = weights.Config.load(stored / weights.CONFIG)
    replace(config, backbone_digest="another").save(stored / weights.CONFIG)
    weights.load(stored, load_backbone(sd15, device="cpu"))
    assert "other weights than those of backbone 'sd15'" in caplog.text


def test_widths_follow_the_layers(mllm: Mllm) -> None:
    assert widths(Layers((1, 2), (1,)), mllm, 5) == Widths(2 * WIDTH, WIDTH, 5)
    assert likes_question(Examples((), ()))[0].parts == (TEMPLATES.likes[0],)
