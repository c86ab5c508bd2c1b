"""Loading, tuning and saving language models: what is stored comes back, and what does not fit is one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import huggingface_hub
import pytest
import torch
from peft import PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file

from prefbench.api import PrefbenchError, WeightFiles
from prefbench.models import hub
from prefbench.models.folders import atomic_folder
from prefbench.models.mllms import weights
from prefbench.models.mllms.cards import IDEFICS2_8B, QWEN25_VL_7B
from prefbench.models.mllms.conversation import Conversation, answer
from prefbench.models.mllms.folders import CARD_FILE, card_of_folder
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.states import HiddenStates
from prefbench.models.mllms.tuning import tune, vision_tower
from tests.support.plain_mllms import history, train_user
from tests.support.tiny_mllms import save_tiny_idefics2, save_tiny_mini_mllm, save_tiny_qwen

FAMILIES = {"idefics2": save_tiny_idefics2, "qwen": save_tiny_qwen}
ASKED: list[Conversation] = [[history(2, 1)], [history(0, 1, seed=5)]]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HALF: dict[str, Any] = {"rtol": 1e-2, "atol": 1e-2}
"""What storing weights in float16 may move; the states are of size 1."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("mllms")
    return {name: save(root / name) for name, save in FAMILIES.items()}


@pytest.fixture(params=FAMILIES)
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A folder that a test may damage."""
    return Path(shutil.copytree(folder, tmp_path / folder.name))


def loaded(folder: Path) -> Mllm:
    return load_mllm(folder, device="cpu")


def trained(mllm: Mllm) -> Mllm:
    """After one large step on one conversation."""
    batch = mllm.training_batch([train_user(), [history(1, 0), answer("no")]])
    inputs = {name: value for name, value in batch.items() if name != "seen_at"}
    parameters = [p for p in mllm.model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=0.01)
    mllm.model(**inputs, use_cache=False).loss.backward()
    assert all(p.grad is not None for p in parameters)
    optimiser.step()
    return mllm


def assert_equal(one: HiddenStates, other: HiddenStates, **tolerance: Any) -> None:
    torch.testing.assert_close(one.last, other.last, **tolerance)
    torch.testing.assert_close(one.mean, other.mean, **tolerance)


def one_line(error: pytest.ExceptionInfo[PrefbenchError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert "\x1b" not in text
    return text


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# ------------------------------------------------------------------------------------------------------ tuning


def test_full_tuning_trains_all_but_the_vision_tower(folder: Path) -> None:
    mllm = tune(loaded(folder), "full")
    tower = f"{vision_tower(mllm)}."
    assert mllm.model.training
    for name, parameter in mllm.model.named_parameters():
        assert parameter.requires_grad == (not name.startswith(tower)), name
        assert parameter.dtype == torch.float32
    assert any(name.startswith(tower) for name, _ in mllm.model.named_parameters())


def test_lora_trains_adapters_outside_the_vision_tower(folder: Path) -> None:
    mllm = tune(loaded(folder), "lora")
    trainable = {name: p for name, p in mllm.model.named_parameters() if p.requires_grad}
    assert all(".lora_" in name and not name.startswith(f"{vision_tower(mllm)}.") for name in trainable)
    assert all(p.dtype == torch.float32 and 8 in p.shape for p in trainable.values())
    layer = "model.text_model.layers.1" if folder.name == "idefics2" else "model.language_model.layers.1"
    projections = [f"self_attn.{x}_proj" for x in "qkvo"] + [f"mlp.{x}_proj" for x in ("gate", "up", "down")]
    assert {f"{layer}.{projection}.lora_A.default.weight" for projection in projections} <= set(trainable)
    assert any("connector" in name for name in trainable) == (folder.name == "idefics2")


def test_a_fresh_adapter_changes_nothing(folder: Path) -> None:
    assert_equal(tune(loaded(folder), "lora").states(ASKED), loaded(folder).states(ASKED))


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (lambda folder: tune(loaded(folder), "qlora"), "four bits need a CUDA device, not 'cpu'"),
        (lambda folder: load_mllm(folder, device="cpu", four_bit=True), "four bits need a CUDA device, not 'cpu'"),
        (lambda folder: tune(loaded(folder), cast(Any, "lorra")), "unknown tuning 'lorra'; did you mean 'lora'?"),
        (lambda folder: tune(tune(loaded(folder), "lora")), "has an adapter already; tune the model without it"),
    ],
)
def test_tunings_that_cannot_be(folders: dict[str, Path], ask: Callable[[Path], Mllm], reason: str) -> None:
    with pytest.raises(PrefbenchError) as caught:
        ask(folders["qwen"])
    assert reason in one_line(caught)


# ------------------------------------------------------------------------------------------------------ saving


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_what_training_made_comes_back(folder: Path, tmp_path: Path, tuning: Any) -> None:
    before = loaded(folder)
    mllm = trained(tune(loaded(folder), tuning))
    mllm.save(tmp_path / "saved")
    again = loaded(tmp_path / "saved")
    assert_equal(again.states(ASKED), mllm.states(ASKED), **HALF)
    assert (mllm.states(ASKED).last - before.states(ASKED).last).abs().max() > 0.1
    assert (tmp_path / "saved" / "model.safetensors").exists() == (tuning == "full")
    assert again.digest != before.digest
    assert not any(p.requires_grad for p in again.model.parameters()) or tuning == "full"
    kept = ("dtype", "licence", "context", "image_side", "tuning")
    assert [getattr(again.card, name) for name in kept] == [getattr(mllm.card, name) for name in kept]


def test_weights_are_stored_in_half_precision_and_tied_ones_once(tmp_path: Path) -> None:
    mllm = loaded(save_tiny_mini_mllm(tmp_path / "mini-mllm"))
    mllm.save(tmp_path / "saved")
    stored = load_file(tmp_path / "saved" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert len([name for name in stored if "lm_head" in name or "embed_tokens" in name]) == 1
    assert_equal(loaded(tmp_path / "saved").states(ASKED), mllm.states(ASKED), **HALF)


@pytest.mark.slow
def test_a_model_with_an_adapter_beside_it_loads(copy: Path, folder: Path) -> None:
    mllm = trained(tune(loaded(folder), "lora"))
    mllm.save(copy / "adapter")
    again = loaded(copy)
    assert again.card.adapter == str(copy / "adapter")
    assert_equal(again.states(ASKED), mllm.states(ASKED))


def test_only_a_saved_model_is_replaced(folders: dict[str, Path], tmp_path: Path) -> None:
    mllm = loaded(folders["qwen"])
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(PrefbenchError, match="photos holds something else than a saved model; name another folder"):
        mllm.save(tmp_path / "photos")
    (tmp_path / "saved").mkdir()
    for _ in range(2):
        mllm.save(tmp_path / "saved")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "saved"]


def test_an_adapter_on_a_model_that_is_nowhere_is_not_saved(folders: dict[str, Path], tmp_path: Path) -> None:
    mllm = tune(loaded(folders["qwen"]), "lora")
    mllm.folder = None
    with pytest.raises(PrefbenchError, match="was never stored, so its adapter could not be loaded again"):
        mllm.save(tmp_path / "saved")


def test_a_folder_survives_a_kill_between_its_two_renames(tmp_path: Path) -> None:
    (tmp_path / ".saved.old.tmp").mkdir()
    (tmp_path / ".saved.old.tmp" / "weights").touch()

    def interrupted() -> None:
        with atomic_folder(tmp_path / "saved"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["saved", "saved/weights"]


# --------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("model.safetensors", "has no files of the model; get it with: "),
        ("tokenizer.json", "has no files of the tokenizer; get it with: "),
        ("processor_config.json", "has no files of the processor; get it with: "),
        ("config.json", "config.json cannot be read"),
        ("chat_template.jinja", "it needs a processor of images and text that has a chat template"),
    ],
)
def test_a_missing_file_is_named(copy: Path, file: str, reason: str) -> None:
    (copy / file).unlink()
    with pytest.raises(PrefbenchError) as caught:
        loaded(copy)
    assert reason in one_line(caught)


def test_a_missing_weight_is_not_left_random(copy: Path) -> None:
    held = load_file(copy / "model.safetensors")
    gone = next(name for name in held if "layers.1.mlp" in name)
    held.pop(gone)
    save_file(held, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(PrefbenchError) as caught:
        loaded(copy)
    assert "weights are missing in" in one_line(caught)
    assert gone in str(caught.value)


def test_damaged_weights_are_one_line(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(PrefbenchError) as caught:
        loaded(copy)
    assert f"mllm {copy.name!r}: {copy} cannot be loaded: " in one_line(caught)


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        ("config.json", lambda c: c.update(model_type="llama"), "cannot be loaded: Unrecognized configuration class"),
        (
            "config.json",
            lambda c: c.update(model_type="fox"),
            "cannot be loaded: The checkpoint you are trying to load",
        ),
        ("config.json", lambda c: c["text_config"].update(hidden_size="wide"), "cannot be loaded: Validation error"),
        ("config.json", lambda c: c["text_config"].update(intermediate_size=48), "cannot be loaded: You set"),
        ("config.json", lambda c: c.update(text_config="none"), "config.json needs dtype, and max_position_embeddings"),
        ("config.json", lambda c: c.update(dtype="int8"), "config.json needs dtype, and max_position_embeddings"),
        ("processor_config.json", lambda c: c.update(processor_class="Fox"), "it needs a processor of images and text"),
        ("tokenizer.json", lambda c: c.clear(), "cannot be loaded: "),
    ],
)
def test_another_layout_is_one_line(copy: Path, file: str, change: Callable[[Any], object], reason: str) -> None:
    edit(copy / file, change)
    with pytest.raises(PrefbenchError) as caught:
        loaded(copy)
    assert reason in one_line(caught)


def test_settings_of_a_folder_are_taken_and_checked(copy: Path) -> None:
    (copy / CARD_FILE).write_text(json.dumps({"context": 99, "image_side": 16, "more": 1}))
    assert (card_of_folder(copy).context, card_of_folder(copy).image_side) == (99, 16)
    (copy / CARD_FILE).write_text(json.dumps({"dtype": "int8", "context": "long", "tuning": ["full"]}))
    with pytest.raises(PrefbenchError) as caught:
        card_of_folder(copy)
    assert "dtype cannot be 'int8', context cannot be 'long', tuning cannot be ['full']" in one_line(caught)


def test_an_unknown_name_gets_the_nearest_match() -> None:
    with pytest.raises(PrefbenchError, match=r"unknown mllm 'idefics2-8'; did you mean 'idefics2-8b'\?"):
        load_mllm("idefics2-8")


@pytest.mark.parametrize("card", [IDEFICS2_8B, QWEN25_VL_7B], ids=lambda card: card.name)
def test_public_models_that_are_not_here_come_with_a_command(card: Any) -> None:
    with pytest.raises(PrefbenchError, match=rf"there is no local copy of {card.source}; get it with: hf download"):
        load_mllm(card, device="cpu")
    assert str(weights.missing(card)).startswith(f"hf download {card.source} --revision {card.revision} --include")


@pytest.mark.parametrize("source", ["../weights", "./weights", "a/..", "a--b/c", "-a/b", "/a/b", "a/b/c", "weights"])
def test_paths_are_not_taken_for_repositories(source: str) -> None:
    assert not hub.is_hub_id(source)
    assert str(hub.locate(WeightFiles(source, ("config.json",)))).startswith(f"there are no weights in {source};")
    assert hub.is_hub_id(IDEFICS2_8B.source)


# ---------------------------------------------------------------------------------------------------- adapters


@pytest.fixture(scope="module")
def adapters(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    for name, folder in folders.items():
        tune(loaded(folder), "lora").save(root / name)
    return {name: root / name for name in folders}


@pytest.fixture
def adapter(folder: Path, adapters: dict[str, Path], tmp_path: Path) -> Path:
    """A folder that a test may damage."""
    return Path(shutil.copytree(adapters[folder.name], tmp_path / "adapter"))


def test_an_adapter_for_another_model_is_refused(folder: Path, folders: dict[str, Path], adapter: Path) -> None:
    (other,) = set(folders.values()) - {folder}
    edit(adapter / weights.ADAPTER_FILE, lambda config: config.update(base_model_name_or_path=str(other)))
    with pytest.raises(PrefbenchError) as caught:
        loaded(adapter)
    assert f"the adapter in {adapter} does not fit its model: " in one_line(caught)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"base_model_name_or_path": "some/thing"}, "there is no local copy of some/thing; get it with: hf download"),
        ({"base_model_name_or_path": "../gone"}, "there are no weights in ../gone"),
        ({"base_model_name_or_path": None}, "names no base model"),
        ({"r": 4}, "does not fit its model: Error(s) in loading state_dict"),
        ({"target_modules": ["fox"]}, "does not fit its model: No modules were targeted"),
        ({"peft_type": "FOX"}, "does not fit its model: 'FOX'"),
    ],
)
def test_an_adapter_that_names_the_wrong_things(adapter: Path, changes: dict[str, Any], reason: str) -> None:
    edit(adapter / weights.ADAPTER_FILE, lambda config: config.update(changes))
    with pytest.raises(PrefbenchError) as caught:
        loaded(adapter)
    assert reason in one_line(caught)


def test_an_adapter_without_all_its_weights(adapter: Path) -> None:
    held = load_file(adapter / weights.ADAPTER_WEIGHTS)
    held.pop(next(iter(held)))
    save_file(held, adapter / weights.ADAPTER_WEIGHTS, {"format": "pt"})
    with pytest.raises(PrefbenchError) as caught:
        loaded(adapter)
    assert "does not fit its model: Found missing adapter keys" in one_line(caught)
    (adapter / weights.ADAPTER_WEIGHTS).unlink()
    with pytest.raises(PrefbenchError, match=f"has no {weights.ADAPTER_WEIGHTS}; get it with: "):
        loaded(adapter)


def test_prompts_are_no_adapter_of_the_model(folders: dict[str, Path], tmp_path: Path) -> None:
    config = PromptTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=2,
        token_dim=32,
        num_transformer_submodules=1,
        num_attention_heads=4,
        num_layers=2,
        base_model_name_or_path=str(folders["qwen"]),
    )
    get_peft_model(loaded(folders["qwen"]).model, config).save_pretrained(str(tmp_path / "prompts"))
    with pytest.raises(PrefbenchError) as caught:
        loaded(tmp_path / "prompts")
    assert "is PROMPT_TUNING; it needs LoRA or a similar kind" in one_line(caught)


def test_an_adapter_on_a_public_model_names_it_and_no_folder_of_this_machine(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = tmp_path / "hub" / "models--HuggingFaceM4--idefics2-8b"
    shutil.copytree(folders["idefics2"], cached / "snapshots" / COMMIT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    mllm = trained(tune(load_mllm("idefics2-8b", device="cpu"), "lora"))
    mllm.save(tmp_path / "adapter")
    saved = json.loads((tmp_path / "adapter" / weights.ADAPTER_FILE).read_text())
    assert (saved["base_model_name_or_path"], saved["revision"]) == (IDEFICS2_8B.source, IDEFICS2_8B.revision)
    again = loaded(tmp_path / "adapter")
    assert again.card == replace(IDEFICS2_8B, name="adapter", adapter=str(tmp_path / "adapter"))
    assert_equal(again.states(ASKED), mllm.states(ASKED))


def test_a_model_and_an_adapter_share_no_folder(adapter: Path, folder: Path) -> None:
    shutil.copy(folder / "config.json", adapter)
    with pytest.raises(PrefbenchError, match="holds a model and an adapter; move the adapter's files to"):
        loaded(adapter)


def test_the_digest_covers_what_is_read_and_nothing_else(copy: Path, folder: Path) -> None:
    before = loaded(folder).digest
    (copy / "notes.md").write_text("a fox")
    (copy / "card.json").write_text("{}")
    assert loaded(copy).digest == before
    edit(copy / "generation_config.json", lambda config: config.update(max_length=30))
    assert loaded(copy).digest != before


def test_a_model_that_was_never_stored_has_no_digest(folders: dict[str, Path]) -> None:
    mllm = loaded(folders["qwen"])
    mllm.folder = None
    with pytest.raises(PrefbenchError, match="was never stored, so it has no digest"):
        _ = mllm.digest
