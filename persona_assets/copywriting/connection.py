"""The HTTP client under the openai client: each answer is bounded in time and in size."""

import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx2
import openai

# Far more than the longest e-mail, and little enough for a hundred at once.
MOST_BYTES = 4_000_000
CONNECT_SECONDS = 10.0


class BoundedClient(openai.DefaultHttpxClient):
    """Reads every answer to its end before handing it on, and follows no redirect.

    One that takes longer than `timeout_seconds` from its request's start, byte by byte or not at
    all, ends in openai.APITimeoutError; one longer than MOST_BYTES in openai.APIConnectionError.
    Requests that are under way together have a client each: a pool that threads share looks at
    every idle connection before every request.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._options = {
            "timeout": openai.Timeout(
                timeout_seconds, connect=min(timeout_seconds, CONNECT_SECONDS)
            ),
            "follow_redirects": False,
            "verify": _tls(),
        }
        super().__init__(**self._options)
        self._seconds = timeout_seconds
        self._counts = threading.local()
        self._idle: deque[openai.DefaultHttpxClient] = deque()

    def start_counting(self) -> None:
        """Forget the requests that this thread made before."""
        self._counts.unanswered = 0

    @property
    def unanswered(self) -> int:
        """How many requests that this thread sent, since it started counting, got no whole
        answer."""
        return self._counts.unanswered

    def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        """Send the request; the response that comes back is complete."""
        with self._connection() as connection:
            return self._send(connection, request, **options)

    def _send(
        self, connection: openai.DefaultHttpxClient, request: Any, **options: Any
    ) -> Any:
        end = time.monotonic() + self._seconds
        self._counts.unanswered += 1
        try:
            response = connection.send(request, stream=True, **options)
        except Exception as error:
            if never_connected(error):
                self._counts.unanswered -= 1
            raise
        try:
            parts, size = [], 0
            for part in response.iter_bytes():
                parts.append(part)
                size += len(part)
                if size > MOST_BYTES:
                    raise openai.APIConnectionError(
                        message=f"an answer of more than {MOST_BYTES:,} bytes", request=request
                    )
                if time.monotonic() > end:
                    raise openai.APITimeoutError(request=request)
        finally:
            response.close()
        self._counts.unanswered -= 1
        for name in ("content-encoding", "content-length", "transfer-encoding"):
            response.headers.pop(name, None)
        return type(response)(
            response.status_code,
            headers=response.headers,
            content=b"".join(parts),
            request=request,
        )

    @contextmanager
    def _connection(self) -> Iterator[openai.DefaultHttpxClient]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = openai.DefaultHttpxClient(**self._options)
        try:
            yield connection
        finally:
            self._idle.append(connection)


@cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes far longer than all else that a client needs.
    return httpx2.create_ssl_context()


def never_connected(error: BaseException | None) -> bool:
    """Whether an error of the HTTP client came before anything was sent."""
    return type(error).__name__ in {"ConnectError", "ConnectTimeout"}
