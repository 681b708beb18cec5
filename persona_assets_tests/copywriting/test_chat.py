"""Asking a model over HTTP: what is sent, and what is said when it goes wrong."""

import socket

import pytest

from persona_assets.copywriting.chat import ChatModel
from persona_assets.errors import InputError, PersonaError

from ..chat_server import Answer, chat_server

KEY = "sk-very-secret"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def ask(url, retries=0):
    model = ChatModel(url, KEY, "some-model", retries)
    return model.ask([{"role": "user", "content": "hello"}], "thing", SCHEMA, 0.2, 150)


def test_the_question_goes_over_the_wire_as_chat_completions_with_a_schema():
    with chat_server(lambda call, number: Answer('{"a": 1}')) as server:
        assert ask(server.url) == {"a": 1}
    (call,) = server.calls
    assert call.path == "/v1/chat/completions"
    assert call.authorization == f"Bearer {KEY}"
    assert call.body["model"] == "some-model"
    assert call.body["messages"] == [{"role": "user", "content": "hello"}]
    assert (call.body["temperature"], call.body["max_tokens"]) == (0.2, 150)
    assert call.body["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(status):
    def answer(call, number):
        busy = Answer(status=status, raw=b"{}", headers={"retry-after-ms": "1"})
        return Answer('{"a": 2}') if number else busy

    with chat_server(answer) as server:
        assert ask(server.url, retries=1) == {"a": 2}
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(status=401, raw=b"{}"), "OPENAI_API_KEY"),
        (Answer(status=404, raw=b"{}"), "PERSONA_MODEL"),
        (Answer(status=400, raw=b"{}"), "status 400"),
        (Answer(raw=b"<html>login</html>"), "no chat completion"),
        (Answer(raw=b'{"choices": []}'), "no chat completion"),
        (Answer("Sure! Here it is"), "no JSON"),
        (Answer(""), "no JSON"),
        (Answer('{"a": ', finish_reason="length"), "cut off after 150 tokens"),
    ],
    ids=["wrong key", "unknown model", "refused", "html", "empty", "prose", "nothing", "cut off"],
)
def test_what_goes_wrong_is_said_with_url_model_and_next_step(answer, said):
    with chat_server(lambda call, number: answer) as server:
        with pytest.raises(PersonaError) as caught:
            ask(server.url)
    message = str(caught.value)
    assert said in message
    assert server.url in message and "some-model" in message
    assert KEY not in message and "\n" not in message


def test_an_endpoint_that_is_not_there_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(PersonaError, match="cannot be reached: check OPENAI_BASE_URL"):
        ask(url)


def test_a_model_must_be_named():
    with pytest.raises(InputError, match="PERSONA_MODEL"):
        ChatModel("http://127.0.0.1:1/v1", KEY, None)
