"""A server for one machine: the files below a folder, to requests from the same machine alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
VERSION = "version"
"""What the page asks for, below any version, to learn the newest one."""
WAITING = b"""<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>prefbench</title><p>Waiting for the first picture.</p></html>"""
"""What is shown before there is a version: it asks again by itself."""
_PATH = re.compile(r"/v(\d+)/([A-Za-z0-9_./-]*)")


class Versions:
    """The versions of a page: `v1`, `v2` and so on below a folder, whose pictures lie together in `pictures`."""

    def __init__(self, root: Path) -> None:
        self.root, self.newest = root, 0

    def folder(self, number: int) -> Path:
        """Where a version lies."""
        return self.root / f"v{number}"

    def file(self, path: str) -> Path | None:
        """The file that a path of a request names; None where it names none of the page."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        below = match[2] or "index.html"
        shared = below.removeprefix("page/pictures/")
        folder = self.folder(int(match[1])) if shared == below else self.root / "pictures"
        file = (folder / shared).resolve()
        return file if file.is_file() and file.is_relative_to(folder.resolve()) else None


def make_server(versions: Versions, port: int, log: Callable[[str], object]) -> ThreadingHTTPServer:
    """A server on `HOST` that answers with the files of `versions`. Raises `OSError` where the port is taken.

    It answers GET and HEAD of this host's own names alone, so that no page from elsewhere can read it through a name
    that was made to point here. `/` and an older version's page lead to the newest.
    """

    class Handler(_Handler):
        pass

    Handler.versions, Handler.log = versions, staticmethod(log)
    return ThreadingHTTPServer((HOST, port), Handler)


class _Handler(SimpleHTTPRequestHandler):
    versions: Versions
    log: Callable[[str], object]
    server_version, sys_version = "prefbench", ""
    timeout = 20
    """Seconds after which a connection that asks nothing is closed."""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        if self.headers.get("Host") not in self._hosts():
            return self._send(HTTPStatus.FORBIDDEN, b"not a name of this server", "text/plain")
        path = self.path.partition("?")[0]
        newest = self.versions.newest
        if path.rsplit("/", 1)[-1] == VERSION:
            return self._send(HTTPStatus.OK, str(newest).encode(), "text/plain", with_body=with_body)
        if newest == 0 and (path == "/" or path.startswith("/v0")):
            return self._send(HTTPStatus.OK, WAITING, "text/html", with_body=with_body)
        if path == "/" or (re.fullmatch(r"/v\d+/?(index\.html)?", path) and not path.startswith(f"/v{newest}/")):
            return self._send(HTTPStatus.FOUND, b"", "text/plain", location=f"/v{newest}/")
        file = self.versions.file(path)
        if file is None:
            return self._send(HTTPStatus.NOT_FOUND, b"no such file", "text/plain", with_body=with_body)
        self._send(HTTPStatus.OK, file.read_bytes(), self.guess_type(str(file)), with_body=with_body)
        return None

    def _hosts(self) -> tuple[str, str]:
        port = self.connection.getsockname()[1]
        return f"{HOST}:{port}", f"localhost:{port}"

    def _send(self, status: HTTPStatus, body: bytes, kind: str, *, location: str = "", with_body: bool = True) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the class above
        """Nothing on the terminal for each request; what goes wrong is logged."""
        self.log(format % args)
