"""`prefbench view`: what is served and to whom, and that a page follows its runs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from prefbench.cli.main import main
from prefbench.cli.server import HOST, Versions, make_server
from prefbench.run.folder import RunFolder
from tests.support.toy_runs import build


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a server of two versions; the second is the newest."""
    for number in (1, 2):
        data = tmp_path / "root" / f"v{number}" / "page" / "data"
        data.mkdir(parents=True)
        (tmp_path / "root" / f"v{number}" / "index.html").write_text(f"page {number}")
        (data / "overview.js").write_text(f"data {number}")
    (tmp_path / "root" / "pictures").mkdir()
    (tmp_path / "root" / "pictures" / "0.webp").write_bytes(b"sheet")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root" / "v2" / "link.js").symlink_to(tmp_path / "secret")
    versions = Versions(tmp_path / "root")
    versions.newest = 2
    server = make_server(versions, 0, lambda _: None)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def ask(port: int, path: str, *, host: str | None = None, method: str = "GET") -> tuple[int, dict[str, str], str]:
    """Status, headers and body."""
    connection = HTTPConnection(HOST, port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"{HOST}:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode()


def test_files_of_every_version_are_served_with_a_strict_policy(port: int) -> None:
    status, headers, body = ask(port, "/v1/page/data/overview.js")
    assert (status, body) == (200, "data 1")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask(port, "/v2/page/pictures/0.webp")[2] == ask(port, "/v1/page/pictures/0.webp")[2] == "sheet"


@pytest.mark.parametrize("path", ["/", "/v1/", "/v1", "/v1/index.html"])
def test_start_and_older_pages_lead_to_the_newest(port: int, path: str) -> None:
    status, headers, _ = ask(port, path)
    assert (status, headers["Location"]) == (302, "/v2/")
    assert ask(port, "/v2/")[::2] == (200, "page 2")
    assert ask(port, "/v1/version")[::2] == (200, "2")


@pytest.mark.parametrize(
    "path",
    ["/v2/../../secret", "/v2/page/pictures/../../secret", "/../secret", "/v2/%2e%2e/secret", "/v2/link.js",
     "/v2/page/", "/v3/index.html/x", "//etc/passwd", "/v2//etc/passwd", "/v2/page/pictures//etc/passwd", "/v2/\x00"],
)  # fmt: skip
def test_nothing_outside_of_the_page_is_served(port: int, path: str) -> None:
    if path.isprintable():
        assert ask(port, path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", f"{HOST}", "", "[::1]:80"])
def test_other_names_of_this_machine_are_refused(port: int, host: str) -> None:
    assert ask(port, "/v2/", host=host or " ")[0] in (400, 403)
    assert ask(port, "/v2/", host=f"localhost:{port}")[0] == 200


def test_there_is_something_to_look_at_before_the_first_picture(tmp_path: Path) -> None:
    server = make_server(Versions(tmp_path), 0, lambda _: None)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        status, headers, body = ask(server.server_address[1], "/")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "Waiting" in body
        assert 'http-equiv="refresh"' in body
        assert ask(server.server_address[1], "/v0/version")[2] == "0"
    finally:
        server.shutdown()
        server.server_close()


def test_other_methods_are_refused_and_head_has_no_body(port: int) -> None:
    assert ask(port, "/v2/", method="POST")[0] == 501
    assert ask(port, "/v2/", method="HEAD")[::2] == (200, "")


def test_port_that_is_taken_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "run", "ours", 0.5)
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        with pytest.raises(SystemExit) as end:
            main(["view", str(tmp_path / "run"), "--port", number])
    assert end.value.code == 2
    assert f"cannot serve on port {number}" in capsys.readouterr().err


def test_folder_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["view", str(tmp_path / "absent")])
    assert end.value.code == 2
    assert "is no folder" in capsys.readouterr().err


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come"
        time.sleep(0.2)


@pytest.mark.slow
def test_page_follows_a_run_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    """First without samples of one user, then with them; a run that is not scored has a page too."""
    run = build(tmp_path / "runs" / "ours", "ours", 0.5, truth=False, present=("ann",), undrawn=8)
    command = [sys.executable, "-m", "prefbench.cli.main", "view", str(tmp_path / "runs")]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        until(lambda: b"version 1" in (tmp_path / "log").read_bytes())
        address = re.search(rb"http://\S+", (tmp_path / "log").read_bytes())
        assert address
        url = address[0].decode()

        def drawn() -> int:
            with urllib.request.urlopen(f"{url}v{newest()}/page/data/overview.js") as answer:
                text = answer.read().decode()
            overview = json.loads(re.sub(r"\\(.)", r"\1", text[text.index("{") : text.rindex("}") + 1]))
            assert overview["live"]
            return int(overview["runs"][0]["n"])

        def newest() -> int:
            with urllib.request.urlopen(f"{url}version") as answer:
                return int(answer.read())

        assert (newest(), drawn()) == (1, 4)
        more = [replace(one, key=f"{one.key}+", user="bob", case=f"bob/{one.prompt}") for one in run.samples]
        RunFolder(run.path).append_samples(more)
        until(lambda: newest() == 2)
        assert drawn() == 8
        (run.path / "samples" / "zz.jsonl").symlink_to(tmp_path / "nowhere")
        RunFolder(run.path).append_samples([replace(more[0], key="last", index=7)])
        until(lambda: b"waiting" in (tmp_path / "log").read_bytes())
        (run.path / "samples" / "zz.jsonl").unlink()
        until(lambda: newest() == 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(url, timeout=5)
    finally:
        process.kill()
