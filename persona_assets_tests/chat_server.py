"""A double of an OpenAI-compatible server, at the wire: real HTTP on loopback, answers by plan."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Call:
    """One request as it came over the wire."""

    path: str
    authorization: str | None
    body: dict[str, Any]


@dataclass
class Answer:
    """What goes back: content of the message, or with `raw` the whole body, as it is."""

    content: str = ""
    status: int = 200
    finish_reason: str = "stop"
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


@dataclass
class ChatServer:
    """Where it is, and every call it got."""

    url: str
    calls: list[Call] = field(default_factory=list)


@contextmanager
def chat_server(answer: Callable[[Call, int], Answer]) -> Iterator[ChatServer]:
    """Serve chat completions on a free port; `answer` gets the call and how many came before."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            call = Call(self.path, self.headers.get("Authorization"), body)
            number = len(server.calls)
            server.calls.append(call)
            given = answer(call, number)
            message = {"role": "assistant", "content": given.content}
            completion = {
                "id": f"call-{number}",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [
                    {"index": 0, "message": message, "finish_reason": given.finish_reason}
                ],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
            payload = json.dumps(completion).encode() if given.raw is None else given.raw
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = ChatServer(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
