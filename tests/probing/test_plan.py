"""What a method is asked about: halves of one size, disjoint, and pictures whose labels are withheld."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import History, Judgment, Picture, ProbeItem
from prefbench.probing.plan import HALF_SIZE, ITEMS_PER_SIDE, probe_judgments, probe_plans


def history(user: str, likes: int, dislikes: int, prompts: Sequence[str] = ("a", "b", "c")) -> History:
    sides = [
        tuple(Judgment(Picture(f"{user} {liked} {i}"), prompts[i % len(prompts)], liked) for i in range(n))
        for liked, n in ((True, likes), (False, dislikes))
    ]
    return History(user, sides[0], sides[1])


def half_sizes(*histories: History) -> list[tuple[int, int] | None]:
    """Likes and dislikes of the halves of each user; None where there are none."""
    plans = probe_plans({h.user: h for h in histories}, {h.user: history(h.user, 4, 4) for h in histories})
    sizes: list[tuple[int, int] | None] = []
    for plan in plans:
        if plan.halves is None:
            sizes.append(None)
            continue
        first, second = plan.halves
        assert (len(first.liked), len(first.disliked)) == (len(second.liked), len(second.disliked))
        digests = [{j.picture.digest for j in (*half.liked, *half.disliked)} for half in plan.halves]
        assert not digests[0] & digests[1]
        whole = plan.history
        assert digests[0] | digests[1] <= {j.picture.digest for j in (*whole.liked, *whole.disliked)}
        sizes.append((len(first.liked), len(first.disliked)))
    return sizes


def test_halves_are_disjoint_and_of_one_size_for_all_users() -> None:
    full, short, sparse, few = history("ann", 8, 8), history("bob", 5, 16), history("cem", 2, 0), history("dot", 1, 1)
    assert half_sizes(full, sparse) == [(4, 4), None]
    assert half_sizes(full, short) == [(3, 3), None], "the median user fills halves of 3 and 3"
    assert half_sizes(full, short, history("eve", 4, 4)) == [(2, 2), (2, 2), (2, 2)]
    assert half_sizes(few, sparse) == [None, None]
    assert half_sizes(history("ann", 40, 40)) == [(HALF_SIZE, HALF_SIZE)]
    with_dislikes = half_sizes(full, history("bob", 8, 8), sparse, sparse)
    assert with_dislikes == [(4, 4), (4, 4), None], "users with likes alone do not shrink the others' halves"


def test_prompts_with_both_labels_are_asked_about_first() -> None:
    liked = tuple(Judgment(Picture(f"l{i}"), prompt, True) for i, prompt in enumerate("aabcdx"))
    disliked = tuple(Judgment(Picture(f"d{i}"), prompt, False) for i, prompt in enumerate("yaabc"))
    judgments = probe_judgments(History("ann", liked, disliked), 4)
    assert [j.prompt for j in judgments] == ["a", "b", "c", "a", "a", "b", "c", "a"]
    assert [j.liked for j in judgments] == [True] * 4 + [False] * 4
    assert len({j.picture.digest for j in judgments}) == 8
    apart = probe_judgments(History("ann", liked[3:], disliked[:3]), 3)
    assert [j.picture.digest for j in apart] == ["l3", "l4", "l5", "d0", "d1", "d2"]
    assert probe_judgments(history("ann", 9, 3), 4) == ()


def test_items_withhold_the_label_and_the_key_follows_what_is_asked() -> None:
    ann, unseen = history("ann", 8, 8), history("ann", 5, 5)
    (first,) = probe_plans({"ann": ann}, {"ann": unseen})
    assert [type(item) for item in first.items] == [ProbeItem] * 2 * ITEMS_PER_SIDE
    assert not any(hasattr(item, "liked") for item in first.items)
    turned = History("ann", unseen.disliked, unseen.liked)
    (same,), (other,), (less,) = (
        probe_plans({"ann": ann}, {"ann": unseen}),
        probe_plans({"ann": ann}, {"ann": turned}),
        probe_plans({"ann": history("ann", 8, 7)}, {"ann": unseen}),
    )
    assert first.key == same.key
    assert len({first.key, other.key, less.key}) == 3
