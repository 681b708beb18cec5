"""A double of an OpenAI-compatible server, at the wire: real HTTP on loopback, answers by plan.

`python -m persona_assets_tests.chat_server SECONDS` serves one e-mail, after so many seconds, in a
process of its own until it is killed, and prints its URL.
"""

import argparse
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EMAIL = {
    "subject": "Something new for the weekend",
    "preheader": "A look at what goes with what you have.",
    "body": "Spring is here.\n\n" + "The new jackets go with the boots that you chose. " * 7
    + "So do the belts.",
}


@dataclass
class Call:
    """One request as it came over the wire."""

    path: str
    authorization: str | None
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        """The newest message."""
        return self.body["messages"][-1]["content"]


@dataclass
class Answer:
    """What goes back: content of the message, or with `raw` the whole body, as it is.

    After `delay` seconds; `cut`: the connection is closed in its place; `endless`: this goes back
    again and again, and no end.
    """

    content: str | None = ""
    status: int = 200
    finish_reason: str | None = "stop"
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    )
    delay: float = 0.0
    cut: bool = False
    endless: bytes | None = None


def email(**changes: Any) -> Answer:
    """An answer with an e-mail; `changes` are of the Answer or of its parts."""
    parts = EMAIL | {name: changes.pop(name) for name in EMAIL if name in changes}
    return Answer(json.dumps(parts), **changes)


@dataclass
class ChatServer:
    """Where it is, every call it got, and how many it had under way at once."""

    url: str
    calls: list[Call] = field(default_factory=list)
    busiest: int = 0
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, call: Call) -> int:
        with self._lock:
            self.calls.append(call)
            self._under_way += 1
            self.busiest = max(self.busiest, self._under_way)
            return len(self.calls) - 1

    def end(self) -> None:
        with self._lock:
            self._under_way -= 1


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


@contextmanager
def chat_server(answer: Callable[[Call, int], Answer]) -> Iterator[ChatServer]:
    """Serve chat completions on a free port; `answer` gets the call and how many came before.

    It is called from many threads at once.
    """
    connections: set[socket.socket] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # an answer in one piece

        def setup(self) -> None:
            super().setup()
            connections.add(self.connection)

        def finish(self) -> None:
            connections.discard(self.connection)
            with suppress(OSError):
                super().finish()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            call = Call(self.path, self.headers.get("Authorization"), body)
            number = server.begin(call)
            try:
                given = answer(call, number)
                time.sleep(given.delay)
            finally:
                server.end()
            if given.cut:
                self.close_connection = True
            else:
                with suppress(OSError):  # nobody listens any more
                    self._send(given, number)

        def _send(self, given: Answer, number: int) -> None:
            payload = _completion(given, number) if given.raw is None else given.raw
            self.send_response(given.status)
            for name, value in {"Content-Type": "application/json", **given.headers}.items():
                self.send_header(name, value)
            if given.endless is None:
                self.send_header("Content-Length", str(len(payload)))
            else:
                self.close_connection = True
            self.end_headers()
            self.wfile.write(payload)
            self.wfile.flush()
            while given.endless is not None:
                self.wfile.write(given.endless)
                self.wfile.flush()
                time.sleep(0.01 if len(given.endless) < 1_000 else 0)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    http = _HTTPServer(("127.0.0.1", 0), Handler)
    server = ChatServer(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        for connection in list(connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join()


def in_turn(answers: Iterable[Answer]) -> Callable[[Call, int], Answer]:
    """The answers one after the other, the last of them again and again."""
    plan = list(answers)
    return lambda call, number: plan[min(number, len(plan) - 1)]


def _completion(given: Answer, number: int) -> bytes:
    message = {"role": "assistant", "content": given.content}
    completion = {
        "id": f"call-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": "some-model",
        "choices": [{"index": 0, "message": message, "finish_reason": given.finish_reason}],
        "usage": given.usage,
    }
    return json.dumps(completion).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float)
    seconds = parser.parse_args().seconds
    with chat_server(lambda call, number: email(delay=seconds)) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
