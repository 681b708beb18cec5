"""Asking a model at an OpenAI-compatible endpoint: one question, one answer, what it took.

Retries of busy servers, lost connections and timeouts are the openai client's own, with its
jitter and its respect for `retry-after` up to two minutes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from persona_assets.errors import InputError, PersonaError
from persona_assets.settings import Settings

RETRIES = 2
TIMEOUT_SECONDS = 60.0
# The openai client waits at most so long where a server says `retry-after`.
RETRY_AFTER_SECONDS = 120.0

Messages = Sequence[Mapping[str, str]]
_LASTING = {401, 402, 403, 404}
_SAID = 200


class EndpointFailed(PersonaError):
    """A question got no answer.

    `lasting`: the next one will get none either. `unanswered`: how many requests were sent whose
    answer never came, so that nobody knows whether they were charged.
    """

    def __init__(self, message: str, lasting: bool = False, unanswered: int = 0) -> None:
        super().__init__(message)
        self.lasting = lasting
        self.unanswered = unanswered


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered: its text, why it ended, and the tokens read and written; None where
    the server doesn't say. `unanswered` as in EndpointFailed: requests before this one."""

    text: str
    finish_reason: str
    input_tokens: int | None
    output_tokens: int | None
    unanswered: int


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a server is asked; the first of each is tried first, and an empty one left out.

    Not every server takes a schema, a temperature or max_tokens. Thinking is charged and counts
    against max_tokens, and an e-mail needs none: as little of it as a model allows.
    """

    formats: tuple[str, ...] = ("json_schema", "json_object", "")
    efforts: tuple[str, ...] = ("none", "minimal", "low", "")
    limit: str = "max_tokens"
    temperature: bool = True

    def parameters(
        self, name: str, schema: Mapping[str, Any], temperature: float, max_tokens: int
    ) -> dict[str, Any]:
        found: dict[str, Any] = {self.limit: max_tokens}
        if self.temperature:
            found["temperature"] = temperature
        if self.efforts[0]:
            found["reasoning_effort"] = self.efforts[0]
        if self.formats[0] == "json_schema":
            described = {"name": name, "schema": schema, "strict": True}
            found["response_format"] = {"type": "json_schema", "json_schema": described}
        elif self.formats[0]:
            found["response_format"] = {"type": self.formats[0]}
        return found

    def adapted(self, said: str) -> "_Manner | None":
        """The manner to try after a refusal in these words; None when there is none left."""
        said = said.casefold()
        if "max_completion_tokens" in said and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        if "temperature" in said and self.temperature:
            return replace(self, temperature=False)
        if self.efforts[0] and ("reasoning" in said or "think" in said):
            return replace(self, efforts=self.efforts[1:])
        about_format = "format" in said or "json" in said or "schema" in said
        if self.efforts[0] and not about_format:
            return replace(self, efforts=("",))
        if len(self.formats) > 1:
            return replace(self, formats=self.formats[1:])
        return None


class ChatModel:
    """A model behind chat completions: Ollama, vLLM, OpenAI, Gemini's compatible endpoint. Safe
    to use from several threads.

    base_url: up to and including /v1; api_key: any text for servers that want none; retries: of
    connections and of 429 and 5xx answers, each after a longer pause, or as `retry-after` says;
    timeout_seconds: for one request, from its start to the last byte of its answer. Raises
    InputError when the package openai is missing, no model is named, or URL or key cannot be one.
    """

    def __init__(
        self,
        base_url: str | None,
        api_key: str | None,
        model: str | None,
        retries: int = RETRIES,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        try:
            import openai

            from . import connection
        except ImportError:
            raise InputError(
                "Asking a model needs the package openai: pip install 'persona_assets[chat]'."
            ) from None
        if not model:
            raise InputError("PERSONA_MODEL is not set: name the model that the endpoint offers.")
        key = (api_key or "none").strip()
        if not (key.isascii() and key.isprintable()):
            raise InputError(
                "OPENAI_API_KEY has characters that no key has: copy it again, without quotes "
                "and line breaks."
            )
        if base_url and not _is_address(base_url):
            raise InputError(
                "OPENAI_BASE_URL must be the address of the API, from http:// or https:// up to "
                "and including /v1, without password or query; the key goes into OPENAI_API_KEY."
            )
        self.model = model
        self.retries = retries
        self.timeout_seconds = timeout_seconds
        self._key = key
        self._openai = openai
        self._never_connected = connection.never_connected
        self._http = connection.BoundedClient(timeout_seconds)
        self._client = openai.OpenAI(
            base_url=base_url or None,
            api_key=key,
            timeout=self._http.timeout,
            max_retries=retries,
            http_client=self._http,
        )
        # Whole, so that the client need not put it together for each request.
        self._path = f"{self.url}/chat/completions"
        self._manner = _Manner()
        self._known = False

    @classmethod
    def from_settings(cls, settings: Settings) -> "ChatModel":
        """The model at the endpoint that the settings name."""
        key = settings.openai_api_key
        return cls(
            settings.openai_base_url,
            key.get_secret_value() if key else None,
            settings.model,
            timeout_seconds=settings.timeout_seconds,
        )

    @property
    def url(self) -> str:
        return str(self._client.base_url).rstrip("/")

    @property
    def longest_seconds(self) -> float:
        """The time after which a question has an answer or has failed."""
        return (self.retries + 1) * self.timeout_seconds + self.retries * RETRY_AFTER_SECONDS

    def offered(self) -> list[str]:
        """The models that the endpoint lists; none where it has no list. Raises EndpointFailed."""
        self._http.start_counting()
        try:
            return [model.id for model in self._client.models.list()]
        except self._openai.NotFoundError:
            return []
        except self._openai.APIStatusError as error:
            raise self._refused(error, _said(error.body)) from None
        except (self._openai.OpenAIError, OSError, AttributeError, TypeError) as error:
            raise self._lost(error) from None

    def ask(
        self,
        messages: Messages,
        name: str,
        schema: Mapping[str, Any],
        temperature: float,
        max_tokens: int,
    ) -> Any:
        """The answer to the messages, as JSON that the schema describes.

        Raises EndpointFailed, naming URL, model and next step, when the endpoint cannot be
        reached, refuses, or answers with something else than JSON.
        """
        reply = self.reply(messages, name, schema, temperature, max_tokens)
        if reply.finish_reason == "length":
            raise self._failed(f"was cut off after {max_tokens} tokens: it writes too much.")
        try:
            return json.loads(reply.text)
        except ValueError:
            raise self._failed(
                "answers with text that is no JSON: set PERSONA_MODEL to a model that can."
            ) from None

    def reply(
        self,
        messages: Messages,
        name: str,
        schema: Mapping[str, Any],
        temperature: float,
        max_tokens: int,
    ) -> Reply:
        """The answer to the messages, whatever it is.

        Where the server refuses the request (400, 422), asks without the schema, or without what
        else it says that it doesn't take; what it took is remembered.
        Raises EndpointFailed, naming URL, model and next step.
        """
        self._http.start_counting()
        manner = self._manner
        while True:
            asked = manner.parameters(name, schema, temperature, max_tokens)
            try:
                body = self._client.post(
                    self._path,
                    cast_to=bytes,  # parsing into the client's own classes takes as long again
                    body={"model": self.model, "messages": messages, **asked},
                )
            except self._openai.APIStatusError as error:
                said = _said(error.body)
                refused = error.status_code in {400, 422} and "api key" not in said.casefold()
                # What this server took before is not what it refuses now.
                known = self._known and manner == self._manner
                adapted = manner.adapted(said) if refused and not known else None
                if adapted is None:
                    raise self._refused(error, said) from None
                manner = adapted
            except (self._openai.OpenAIError, OSError) as error:
                raise self._lost(error) from None
            else:
                reply = self._read(body)
                self._manner, self._known = manner, True
                return reply

    def _read(self, body: bytes) -> Reply:
        answer = None
        try:
            answer = json.loads(body)
            choice = answer["choices"][0]
            message = choice["message"]
            text = message.get("content") or message.get("refusal") or ""
            if not isinstance(text, str):  # some servers send parts
                text = "".join(part["text"] for part in text if part.get("type") == "text")
            usage = answer.get("usage") or {}
            read, written, total = (
                _count(usage.get(name))
                for name in ("prompt_tokens", "completion_tokens", "total_tokens")
            )
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            page = body.lstrip()[:1] == b"<"
            words = self._quoted(_said(answer)) if isinstance(answer, dict) else ""
            what = "a web page" if page else "something that is no chat completion"
            raise self._failed(
                f"answers with {what}{words}: OPENAI_BASE_URL must be the address of the API, up "
                "to and including /v1.",
                lasting=page,
                unanswered=self._http.unanswered + 1,
            ) from None
        if written is not None and total is not None:
            # What a model thinks is charged as written, and Gemini has it in the total alone.
            written = max(written, total - (read or 0))
        return Reply(
            text,
            str(choice.get("finish_reason") or "stop").lower()[:40],
            read,
            written,
            self._http.unanswered,
        )

    def _refused(self, error: Any, said: str) -> EndpointFailed:
        status = error.status_code
        wrong_key = status == 401 or (status == 400 and "api key" in said.casefold())
        if wrong_key:
            return self._failed(f"refuses the key ({status}): check OPENAI_API_KEY.", lasting=True)
        words = self._quoted(said)
        what = {
            402: f"wants to be paid first (402){words}: check the account of OPENAI_API_KEY.",
            403: f"forbids this (403){words}: check that OPENAI_API_KEY may use PERSONA_MODEL.",
            404: f"does not know this (404){words}: check PERSONA_MODEL and OPENAI_BASE_URL.",
            429: f"says that it has had too many requests (429){words}: wait, or set a lower "
            "PERSONA_CONCURRENCY.",
        }.get(status)
        if what is None and status < 400:
            where = self._quoted(error.response.headers.get("location", ""))
            what = f"sends elsewhere ({status}){where}: set OPENAI_BASE_URL to where it leads."
        elif what is None and status < 500:
            what = f"refuses the request ({status}){words}: check PERSONA_MODEL and its settings."
        elif what is None:
            what = f"fails with status {status}{words}: look into the server, or try again later."
        pause = error.response.headers.get("retry-after", "")
        if pause.isdecimal() and int(pause) > RETRY_AFTER_SECONDS:
            what += f" It asks to wait for {int(pause):,} seconds."
        return self._failed(what, lasting=status in _LASTING or status < 400)

    def _lost(self, error: Exception) -> EndpointFailed:
        cause = error.__cause__
        if self._never_connected(cause):
            # A server that has answered before may be starting again.
            return self._failed(
                f"cannot be reached{self._quoted(str(cause))}: check OPENAI_BASE_URL, and that "
                "the server runs.",
                lasting=not self._known,
            )
        if isinstance(error, self._openai.APITimeoutError):
            return self._failed(
                f"did not answer within {self.timeout_seconds:g} seconds: is the model loaded? "
                "PERSONA_TIMEOUT_SECONDS allows more."
            )
        if isinstance(error, self._openai.APIConnectionError):
            return self._failed(
                f"cut the connection{self._quoted(str(cause or error))}: look into the server, "
                "or set a lower PERSONA_CONCURRENCY."
            )
        return self._failed(f"gave no answer{self._quoted(str(error))}: check OPENAI_BASE_URL.")

    def _quoted(self, said: str) -> str:
        """What a server said, on one line, short, and without the key."""
        plain = " ".join("".join(c if c.isprintable() else " " for c in said).split())
        plain = plain.replace(self._key, "…")
        if not plain or plain.startswith("<"):
            return ""
        return f" ({plain if len(plain) <= _SAID else plain[:_SAID] + '…'})"

    def _failed(
        self, what: str, lasting: bool = False, unanswered: int | None = None
    ) -> EndpointFailed:
        if unanswered is None:
            unanswered = self._http.unanswered
        return EndpointFailed(
            f"The model {self.model} at {self.url} {what}", lasting, unanswered
        )


def _is_address(base_url: str) -> bool:
    try:
        parts = urlsplit(base_url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain


def _said(body: Any) -> str:
    """The words of an error's body: those meant for people, or else the whole."""
    given = body[0] if isinstance(body, list) and body else body  # Gemini sends a list
    error = given.get("error", given) if isinstance(given, dict) else given
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return error["message"]
    return str(error or "")[:1_000]


def _count(given: Any) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else None
