"""Rows are made with few searches for garbage, which go on afterwards as before."""

from __future__ import annotations

import gc
import weakref

import pytest

from prefbench.run.collection import seldom_collected


class Circle:
    """An object that refers to itself, so that only a search frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_garbage_is_searched_for_as_before_after_rows_were_made_or_refused() -> None:
    found = gc.get_threshold()
    gc.set_threshold(700, 10, 10)  # what other tests loaded may have set another one
    try:
        check_that_it_goes_on()
    finally:
        gc.set_threshold(*found)


def check_that_it_goes_on() -> None:
    before = gc.get_threshold()
    with seldom_collected():
        with seldom_collected():
            assert gc.get_threshold()[0] > 100 * before[0]
        assert gc.get_threshold()[0] > 100 * before[0]
    with pytest.raises(ValueError, match="no row"), seldom_collected():
        raise ValueError("no row")
    assert gc.get_threshold() == before


def test_garbage_of_many_objects_is_found_while_rows_are_made() -> None:
    with seldom_collected():
        first = weakref.ref(Circle())
        rows = [Circle() for _ in range(250_000)]
        assert first() is None
    assert len(rows) == 250_000


@pytest.mark.parametrize("off", ["disabled", "threshold of 0"])
def test_who_turned_the_search_off_finds_it_off(off: str) -> None:
    before = gc.get_threshold()
    try:
        if off == "disabled":
            gc.disable()
        else:
            gc.set_threshold(0, *before[1:])
        with seldom_collected():
            assert not gc.isenabled() or gc.get_threshold()[0] == 0
        assert gc.isenabled() == (off != "disabled")
        assert gc.get_threshold()[0] == (before[0] if off == "disabled" else 0)
    finally:
        gc.enable()
        gc.set_threshold(*before)
