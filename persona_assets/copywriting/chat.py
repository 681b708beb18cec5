"""Asking a model at an OpenAI-compatible endpoint for one JSON object."""

import json
from typing import Any

from persona_assets.errors import InputError, PersonaError

TIMEOUT_SECONDS = 60.0


class ChatModel:
    """A model behind chat completions: Ollama, vLLM, OpenAI, Gemini's compatible endpoint.

    base_url: up to and including /v1; api_key: any text for servers that want none; retries: of
    connections and of 429 and 5xx answers, each after a longer pause, or as `retry-after` says.
    Raises InputError when the package openai is missing or no model is named.
    """

    def __init__(
        self, base_url: str | None, api_key: str | None, model: str | None, retries: int = 2
    ) -> None:
        try:
            import openai
        except ImportError:
            raise InputError(
                "Asking a model needs the package openai: pip install 'persona_assets[chat]'."
            ) from None
        if not model:
            raise InputError("PERSONA_MODEL is not set: name the model that the endpoint offers.")
        self.model = model
        self._openai = openai
        self._client = openai.OpenAI(
            base_url=base_url,
            api_key=api_key or "none",
            timeout=TIMEOUT_SECONDS,
            max_retries=retries,
        )

    @property
    def url(self) -> str:
        return str(self._client.base_url)

    def ask(
        self,
        messages: list[dict[str, str]],
        name: str,
        schema: dict[str, Any],
        temperature: float,
        max_tokens: int,
    ) -> Any:
        """The answer to the messages, as JSON that the schema describes.

        Raises PersonaError, naming URL, model and next step, when the endpoint cannot be reached,
        refuses, or answers with something else than JSON.
        """
        openai = self._openai
        try:
            answer = self._client.chat.completions.create(
                model=self.model,
                messages=messages,
                temperature=temperature,
                max_tokens=max_tokens,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": name, "schema": schema, "strict": True},
                },
            )
            choice = answer.choices[0]
            text = choice.message.content or ""
        except openai.APITimeoutError:
            raise self._failed("did not answer in time: is the model loaded?") from None
        except openai.APIConnectionError:
            raise self._failed("cannot be reached: check OPENAI_BASE_URL.") from None
        except openai.AuthenticationError:
            raise self._failed("refuses the key (401): check OPENAI_API_KEY.") from None
        except openai.NotFoundError:
            raise self._failed(
                "does not know this (404): check PERSONA_MODEL and OPENAI_BASE_URL."
            ) from None
        except openai.APIStatusError as error:
            raise self._failed(f"answers with status {error.status_code}.") from None
        except (openai.OpenAIError, AttributeError, IndexError, TypeError, ValueError):
            raise self._failed("answers with something that is no chat completion.") from None
        if choice.finish_reason == "length":
            raise self._failed(f"was cut off after {max_tokens} tokens.")
        try:
            return json.loads(text)
        except ValueError:
            raise self._failed("answers with text that is no JSON.") from None

    def _failed(self, what: str) -> PersonaError:
        return PersonaError(f"The model {self.model} at {self.url} {what}")
