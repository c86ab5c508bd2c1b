"""Users in splits that share nothing: no picture, no profile."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set

import numpy as np
from scipy.sparse import coo_array, csr_matrix
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee

from prefbench.api import Split

SHARES: Mapping[Split, float] = {"train": 0.6, "scorer": 0.2, "val": 0.05, "test": 0.15}


def disjoint_splits(keys: Mapping[str, Set[str]]) -> dict[str, Split]:
    """A split for each user, such that no key is in two; users who stand between two splits have none.

    Users are put in an order in which those who share a key stand near each other (Cuthill and McKee 1969), whole
    groups in the order of a hash, and the order is cut by `SHARES`. Of users who share a key across a cut, those of the
    later split are let go.

    Args:
        keys: what each user must not share with another split.

    Example:
        >>> splits = disjoint_splits({f"user {n}": {f"profile {n // 2}"} for n in range(40)})
        >>> splits["user 6"] == splits["user 7"], sorted(set(splits.values()))
        (True, ['scorer', 'test', 'train', 'val'])
    """
    users = list(keys)
    names = {name: n for n, name in enumerate(dict.fromkeys(name for own in keys.values() for name in sorted(own)))}
    entries = [(i, names[name]) for i, user in enumerate(users) for name in sorted(keys[user])]
    first, second = np.array(entries, dtype=np.int64).reshape(-1, 2).T
    split_of = np.empty(len(users), dtype=np.int64)
    split_of[_order(users, first, second, len(names))] = _cut(len(users))
    earliest = np.full(len(names), len(SHARES))
    np.minimum.at(earliest, second, split_of[first])
    stays = np.ones(len(users), dtype=bool)
    stays[first[earliest[second] < split_of[first]]] = False
    order = tuple(SHARES)
    return {user: order[split_of[i]] for i, user in enumerate(users) if stays[i]}


def _order(users: list[str], first: np.ndarray, second: np.ndarray, n_keys: int) -> np.ndarray:
    """The places of the users in an order that keeps those together who share a key."""
    size = len(users) + n_keys
    ends = np.concatenate([first, second + len(users)]), np.concatenate([second + len(users), first])
    graph = coo_array((np.ones(len(ends[0]), dtype=np.int32), ends), shape=(size, size)).tocsr()
    place = np.empty(size, dtype=np.int64)
    place[reverse_cuthill_mckee(csr_matrix(graph), symmetric_mode=True)] = np.arange(size)
    group = connected_components(graph, directed=False)[1][: len(users)]
    heads = {int(label): hashlib.sha256(user.encode()).digest() for label, user in zip(group, users, strict=True)}
    ranks = {label: n for n, label in enumerate(sorted(heads, key=lambda label: heads[label]))}
    return np.lexsort((place[: len(users)], np.array([ranks[int(label)] for label in group])))


def _cut(n: int) -> np.ndarray:
    """Which split the first, second, ... of `n` users falls into."""
    ends = np.round(np.cumsum(list(SHARES.values())) * n)
    return np.searchsorted(ends, np.arange(n), side="right").clip(max=len(SHARES) - 1)
