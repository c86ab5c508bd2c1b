"""The plan: pinned keys and seeds, what a key depends on, and that fewer users are a prefix of more."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import chain
from typing import Any, cast

import pytest
from PIL import Image

from prefbench.api import Case, History, Judgment, Picture
from prefbench.run.plan import KEY_VERSION, Planned, RunSpec, make_plan, sample_key, sample_seed

SPEC = RunSpec(
    suite="toy",
    suite_parameters={"history": 8},
    suite_digest="d" * 64,
    split="test",
    method="prompt-only",
    method_version="1",
    parameters={"scale": 0.6},
    control=None,
    backbone="mini-sd",
    backbone_digest="b" * 64,
    steps=16,
    guidance=3.0,
    dtype="float32",
    seed=0,
    samples_per_case=2,
    users=None,
    batch=8,
)
CASE = Case("ann/0", "ann", "a red fox in the snow")
CHANGES: dict[str, Any] = {
    "suite": "other", "method": "copy", "method_version": "2", "parameters": {"scale": 0.7}, "control": "flipped",
    "backbone": "sd15", "backbone_digest": "c" * 64, "steps": 17, "guidance": 3.5, "dtype": "float16", "seed": 1,
}  # fmt: skip
FREE: dict[str, Any] = {
    "batch": 1, "users": 3, "samples_per_case": 5, "split": "val", "suite_digest": "e" * 64, "suite_parameters": {},
}  # fmt: skip


def judgment(shade: int = 0, **changes: Any) -> Judgment:
    return Judgment(Picture.of(Image.new("RGB", (4, 4), (shade, 0, 0))), "a cat", liked=True, **changes)


HISTORY = History("ann", (judgment(),), ())


def plan(n_users: int, **changes: Any) -> Sequence[Sequence[Planned]]:
    users = [f"user-{i}" for i in range(n_users)]
    cases = [Case(f"{user}/{i}", user, f"prompt {i}") for user in users for i in range(5)]
    return make_plan(replace(SPEC, **changes), cases, {user: History(user, (), ()) for user in users})


def test_golden_key() -> None:
    """A key that changes for the same sample makes every stored run start anew: raise `KEY_VERSION` to do so."""
    assert KEY_VERSION == 1
    assert sample_key(SPEC, HISTORY, CASE, 0) == "5422ff1d72bcb826b9cdd78cc5648a5e"


def test_a_content_is_part_of_the_key_and_of_no_seed() -> None:
    contents = [Picture.of(Image.new("RGB", (4, 4), (shade, 0, 0))) for shade in (1, 2)]
    cases = [CASE, *(replace(CASE, content=content) for content in contents)]
    keys = [sample_key(SPEC, HISTORY, case, 0) for case in cases]
    assert len(set(keys)) == 3
    planned = [make_plan(SPEC, [case], {"ann": HISTORY})[0][0] for case in cases]
    assert [one.key for one in planned] == keys
    assert len({one.seed for one in planned}) == 1
    content = {"content": contents[0].digest, "history": HISTORY.digest, "index": 0, "prompt": CASE.prompt}
    text = json.dumps({**content, "spec": SPEC.pixels, "user": "ann", "version": KEY_VERSION}, sort_keys=True)
    assert keys[1] == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_golden_seed() -> None:
    """A seed that changes breaks the pairing with every published run."""
    assert sample_seed(0, "picturebook", "test-000", "a red fox in the snow", 1) == 3230839428823332870


def test_a_plan_names_samples_by_what_json_makes_of_them() -> None:
    """Texts of every kind: keys and seeds are put together by hand, 200,000 of them."""
    users = {name: History(name, (), ()) for name in ('a "b"\\', "é\u2028", "\U0001f600")}
    cases = [Case(f"{name}/0", name, f"prompt of {name}\n") for name in users]
    for planned in chain.from_iterable(make_plan(SPEC, cases, users)):
        about = {"index": planned.index, "prompt": planned.case.prompt, "user": planned.case.user}
        key = {**about, "history": users[planned.case.user].digest, "spec": SPEC.pixels, "version": KEY_VERSION}
        seed = {**about, "run": SPEC.seed, "suite": SPEC.noise}
        hashed = [hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest() for one in (key, seed)]
        assert (planned.key, planned.seed) == (hashed[0][:32], int(hashed[1][:16], 16) >> 1)


def test_every_field_is_in_the_key_or_known_not_to_be() -> None:
    assert set(CHANGES) | set(FREE) == {field.name for field in fields(RunSpec)}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_pixels_changes_the_key(name: str) -> None:
    changed = replace(SPEC, **{name: CHANGES[name]})
    assert sample_key(changed, HISTORY, CASE, 0) != sample_key(SPEC, HISTORY, CASE, 0)


@pytest.mark.parametrize("name", FREE)
def test_what_changes_no_pixel_changes_no_key(name: str) -> None:
    changed = replace(SPEC, **{name: FREE[name]})
    assert sample_key(changed, HISTORY, CASE, 0) == sample_key(SPEC, HISTORY, CASE, 0)


@pytest.mark.parametrize(
    "other",
    [
        History("ann", (judgment(shade=1),), ()),
        History("ann", (judgment(comment="lovely"),), ()),
        History("ann", (judgment(pair="1"),), ()),
        History("ann", (), (judgment(),)),
        History("bob", (judgment(),), ()),
    ],
)
def test_another_history_changes_the_key(other: History) -> None:
    assert sample_key(SPEC, other, CASE, 0) != sample_key(SPEC, HISTORY, CASE, 0)


def test_prompt_user_and_index_change_the_key_and_the_case_id_does_not() -> None:
    keys = {
        sample_key(SPEC, HISTORY, case, index)
        for case in (CASE, replace(CASE, prompt="a boat"), replace(CASE, user="bob"))
        for index in (0, 1)
    }
    assert len(keys) == 6
    assert sample_key(SPEC, HISTORY, replace(CASE, id="ann/7"), 0) in keys


@pytest.mark.parametrize("name", sorted({**CHANGES, **FREE}.keys() - {"suite", "seed", "samples_per_case"}))
def test_seeds_are_the_same_for_every_method_and_setting(name: str) -> None:
    changed = plan(3, **{name: {**CHANGES, **FREE}[name]})
    assert [p.seed for batch in changed for p in batch] == [p.seed for batch in plan(3) for p in batch]


def test_seeds_fit_a_generator_and_differ() -> None:
    seeds = [p.seed for batch in plan(50) for p in batch]
    assert len(set(seeds)) == len(seeds) == 500
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("batch", [1, 7, 8, 100])
def test_fewer_users_are_a_prefix_of_more(batch: int) -> None:
    few, many = ([p for part in plan(n, batch=batch) for p in part] for n in (3, 10))
    assert few == many[: len(few)]
    whole = [part for part in plan(3, batch=batch) if len(part) == batch]
    assert whole == plan(10, batch=batch)[: len(whole)]


def test_batches_are_full_but_the_last_and_hold_each_sample_once() -> None:
    batches = plan(10, batch=8)
    assert [len(batch) for batch in batches] == [8] * 12 + [4]
    keys = [p.key for batch in batches for p in batch]
    assert len(set(keys)) == len(keys) == 100
    assert [p.case.user for batch in batches for p in batch] == sorted(p.case.user for batch in batches for p in batch)


def test_a_run_id_tells_specs_apart_but_for_the_batch() -> None:
    changes = {**CHANGES, **FREE}
    assert all(replace(SPEC, **{name: changes[name]}).id != SPEC.id for name in changes if name != "batch")
    assert replace(SPEC, batch=1).id == SPEC.id
    assert SPEC.id.startswith("toy-test-prompt-only-")


@pytest.mark.parametrize(
    "name", ["folder/mine.py:Mine", "../../mine.py:Mine+0123", "..", "a b/c\\d\n猫", "x" * 300, "-"]
)
@pytest.mark.parametrize("field", ["suite", "method", "control"])
def test_an_id_is_one_plain_folder_name(field: str, name: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{8,150}", replace(SPEC, **cast(Any, {field: name})).id)


def test_the_id_of_a_class_from_a_file_bears_its_name() -> None:
    changed = replace(SPEC, suite="s.py:Toy+0123456789ab", method="m.py:Mine", control="c.py:swap+0123456789ab")
    assert changed.id.startswith("toy-test-mine-swap-")


def test_the_hash_of_a_suite_file_moves_keys_and_no_seed() -> None:
    before, after = ([p for part in plan(2, suite=f"s.py:Toy+{sha}") for p in part] for sha in ("aa", "bb"))
    assert [p.seed for p in before] == [p.seed for p in after]
    assert {p.key for p in before}.isdisjoint(p.key for p in after)
