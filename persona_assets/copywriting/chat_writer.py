"""The chat writer: drafts from a model at an OpenAI-compatible endpoint, many at a time."""

import hashlib
import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from persona_assets.settings import Settings

from .asking import SCHEMA, SYSTEM, estimate_calls, find_price, read_draft, told
from .brief import Brief, Draft
from .chat import ChatModel, EndpointFailed, Reply
from .money import Budget, BudgetExceeded, Estimate, Price, Work

# Raise when the code below could get another text for the same brief.
CODE_VERSION = "1"

_FAILURES = 10
_GRACE_SECONDS = 5.0
_PAUSE_SECONDS = 0.01
_TURN_SECONDS = 0.0003


class ChatWriter:
    """Writes drafts by asking a model; implements writer.Writer.

    price: None where it is unknown; concurrency: requests at the same time; grace_seconds: how
    long requests under way are waited for when writing stops early.
    """

    def __init__(
        self,
        model: ChatModel,
        price: Price | None,
        temperature: float,
        max_tokens: int,
        concurrency: int,
        grace_seconds: float = _GRACE_SECONDS,
    ) -> None:
        self.model = model
        self.price = price
        self.temperature = temperature
        self.max_tokens = max_tokens
        self.concurrency = concurrency
        self._grace_seconds = grace_seconds
        decisive = [CODE_VERSION, SYSTEM, SCHEMA, temperature, max_tokens]
        digest = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()
        self.name = f"chat:{model.model}:{digest[:8]}"

    @classmethod
    def from_settings(cls, settings: Settings) -> "ChatWriter":
        """The writer that the settings describe.

        Raises InputError as ChatModel does, for prices that cannot be read, and for a budget
        without a price to hold it against.
        """
        model = ChatModel.from_settings(settings)
        price = find_price(settings)
        return cls(
            model, price, settings.temperature, settings.max_output_tokens, settings.concurrency
        )

    def write(
        self, briefs: Iterable[Brief], keep: Callable[[Brief, Draft], None], budget: Budget
    ) -> Iterator[int]:
        """A draft per brief, in the order in which the answers come; as writer.Writer says.

        An answer that is no e-mail is a draft with problems. Briefs are taken as they are needed.
        Raises EndpointFailed for what the next request would meet as well, when none of the last
        ten or more has brought an answer, and when none at all has; BudgetExceeded; and whatever
        `keep` raises. What is under way then is waited for briefly, and kept.
        """
        requests = _Requests(self, keep, budget)
        with _short_turns():
            try:
                for brief in briefs:
                    while requests.is_full:
                        yield from requests.collect()
                    try:
                        requests.ask(brief)
                    except BudgetExceeded:
                        yield from requests.collect_all()  # or the reason why nothing was left
                        raise
                yield from requests.collect_all()
                requests.complain()
            finally:
                requests.close(self._grace_seconds)

    def estimate(self, work: Work) -> Estimate:
        """What writing the work will take."""
        return estimate_calls(work, self.model.model, self.price)

    def messages(self, brief: Brief) -> list[dict[str, str]]:
        """What the model is told."""
        return [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": told(brief)},
        ]

    def worst_case(self, messages: list[dict[str, str]]) -> float:
        """The most that one request can cost, in USD: no token is shorter than a byte."""
        if self.price is None:
            return 0.0
        return self.price.cost(_bytes(messages), self.max_tokens)

    def answer(self, brief: Brief, messages: list[dict[str, str]]) -> tuple[Draft, Reply]:
        """Ask for the brief's e-mail. Raises EndpointFailed."""
        reply = self.model.reply(messages, "email", SCHEMA, self.temperature, self.max_tokens)
        read = _bytes(messages) if reply.input_tokens is None else reply.input_tokens
        written = reply.output_tokens
        if written is None:
            written = min(len(reply.text.encode("utf-8", "replace")), self.max_tokens)
        tokens = (read, written)
        draft = read_draft(brief, self.name, reply.text, reply.finish_reason, tokens, self.price)
        return draft, reply


class _Requests:
    """The requests of one call of `write`: threads that ask, and what came back.

    The threads are daemons: a request that cannot be stopped must not hold up the process.
    """

    def __init__(
        self, writer: ChatWriter, keep: Callable[[Brief, Draft], None], budget: Budget
    ) -> None:
        self._writer = writer
        self._keep = keep
        self._budget = budget
        self._jobs: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._keeping = threading.Lock()  # many threads computing at once are slower than one
        self._stopped = False  # no request is begun
        self._closed = False  # nothing is kept
        self._threads: list[threading.Thread] = []
        self._failures = 0  # since the last draft
        self._failed: EndpointFailed | None = None
        self._written = 0
        self.under_way = 0

    @property
    def is_full(self) -> bool:
        # As many again wait, so that no thread waits for the next brief.
        return self.under_way >= 2 * self._writer.concurrency

    def ask(self, brief: Brief) -> None:
        """Have a brief written. Raises BudgetExceeded."""
        messages = self._writer.messages(brief)
        worst = self._writer.worst_case(messages)
        # Any of the requests may be charged although its answer never comes.
        reserved = worst * (self._writer.model.retries + 1)
        self._budget.reserve(reserved)
        self.under_way += 1
        self._jobs.put((brief, messages, worst, reserved))
        if len(self._threads) < min(self._writer.concurrency, self.under_way):
            thread = threading.Thread(target=self._work, name="chat-writer", daemon=True)
            self._threads.append(thread)
            thread.start()

    def collect(self) -> Iterator[int]:
        """Wait for an outcome, and take those that are there as well."""
        model = self._writer.model
        try:
            outcomes = [self._outcomes.get(timeout=model.longest_seconds)]
        except queue.Empty:
            raise EndpointFailed(
                f"The model {model.model} at {model.url} has answered nothing for "
                f"{model.longest_seconds:,.0f} seconds: look into the server.",
                lasting=True,
            ) from None
        # Others come meanwhile, and this thread keeps those that write from working less often.
        time.sleep(_PAUSE_SECONDS)
        while not self._outcomes.empty():
            outcomes.append(self._outcomes.get())
        self.under_way -= len(outcomes)
        before = self._written
        for outcome in outcomes:
            if outcome is None:
                self._written += 1
                self._failures = 0
                continue
            if not isinstance(outcome, EndpointFailed) or outcome.lasting:
                raise outcome
            self._failed = outcome
            self._failures += 1
            if self._failures >= max(_FAILURES, self._writer.concurrency):
                raise EndpointFailed(f"{outcome} So ended each of the last {self._failures}.")
        if self._written > before:
            yield self._written - before

    def complain(self) -> None:
        """Raise the failure of the last request, when no request has brought a draft."""
        if self._failed is not None and not self._written:
            raise self._failed

    def collect_all(self) -> Iterator[int]:
        """Wait for every outcome."""
        while self.under_way:
            yield from self.collect()

    def close(self, grace_seconds: float) -> None:
        """Begin nothing more, and wait for what is under way, but not for long."""
        self._stopped = True
        for _ in self._threads:
            self._jobs.put(None)
        end = time.monotonic() + grace_seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        with self._keeping:
            self._closed = True

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._write(*job)
            except BaseException as error:
                self._outcomes.put(error)
            else:
                self._outcomes.put(None)

    def _write(
        self, brief: Brief, messages: list[dict[str, str]], worst: float, reserved: float
    ) -> None:
        cost = 0.0
        try:
            if self._stopped:
                return
            cost = reserved
            draft, reply = self._writer.answer(brief, messages)
            cost = draft.cost_usd + reply.unanswered * worst
        except EndpointFailed as failure:
            cost = failure.unanswered * worst
            raise
        finally:
            self._budget.settle(reserved, cost)
        with self._keeping:
            if not self._closed:
                self._keep(brief, draft)


@contextmanager
def _short_turns() -> Iterator[None]:
    """A thread that has an answer to take waits less for the one that gates a draft: by default
    Python lets that one go on for 5 ms."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _bytes(messages: list[dict[str, str]]) -> int:
    """Bytes of everything that a server could count as read."""
    sent = json.dumps([messages, SCHEMA], ensure_ascii=False)
    return len(sent.encode("utf-8", "replace"))
