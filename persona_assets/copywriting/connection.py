"""The HTTP client under the openai client: each answer is bounded in time and in size."""

import threading
import time
from typing import Any

import openai

# Far more than the longest e-mail, and little enough for a hundred at once.
MOST_BYTES = 4_000_000
CONNECT_SECONDS = 10.0


class BoundedClient(openai.DefaultHttpxClient):
    """Reads every answer to its end before handing it on, and follows no redirect.

    One that takes longer than `timeout_seconds` from its request's start, byte by byte or not at
    all, ends in openai.APITimeoutError; one longer than MOST_BYTES in openai.APIConnectionError.
    """

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(
            timeout=openai.Timeout(timeout_seconds, connect=min(timeout_seconds, CONNECT_SECONDS)),
            follow_redirects=False,
        )
        self._seconds = timeout_seconds
        self._counts = threading.local()

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
        end = time.monotonic() + self._seconds
        self._counts.unanswered += 1
        try:
            response = super().send(request, stream=True, **options)
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


def never_connected(error: BaseException | None) -> bool:
    """Whether an error of the HTTP client came before anything was sent."""
    return type(error).__name__ in {"ConnectError", "ConnectTimeout"}
