"""Rows are made without searches for garbage, which goes on afterwards."""

from __future__ import annotations

import gc

import pytest

from prefbench.run.collection import uncollected


def test_garbage_is_searched_for_again_after_rows_were_made_or_refused() -> None:
    assert gc.isenabled()
    with uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    with pytest.raises(ValueError, match="no row"), uncollected():
        raise ValueError("no row")
    assert gc.isenabled()


def test_who_turned_the_search_off_finds_it_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
