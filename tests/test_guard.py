"""The guard alone: whose interrupt it is, what a plug-in keeps for itself, what is left running, how cheap it is."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from prefbench.api import NotMeasurableError, PrefbenchError
from prefbench.api.errors import PluginError
from prefbench.api.guard import guarded, reason, still_running


def test_the_line_names_the_plug_in_the_deed_and_the_reason() -> None:
    match = r"^method 'mine': generate raised ValueError: no$"
    with pytest.raises(PluginError, match=match) as refused, guarded("method 'mine'", "generate"):
        raise ValueError("no")
    assert reason(refused.value) == "ValueError: no"
    assert isinstance(refused.value.__cause__, ValueError)


def test_what_the_contract_allows_goes_on_as_it_is() -> None:
    for error in (PrefbenchError("a line"), NotMeasurableError("too few"), LookupError("asked for")):
        guard = guarded("metric 'mine'", "score", passes=(LookupError,))
        with pytest.raises(type(error), match=str(error)) as raised, guard:
            raise error
        assert raised.value is error


def test_a_users_interrupt_goes_on_even_where_the_code_swallows_it() -> None:
    for swallowed in (BaseException, OSError):
        guard = guarded("method 'mine'", "generate")
        with pytest.raises(KeyboardInterrupt), guard, suppress(swallowed):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_of_the_plug_in_is_its_failure_also_in_a_thread() -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            with guarded("method 'mine'", "generate"):
                raise KeyboardInterrupt
        except PrefbenchError as error:
            caught.append(error)

    work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(caught) == 2


def test_a_plug_in_finds_its_own_settings_again_and_nobody_else_does(tmp_path: Path) -> None:
    here = Path.cwd()
    with guarded("method 'mine'", "setup", module="mine"):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        os.chdir(tmp_path)
        os.environ["PREFBENCH_MINE"] = "1"
        np.seterr(all="raise")
    assert (torch.get_default_dtype(), torch.is_grad_enabled(), Path.cwd()) == (torch.float32, True, here)
    assert "PREFBENCH_MINE" not in os.environ
    os.environ["PREFBENCH_LATER"] = "2"
    with guarded("method 'other'", "setup", module="other"):
        assert torch.get_default_dtype() == torch.float32
    with guarded("method 'mine'", "generate", module="mine"):
        assert (torch.get_default_dtype(), torch.is_grad_enabled(), Path.cwd()) == (torch.float64, False, tmp_path)
        assert (os.environ["PREFBENCH_MINE"], os.environ["PREFBENCH_LATER"]) == ("1", "2")
        assert np.geterr()["over"] == "raise"
    assert (torch.get_default_dtype(), Path.cwd(), np.geterr()["over"]) == (torch.float32, here, "warn")
    del os.environ["PREFBENCH_LATER"]


def test_a_guard_within_a_guard_names_the_inner_plug_in() -> None:
    outer, inner = guarded("metric 'mine'", "score"), guarded("suite 'world'", "truth")
    with pytest.raises(PluginError, match=r"^suite 'world': truth raised"), outer, inner:
        raise RuntimeError("no")


def test_a_thread_that_is_left_running_is_named() -> None:
    end = threading.Event()
    with guarded("method 'mine'", "generate"):
        threading.Thread(target=end.wait).start()
    assert "method 'mine': generate" in still_running()
    end.set()
    while "method 'mine': generate" in still_running():
        time.sleep(0.01)


def test_a_removed_working_folder_does_no_harm(tmp_path: Path) -> None:
    before = Path.cwd()
    with guarded("method 'mine'", "generate"):
        gone = tmp_path / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
    assert Path.cwd() == before
    assert sys.stdout is not None
