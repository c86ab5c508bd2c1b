"""What picturebook's cases ask for: contents with and without one word, and how they are shared out."""

from __future__ import annotations

from collections import Counter

import pytest

from prefbench.api import PrefbenchError, Split
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.users.cases import balanced_places, case_prompts
from prefbench.suites.picturebook.world.axes import (
    AXIS,
    BY_PROMPT,
    NAMEABLE,
    STYLE_NAMES,
    Scene,
    held_out_contents,
    training_contents,
)
from prefbench.suites.picturebook.world.prompts import Prompt, Word

CAT = BY_PROMPT["a cat at night"]


# -------------------------------------------------------------------------------------------------- prompts


def test_a_prompt_reads_like_the_caption_of_what_it_asks_for() -> None:
    prompt = Prompt(CAT, Word.of("background", "striped"))
    assert prompt.text == "a cat at night, striped background"
    scene = Scene.of(object="cat", setting="at night", background="striped")
    assert prompt.text == scene.caption(["background"])
    assert Prompt(CAT).text == scene.caption()


def test_every_prompt_is_found_by_its_text() -> None:
    for word in (None, *(Word(name, value) for name in NAMEABLE for value in range(len(AXIS[name])))):
        prompt = Prompt(CAT, word)
        assert Prompt.of(prompt.text) == prompt


@pytest.mark.parametrize("text", ["a red fox", "a cat at night,", "a cat at night, red background", "", "cool colors"])
def test_other_texts_are_no_prompts(text: str) -> None:
    with pytest.raises(PrefbenchError, match="picturebook has no prompt"):
        Prompt.of(text)


def test_a_style_takes_the_value_that_the_prompt_names() -> None:
    style = tuple(range(3)) * 3
    changed = Prompt(CAT, Word.of("fill", "hatched")).styled(style)
    column = STYLE_NAMES.index("fill")
    assert changed[column] == AXIS["fill"].values.index("hatched") != style[column]
    assert [v for i, v in enumerate(changed) if i != column] == [v for i, v in enumerate(style) if i != column]
    assert Prompt(CAT).styled(style) == style


# ----------------------------------------------------------------------------------------------------- pools


@pytest.mark.parametrize(("split", "n", "worded"), [("val", 8, 6), ("test", 20, 10), ("shifted", 20, 10)])
def test_pools_hold_each_held_out_content_bare_and_with_words(split: Split, n: int, worded: int) -> None:
    pool = case_prompts(split, worded=True)
    contents = held_out_contents()[split == "val"]
    assert len({prompt.text for prompt in pool}) == n
    assert {prompt.content for prompt in pool if prompt.word is None} == set(contents)
    words = [prompt.word for prompt in pool if prompt.word is not None]
    assert len(words) == worded
    assert set(Counter(prompt.content for prompt in pool).values()) == {n // len(contents)}
    uses = Counter(word.axis for word in words)
    assert set(uses) == set(NAMEABLE)
    assert max(uses.values()) - min(uses.values()) <= 1
    assert all(AXIS[word.axis].prior[word.value] < max(AXIS[word.axis].prior) for word in words)


def test_words_of_one_content_are_of_different_axes_and_no_word_is_asked_for_twice() -> None:
    for split in ("val", "test"):
        words = [prompt.word for prompt in case_prompts(split, worded=True) if prompt.word is not None]
        assert len(set(words)) == len(words)
    val = [prompt for prompt in case_prompts("val", worded=True) if prompt.word is not None]
    pairs = {(prompt.content, prompt.word.axis) for prompt in val if prompt.word is not None}
    assert len(pairs) == len(val)


def test_learners_have_training_contents_without_words() -> None:
    for split in ("train", "scorer"):
        prompts = case_prompts(split, worded=True)
        assert {prompt.content for prompt in prompts} == set(training_contents())
        assert all(prompt.word is None for prompt in prompts)


@pytest.mark.parametrize(("pool", "cases"), [(20, 5), (8, 5), (36, 5), (3, 5), (5, 5)])
def test_a_block_of_users_shares_a_pool_evenly_and_nobody_gets_a_place_twice(pool: int, cases: int) -> None:
    users = [balanced_places(pool, cases, user, [1, 2]) for user in range(2 * pool)]
    assert all(len(set(places)) == min(pool, cases) for places in users)
    assert all(places == sorted(places) for places in users)
    counts = Counter(place for places in users for place in places)
    assert set(counts.values()) == {2 * min(pool, cases)}
    assert len(counts) == pool
    assert len({tuple(places) for places in users}) > min(2, pool - cases)


# ----------------------------------------------------------------------------------------------------- suite


def test_users_of_the_second_world_have_five_prompts_each_equally_often() -> None:
    suite = Picturebook(world="2")
    for split, n in (("val", 8), ("test", 20), ("shifted", 20)):
        counts: Counter[str] = Counter()
        for user in suite.users(split):  # type: ignore[arg-type]
            prompts = [case.prompt for case in suite.cases(user.id)]
            assert len(set(prompts)) == len(prompts) == 5
            counts.update(prompts)
        assert len(counts) == n
        assert max(counts.values()) - min(counts.values()) <= 1


def test_prompts_of_the_first_world_name_no_word() -> None:
    suite = Picturebook(world="1")
    prompts = {case.prompt for split in ("val", "test") for u in suite.users(split) for case in suite.cases(u.id)}
    assert prompts == {content.prompt for contents in held_out_contents() for content in contents}
