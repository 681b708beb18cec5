"""A relay in front of an emulator that answers some requests otherwise, as a network would."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

_HOP = {"connection", "transfer-encoding", "content-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True)
class Fault:
    """What a request gets instead of its answer: a status with a reason, no answer for so many
    seconds, or a connection that is reset."""

    status: int = 0
    reason: str = ""
    message: str = "it is said"
    seconds: float = 0
    reset: bool = False


@dataclass
class Relay:
    """faults: those of the next requests that `hit` picks, in order; seen: the method and path of
    every request, with its body; rewrite: the body that is sent on instead."""

    address: str
    faults: list[Fault] = field(default_factory=list)
    hit: Callable[[str, str, bytes], bool] = lambda method, path, body: True
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    rewrite: Callable[[str, str, bytes], bytes] = lambda method, path, body: body
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, method: str, path: str, body: bytes) -> Fault | None:
        with self.lock:
            self.seen.append((method, path, body))
            if self.faults and self.hit(method, path, body):
                return self.faults.pop(0)
        return None


@contextmanager
def relay(target: str) -> Iterator[Relay]:
    """A running relay to the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    state = Relay(f"http://127.0.0.1:{server.server_port}")
    server.state, server.target, server.session = state, target, requests.Session()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        server.session.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.state.fault(self.command, self.path, body)
        if fault is not None and fault.reset:
            no_linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
            self.close_connection = True
            self.connection.close()
            return
        if fault is not None and fault.seconds:
            time.sleep(fault.seconds)
        if fault is not None and fault.status:
            error = {"reason": fault.reason, "message": fault.message}
            said = {"code": fault.status, "message": fault.message, "errors": [error]}
            self._answer(fault.status, {"Content-Type": "application/json"},
                         json.dumps({"error": said}).encode())  # fmt: skip
            return
        answer = self.server.session.request(
            self.command,
            self.server.target + self.path,
            data=self.server.state.rewrite(self.command, self.path, body),
            headers={k: v for k, v in self.headers.items() if k.lower() not in {*_HOP, "host"}},
            allow_redirects=False,
        )
        headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
        if "Location" in headers:  # of an upload, which goes on through the relay
            headers["Location"] = headers["Location"].replace(
                self.server.target, self.server.state.address
            )
        self._answer(answer.status_code, headers, answer.content)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # who asked has given up
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _relay

    def log_message(self, *arguments: object) -> None:
        pass
