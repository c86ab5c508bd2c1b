"""Files of others are read only where they are plain and small; files of ours are written inside their folder alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefbench.api import PrefbenchError
from prefbench.files import read_plain
from prefbench.run.lines import blocks


@pytest.fixture
def deadline() -> Iterator[None]:
    """What waits for a pipe ends after ten seconds."""

    def end(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, end)
    signal.alarm(10)
    yield
    signal.alarm(0)


def test_the_bytes_of_a_plain_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"one\ntwo")
    (tmp_path / "link").symlink_to("rows")
    assert read_plain(tmp_path / "rows") == read_plain(tmp_path / "link") == b"one\ntwo"


def test_a_missing_file_is_no_other_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "rows")


def test_a_link_to_nothing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(PrefbenchError, match="link is a link to nothing"):
        read_plain(tmp_path / "link")


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder", "link to a pipe"])
def test_what_is_no_plain_file_is_refused_without_waiting(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)  # the path of a socket has 100 characters at most
        socket.socket(socket.AF_UNIX).bind("rows")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
    with pytest.raises(PrefbenchError, match=rf"rows is no plain file but a {kind.split()[-1]}"):
        read_plain(path)


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.touch()
    os.truncate(path, 40 * 2**30)  # sparse: it takes no room
    with pytest.raises(PrefbenchError, match="rows has 42,949,672,960 bytes; at most 1,073,741,824 are read"):
        read_plain(path)
    path.write_bytes(b"12345")
    assert read_plain(path, limit=5) == b"12345"
    with pytest.raises(PrefbenchError, match="has 5 bytes; at most 4 are read"):
        read_plain(path, limit=4)


def test_a_loop_of_links_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "rows").symlink_to("rows")
    with pytest.raises(PrefbenchError, match=r"cannot read .*rows: Too many levels of symbolic links"):
        read_plain(tmp_path / "rows")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here fails while it is read")
def test_a_disk_that_fails_while_a_file_is_read_is_one_line() -> None:
    with pytest.raises(PrefbenchError, match="cannot read /proc/self/mem: Input/output error"):
        list(blocks(Path("/proc/self/mem")))


@pytest.mark.parametrize("name", ["null\0", "half a pair \ud800"])
def test_a_name_that_no_file_can_have_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="no file can have this name") as refused:
        read_plain(tmp_path / name)
    assert str(refused.value).isprintable()


def in_a_process(body: str, folder: Path) -> str:
    """What a new process says on its standard errors while it has no standard output."""
    start = "import os, sys\nfrom pathlib import Path\nfrom prefbench.files import descriptor_of, write_atomic\n"
    command = [sys.executable, "-c", start + body]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_file_takes_the_place_of_no_closed_stream(tmp_path: Path) -> None:
    body = (  # as a plug-in closes it and prefbench puts it back
        "os.close(1)\nwrite_atomic(Path('a'), 'b')\nos.dup2(2, 1)\nwrite_atomic(Path('c'), 'd')\nos.write(1, b'said')"
    )
    assert in_a_process(body, tmp_path) == "said"
    assert ((tmp_path / "a").read_text(), (tmp_path / "c").read_text()) == ("b", "d")


def test_a_stream_that_is_put_back_meanwhile_is_not_written_to(tmp_path: Path) -> None:
    body = (
        "spare, dup = os.dup(2), os.dup\nos.close(1)\n"
        "def put_back(fd):\n    os.dup = dup\n    os.dup2(spare, 1)\n    return dup(fd)\n"
        "os.dup = put_back\n"
        "number = descriptor_of(Path('a'), os.O_CREAT | os.O_EXCL | os.O_WRONLY)\n"
        "os.write(number, b'b')\nos.close(number)\nos.write(1, b'said')\nassert number > 2"
    )
    assert in_a_process(body, tmp_path) == "said"
    assert (tmp_path / "a").read_text() == "b"
