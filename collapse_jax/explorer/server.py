"""Serve the explorer on this machine alone, behind a token."""

import contextlib
import json
import secrets
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from collapse_jax.explorer.curves import MOST_CHAINS, Curves, Settings
from collapse_jax.explorer.page import explorer_page
from collapse_jax.utils import check
from collapse_jax.utils.check import ArgumentError

_HOST = "127.0.0.1"
_MOST_QUERY = 400  # characters: the five settings need far fewer
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Explorer:
    """A server on 127.0.0.1 of one page and of the curves that the page asks for.

    Every address begins with a random token, and requests that name another host are refused, so
    that no other page in the browser can read from the server.

    Args:
      port: of the server, in [0, 65535]; 0 for a free one.

    Raises:
      ArgumentError: for a port that is none, or is taken.
    """

    def __init__(self, port: int = 0) -> None:
        check.integer("--port", port, 0, 65_535)
        self.token = secrets.token_urlsafe(16)
        self._lock = threading.Lock()
        self._newest = 0
        self._curves = Curves(Settings())
        try:
            self._server = ThreadingHTTPServer((_HOST, port), _handler_of(self))
        except OSError as error:
            remedy = "leave --port out for a free one"
            raise check.fail("--port", port, f"{error.strerror or error}", remedy) from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return the address of the page."""
        return f"http://{_HOST}:{self.port}/{self.token}/"

    def serve(self) -> None:
        """Answer requests until `close` is called or the process is interrupted."""
        try:
            self._server.serve_forever()
        finally:
            self._server.server_close()

    def close(self) -> None:
        """Stop `serve`, from another thread."""
        self._server.shutdown()

    def answer(self, host: str, target: str) -> tuple[HTTPStatus, str, str]:
        """Return the answer to a request.

        Args:
          host: the header "Host" of the request.
          target: path and query.

        Returns:
          Status, type of the content, and content.
        """
        if host not in (f"{_HOST}:{self.port}", f"localhost:{self.port}"):
            return HTTPStatus.FORBIDDEN, "text/plain", "this server answers to 127.0.0.1 only\n"
        parts = urlsplit(target)
        if parts.path == "/favicon.ico":  # browsers ask without being told
            return HTTPStatus.NO_CONTENT, "image/x-icon", ""
        _, token, *rest = f"{parts.path}//".split("/")
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            return HTTPStatus.FORBIDDEN, "text/plain", "open the address that was printed\n"
        if rest[0] == "":
            return HTTPStatus.OK, "text/html", explorer_page()
        if rest[0] == "curves":
            status, found = self._look(parts.query)
            return status, "application/json", json.dumps(found, allow_nan=False)
        return HTTPStatus.NOT_FOUND, "text/plain", "there is no such page\n"

    def _look(self, query: str) -> tuple[HTTPStatus, Mapping[str, Any]]:
        """Return the curves that a query asks for, unless a newer one waits."""
        try:
            settings, chains = asked_by(query)
        except ArgumentError as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        self._newest = number = self._newest + 1
        with self._lock:  # a simulation takes all cores
            if number < self._newest:
                return HTTPStatus.OK, {"superseded": True}
            if settings != self._curves.settings:
                self._curves = Curves(settings)
            try:
                found = self._curves.look(chains, lambda: number == self._newest)
            except ValueError as error:
                return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        return HTTPStatus.OK, found or {"superseded": True}


def asked_by(query: str) -> tuple[Settings, int]:
    """Return the settings that a query string names, and the number of chains the page has.

    Args:
      query: such as "family=gaussian&policy=mixing&rows=100&share=0.1&generations=50&chains=0".

    Raises:
      ArgumentError: for an unknown name, a name given twice, or a value that is not allowed.
    """
    if len(query) > _MOST_QUERY:
        shown = check.Shown(f"{len(query):,} characters")
        raise check.fail("query", shown, "it is too long", "send the five settings only")
    given = parse_qs(query, keep_blank_values=True)
    kinds = {"family": str, "policy": str, "rows": int, "share": float}
    kinds |= {"generations": int, "chains": int}
    values: dict[str, Any] = {"chains": 0}
    for name, texts in given.items():
        check.choice("name in the query", name, tuple(kinds))
        try:
            (text,) = texts
            values[name] = kinds[name](text)
        except ValueError:
            allowed = f"it must be one {kinds[name].__name__}"
            raise check.fail(name, ",".join(texts)[:60], allowed, "send one value") from None
    chains = check.integer("chains", values.pop("chains"), 0, MOST_CHAINS)
    return Settings(**values), chains


def _handler_of(explorer: Explorer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers GET requests; the explorer decides what."""

        timeout = 30  # seconds for the head of a request

        def do_GET(self) -> None:
            """Send the answer of the explorer."""
            status, kind, content = explorer.answer(self.headers.get("Host", ""), self.path)
            data = content.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            with contextlib.suppress(ConnectionError):  # the page no longer wants this answer
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Write nothing: the terminal shows the address only."""

    return Handler
