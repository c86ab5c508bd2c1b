"""`Mllm`: one way to ask Idefics2, Qwen2.5-VL and the miniature: hidden states, answers, and what training needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from prefbench.api import PrefbenchError
from prefbench.models.folders import atomic_folder
from prefbench.models.hub import is_hub_id
from prefbench.models.loading import collected_warnings
from prefbench.models.mllms import weights
from prefbench.models.mllms.cards import MllmCard
from prefbench.models.mllms.chat import ChatRenderer
from prefbench.models.mllms.conversation import Conversation, fitted, images_of, laid_out, signs_of
from prefbench.models.mllms.endings import reads_side_by_side
from prefbench.models.mllms.folders import CARD_FILE, is_saved, settings_of
from prefbench.models.mllms.halves import halved
from prefbench.models.mllms.phrases import Phrases, after_histories
from prefbench.models.mllms.pooling import narrow_local_layers, pooled_processor
from prefbench.models.mllms.states import HiddenStates, evaluating, side_weights

IGNORED = -100
"""The label of tokens that no loss is taken on."""


class Mllm:
    """A loaded model of transformers' `AutoModelForImageTextToText` family with its processor; see `loader.load_mllm`.

    Args:
        folder: what it was loaded from; for the digest. None for one that has never been stored.
        adapter: the handle of peft to an adapter that `model` carries; None without one.
    """

    def __init__(
        self,
        card: MllmCard,
        model: Any,
        processor: Any,
        *,
        folder: Path | None,
        device: torch.device,
        adapter: Any = None,
    ) -> None:
        self.card, self.model, self.processor = card, model, processor
        self.folder, self.device, self.adapter = folder, device, adapter
        # Padding on the left puts the last token of every conversation in the last column.
        self.tokenizer = processor.tokenizer
        self.tokenizer.padding_side = "left"
        # One run of tokens per image: by default Idefics2 adds four crops of each, and few would fit the context.
        if getattr(processor.image_processor, "do_image_splitting", False):
            processor.image_processor.do_image_splitting = False
        self._renderer = ChatRenderer(card.name, processor)
        self._stored_processor = processor
        if card.pooled:
            self.processor = pooled_processor(card.name, model, processor)

    def pool_pictures(self) -> None:
        """Shows each picture as one token from now on; local layers, where they are stored with it, see as much less.

        Raises:
            PrefbenchError: a model whose pictures cannot be pooled.
        """
        if not self.card.pooled:
            self.processor = pooled_processor(self.card.name, self.model, self._stored_processor)
            if self.adapter is None:
                narrow_local_layers(self.model, by=self._stored_processor.image_seq_len - 1)
            self.card = replace(self.card, pooled=True)

    @property
    def base(self) -> str:
        """Name of its weights: the repository on the hub, or the card's name."""
        return self.card.source if is_hub_id(self.card.source) else self.card.name

    @property
    def width(self) -> int:
        """Width of a hidden state."""
        return int(self.model.config.get_text_config().hidden_size)

    @property
    def four_bit(self) -> bool:
        """Whether it was loaded with `four_bit`."""
        return bool(getattr(self.model, "is_loaded_in_4bit", False))

    @property
    def layers(self) -> int:
        """Layers of the language model."""
        return int(self.model.config.get_text_config().num_hidden_layers)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the files that were loaded; training does not move it. Raises `PrefbenchError` without files."""
        if self.folder is None:
            raise PrefbenchError(f"mllm {self.card.name!r} was never stored, so it has no digest")
        return weights.digest(self.folder, Path(self.card.adapter) if self.card.adapter is not None else None)

    def batch(
        self, conversations: Sequence[Conversation], *, to_be_answered: bool = True, pixels: bool = True
    ) -> dict[str, Tensor]:
        """The inputs of the model, padded on the left: `input_ids` and `attention_mask` (B, tokens), and what its
        processor makes of the images.

        Args:
            to_be_answered: whether the assistant's next turn is opened at the end.
            pixels: False leaves them out, for callers that bring what the vision tower makes of them.

        Raises:
            PrefbenchError: a conversation that is longer than the context (nothing is ever cut off); conversations
                with and without images; text with control tokens.
        """
        conversations = laid_out(conversations, self.card.history)
        texts = [self._renderer.text(conversation, to_be_answered=to_be_answered) for conversation in conversations]
        images = [images_of(conversation) for conversation in conversations]
        if any(images) and not all(images):
            raise PrefbenchError(f"{self.card.name}: conversations with and without images cannot share a batch")
        pictures = {}
        if any(images) and (pixels or not self.counts_alike):
            pictures["images"] = [fitted(image, self.card.image_side) for row in images for image in row]
        inputs = dict(self.processor(text=texts, return_tensors="pt", padding=True, **pictures))
        self._check_length(inputs["attention_mask"], images)
        unwanted = () if pixels else ("pixel_values", "pixel_attention_mask")
        tensors = {name: value for name, value in inputs.items() if isinstance(value, Tensor) and name not in unwanted}
        return {name: value.to(self.device) for name, value in tensors.items()}

    def training_batch(self, conversations: Sequence[Conversation], *, pixels: bool = True) -> dict[str, Tensor]:
        """`batch` with what training needs beside it.

        - `labels` (B, tokens): the taught turns of the assistant and their ends, all else `IGNORED`.
        - `seen_at` (B, tokens): which image of the batch a token stands for, counted from 0; -1 for text.

        Raises:
            PrefbenchError: what `batch` raises; a conversation in which the assistant says nothing; a processor that
                changes the text beyond its images.
        """
        conversations = laid_out(conversations, self.card.history)
        inputs = self.batch(conversations, to_be_answered=False, pixels=pixels)
        ids = inputs["input_ids"].cpu()
        text = (inputs["attention_mask"].cpu() == 1) & ~torch.isin(ids, torch.tensor([*self._renderer.picture_tokens]))
        labels = torch.full_like(ids, IGNORED)
        for row, conversation in enumerate(conversations):
            tokens, columns = self._renderer.tokens(conversation), torch.nonzero(text[row]).flatten()
            if ids[row, columns].tolist() != [token.id for token in tokens]:
                raise PrefbenchError(f"{self.card.name}: its processor rewrites text; answers cannot be found in it")
            if not any(token.by_assistant for token in tokens):
                raise PrefbenchError("a conversation to learn from needs a turn of the assistant")
            target_columns = columns[torch.tensor([token.taught for token in tokens])]
            labels[row, target_columns] = ids[row, target_columns]
        targets = {"labels": labels, "seen_at": self._seen_at(ids)}
        return inputs | {name: value.to(self.device) for name, value in targets.items()}

    def _seen_at(self, ids: Tensor) -> Tensor:
        """The runs of image tokens, counted row by row; a token of text stands between any two images."""
        shows = ids == self.model.config.image_token_id
        begins = shows & ~F.pad(shows, (1, 0))[:, :-1]
        return torch.where(shows, begins.flatten().cumsum(0).view_as(ids) - 1, -1)

    @property
    def judges_in_turn(self) -> bool:
        """Whether it was taught to judge an image by the word that follows it, as its histories show them."""
        return self.counts_alike and self.card.history == "verdicts"

    @property
    def asks_phrases(self) -> bool:
        """Whether it can learn to judge phrases: its layers take masks of ours, and it judges pictures in turn."""
        return self.judges_in_turn and reads_side_by_side(self.model)

    def phrases(self, phrases: Sequence[str]) -> Phrases:
        """Phrases as tokens behind its rows."""
        return Phrases(self._renderer, phrases)

    @cached_property
    def _phrases(self) -> Phrases:
        if not self.asks_phrases:
            raise PrefbenchError(f"mllm {self.card.name!r} is said to judge phrases, which models of its kind cannot")
        return self.phrases(self.card.judged_phrases)

    def after_histories(self, ids: Tensor, signs: Sequence[Sequence[int]]) -> Tensor:
        """The columns (B,) that phrases stand at in rows (B, L), with the sign of each image; see `phrases.py`."""
        return after_histories(ids, self._seen_at(ids), signs, self._renderer.picture_tokens)

    def ask_about(self, phrases: Sequence[Sequence[str]]) -> None:
        """Makes them, in groups, the phrases that it judges after histories; before it is asked for any states."""
        self.card = replace(self.card, phrases=tuple(map(tuple, phrases)))

    def states(
        self, conversations: Sequence[Conversation], *, batch: int = 8, before_word: bool = False
    ) -> HiddenStates:
        """Hidden states of every layer: at the last token, in the mean over tokens, of liked less disliked images.

        Args:
            before_word: conversations end with an image and one word for all, and are read up to that word; else up to
                the assistant's next turn.
        """
        found = []
        with evaluating(self.model):
            for start in range(0, len(conversations), batch):
                chunk = conversations[start : start + batch]
                inputs = self._up_to_word(chunk) if before_word else self.batch(chunk)
                signs = [signs_of(one, self.card.history) for one in chunk]
                asked, ends = inputs, None
                if self.card.phrases and not before_word:
                    after = self.after_histories(inputs["input_ids"], signs)
                    asked, ends = self._phrases.behind_all(self.model, inputs, after)
                keep = 1 if ends is None else ends
                out = self.model(**asked, output_hidden_states=True, use_cache=False, logits_to_keep=keep)
                mask, sides = (
                    inputs["attention_mask"],
                    side_weights([*chain(*signs)], self._seen_at(inputs["input_ids"])),
                )
                states = HiddenStates.of([layer[:, : mask.shape[1]] for layer in out.hidden_states], mask, sides)
                if ends is not None:
                    verdicts = self._phrases.verdicts(out.logits)
                    states = states.with_phrases([layer[:, ends] for layer in out.hidden_states], verdicts)
                found.append(states)
        return HiddenStates.joined(found)

    def _up_to_word(self, conversations: Sequence[Conversation]) -> dict[str, Tensor]:
        """`batch` without the word that follows the last image, and what ends its turn."""
        inputs = self.batch(conversations, to_be_answered=False)
        ids = inputs["input_ids"][0]
        last = int(torch.nonzero(ids == self.model.config.image_token_id)[-1])
        control = torch.tensor([*self._renderer.picture_tokens], device=ids.device)
        word = last + 1 + int((~torch.isin(ids[last + 1 :], control)).int().argmax())
        return inputs | {name: inputs[name][:, :word] for name in ("input_ids", "attention_mask")}

    def first_words(self, conversations: Sequence[Conversation], words: Sequence[str], *, batch: int = 8) -> Tensor:
        """The probability (N, words) that the answer begins with each word, among these words alone.

        Raises:
            PrefbenchError: words that begin with the same token.
        """
        return self.word_logits(conversations, self.first_tokens(words), batch=batch).softmax(-1)

    def first_tokens(self, words: Sequence[str], *, whole: bool = False) -> list[int]:
        """The tokens that an answer of each word begins with, as the chat template writes answers.

        Args:
            whole: refuse words that are more than one token.

        Raises:
            PrefbenchError: words that begin with the same token, or that are none of the tokenizer's.
        """
        ids = [self._renderer.first_token(word) for word in words]
        if len(set(ids)) != len(words):
            raise PrefbenchError(f"{self.card.name}: {', '.join(words)} do not begin with different tokens")
        split_words = [
            word for word, token in zip(words, ids, strict=True) if self.tokenizer.decode([token]).strip() != word
        ]
        if whole and split_words:
            raise PrefbenchError(f"{self.card.name}: {split_words[0]!r} is not one token of its tokenizer")
        return ids

    def word_logits(self, conversations: Sequence[Conversation], tokens: Sequence[int], *, batch: int = 8) -> Tensor:
        """The logits (N, tokens) of what the answer begins with, float32 on the CPU."""
        rows = []
        with evaluating(self.model):
            for inputs in self._batches(conversations, batch):
                logits = self.model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1].float()
                rows.append(logits[:, list(tokens)].cpu())
        return torch.cat(rows)

    def answers(self, conversations: Sequence[Conversation], *, tokens: int = 48, batch: int = 8) -> list[str]:
        """The most probable answer of each (greedy), at most `tokens` long, without special tokens."""
        texts: list[str] = []
        with evaluating(self.model):
            for inputs in self._batches(conversations, batch):
                tokens_out = self.model.generate(**inputs, max_new_tokens=tokens, **_GREEDY)
                fresh = tokens_out[:, inputs["input_ids"].shape[1] :]
                texts += [text.strip() for text in self.tokenizer.batch_decode(fresh, skip_special_tokens=True)]
        return texts

    def save(self, folder: Path) -> None:
        """Writes what `load_mllm` reads back, in place of what was saved there before: the model in float16, or its
        adapter alone, with processor and card.

        Raises:
            PrefbenchError: a folder that holds something else; an adapter on a model that was never stored; a model in
                four bits without an adapter, as its full-precision weights are gone.
        """
        if self.adapter is not None and self.folder is None:
            raise PrefbenchError(f"mllm {self.card.name!r} was never stored, so its adapter could not be loaded again")
        if self.adapter is None and self.four_bit:
            raise PrefbenchError(f"mllm {self.card.name!r} is in four bits; only an adapter on it can be saved")
        if folder.exists() and not is_saved(folder):
            raise PrefbenchError(f"{folder} holds something else than a saved model; name another folder")
        with atomic_folder(folder) as fresh, collected_warnings(transformers):
            if self.adapter is None:
                self.model.save_pretrained(fresh, state_dict=halved(self.model.state_dict()))
            else:
                self.adapter.save_pretrained(str(fresh), save_embedding_layers=False)
            self._stored_processor.save_pretrained(fresh)
            (fresh / CARD_FILE).write_text(json.dumps(settings_of(self.card), indent=2) + "\n")

    def _batches(self, conversations: Sequence[Conversation], size: int) -> Iterator[dict[str, Tensor]]:
        for start in range(0, len(conversations), size):
            yield self.batch(conversations[start : start + size])

    @property
    def counts_alike(self) -> bool:
        """Whether every image is the same number of tokens, so that the processor need not see it to count them."""
        return hasattr(self.processor, "image_seq_len")

    def _check_length(self, mask: Tensor, images: Sequence[Sequence[Any]]) -> None:
        longest = int(mask.sum(1).argmax())
        length = int(mask[longest].sum())
        if length > self.card.context:
            raise PrefbenchError(
                f"{self.card.name}: a conversation of {length} tokens with {len(images[longest])} images is longer than"
                f" the context of {self.card.context}; show it a shorter history"
            )


_GREEDY = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "repetition_penalty": 1.0}
"""Overrides a model's own `generation_config.json`, but for its end and forbidden tokens."""
