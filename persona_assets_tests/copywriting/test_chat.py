"""Asking a model over HTTP: what is sent, and what is said when it goes wrong."""

import json
import logging
import socket

import pytest

from persona_assets.copywriting.chat import ChatModel, EndpointFailed
from persona_assets.errors import InputError
from persona_assets.settings import load_settings

from ..chat_server import Answer, chat_server, in_turn

KEY = "sk-very-secret"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
QUESTION = [{"role": "user", "content": "hello"}]
GOOD = Answer('{"a": 1}')


def model(url, retries=0, **changes):
    return ChatModel(url, KEY, "some-model", retries, **changes)


def ask(url, retries=0, **changes):
    return model(url, retries, **changes).ask(QUESTION, "thing", SCHEMA, 0.2, 150)


def reply(url, retries=0, **changes):
    return model(url, retries, **changes).reply(QUESTION, "thing", SCHEMA, 0.2, 150)


def refusal(message, status=400, **members):
    return Answer(status=status, raw=json.dumps({"error": {"message": message} | members}).encode())


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def test_the_question_goes_over_the_wire_as_chat_completions_with_a_schema():
    with chat_server(lambda call, number: GOOD) as server:
        assert ask(server.url) == {"a": 1}
    (call,) = server.calls
    assert call.path == "/v1/chat/completions"
    assert call.authorization == f"Bearer {KEY}"
    assert call.body == {
        "model": "some-model",
        "messages": QUESTION,
        "temperature": 0.2,
        "max_tokens": 150,
        "reasoning_effort": "none",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "thing", "schema": SCHEMA, "strict": True},
        },
    }


def test_tokens_and_the_reason_of_the_end_come_with_the_answer():
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    with chat_server(lambda call, number: Answer("cut", finish_reason="length", usage=usage)) as s:
        found = reply(s.url)
    assert (found.text, found.finish_reason) == ("cut", "length")
    assert (found.input_tokens, found.output_tokens, found.unanswered) == (11, 7, 0)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        # What a model thinks is charged, and Gemini counts it in the total alone.
        ({"prompt_tokens": 20, "completion_tokens": 151, "total_tokens": 553}, (20, 533)),
        ({"prompt_tokens": 20, "completion_tokens": 9}, (20, 9)),
        ({"prompt_tokens": -5, "completion_tokens": "many", "total_tokens": True}, (None, None)),
        ({}, (None, None)),
        (None, (None, None)),
    ],
)
def test_tokens_are_counted_as_they_are_charged(usage, tokens):
    with chat_server(lambda call, number: Answer("x", usage=usage)) as server:
        found = reply(server.url)
    assert (found.input_tokens, found.output_tokens) == tokens


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None, "refusal": "I will not."}, "I will not."),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": None}, ""),
    ],
    ids=["refusal", "parts", "nothing"],
)
def test_an_answer_in_another_shape_is_read_all_the_same(message, text):
    raw = json.dumps({"choices": [{"message": message, "finish_reason": None}]}).encode()
    with chat_server(lambda call, number: Answer(raw=raw)) as server:
        found = reply(server.url)
    assert (found.text, found.finish_reason) == (text, "stop")


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(status=429, raw=b"{}", headers={"retry-after-ms": "1"}),
        Answer(status=500, raw=b"{}", headers={"retry-after-ms": "1"}),
        Answer(status=503, raw=b"{}", headers={"retry-after-ms": "1"}),
        Answer(cut=True),
        Answer(delay=3.0),
    ],
    ids=["429", "500", "503", "cut", "late"],
)
def test_a_busy_server_is_asked_again(trouble, quick_retries):
    with chat_server(in_turn([trouble, GOOD])) as server:
        found = reply(server.url, retries=1, timeout_seconds=2)
    assert found.text == GOOD.content
    assert len(server.calls) == 2
    # Nobody knows whether a request without an answer was charged.
    assert found.unanswered == (trouble.cut or trouble.delay > 0)


def test_a_server_that_says_to_wait_for_an_hour_does_not_stall():
    hour = Answer(status=429, raw=b"{}", headers={"retry-after": "3600"})
    with chat_server(lambda call, number: hour) as server:
        with pytest.raises(EndpointFailed, match="429.*wait for 3,600 seconds"):
            ask(server.url, retries=2)
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("refusing", "formats"),
    [
        ([refusal("'response_format.type' must be 'json_object' or 'text'")], ["json_object"]),
        ([refusal("This response_format type is unavailable now", 422)] * 2, [None]),
        ([Answer(status=400, raw=b"Bad Request")] * 3, [None]),
    ],
    ids=["takes plain JSON", "takes none", "does not say why"],
)
def test_a_server_that_takes_no_schema_is_asked_without_and_not_again(refusing, formats):
    with chat_server(in_turn([*refusing, GOOD])) as server:
        chat = model(server.url)
        for _ in range(3):
            assert chat.ask(QUESTION, "thing", SCHEMA, 0.2, 150) == {"a": 1}
    asked = [call.body.get("response_format", {}).get("type") for call in server.calls]
    assert asked[0] == "json_schema"
    assert asked[len(refusing) :] == formats * 3


def test_a_parameter_that_a_model_does_not_take_is_left_out_at_once():
    def answer(call, number):
        if "max_tokens" in call.body:
            return refusal(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead."
            )
        if "temperature" in call.body:
            return refusal(
                "Unsupported value: 'temperature' does not support 0.2 with this model. Only the "
                "default (1) value is supported."
            )
        return GOOD

    with chat_server(answer) as server:
        chat = model(server.url)
        for _ in range(2):
            assert chat.ask(QUESTION, "thing", SCHEMA, 0.2, 150) == {"a": 1}
    assert len(server.calls) == 4
    newest = server.calls[-1].body
    assert newest["max_completion_tokens"] == 150
    assert newest["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("taken", "asked"),
    [
        ({"none"}, ["none"]),
        ({"low", "medium"}, ["none", "minimal", "low"]),
        (set(), ["none", "minimal", "low", None]),
    ],
)
def test_a_model_is_asked_to_think_as_little_as_it_can(taken, asked):
    def answer(call, number):
        effort = call.body.get("reasoning_effort")
        if effort is None or effort in taken:
            return GOOD
        return refusal(f"Unsupported value: 'reasoning_effort' does not support '{effort}'.")

    with chat_server(answer) as server:
        chat = model(server.url)
        for _ in range(2):
            chat.ask(QUESTION, "thing", SCHEMA, 0.2, 150)
    efforts = [call.body.get("reasoning_effort") for call in server.calls]
    assert efforts == [*asked, asked[-1]]
    assert server.calls[-1].body["response_format"]["type"] == "json_schema"


def test_a_prompt_that_is_refused_does_not_change_how_the_others_are_asked():
    answers = in_turn([GOOD, refusal("The prompt is too long."), GOOD])
    with chat_server(answers) as server:
        chat = model(server.url)
        chat.ask(QUESTION, "thing", SCHEMA, 0.2, 150)
        with pytest.raises(EndpointFailed, match="too long"):
            chat.ask(QUESTION, "thing", SCHEMA, 0.2, 150)
        chat.ask(QUESTION, "thing", SCHEMA, 0.2, 150)
    assert len(server.calls) == 3
    assert server.calls[2].body["response_format"]["type"] == "json_schema"


WRONG = {
    "wrong key": (refusal(f"Incorrect API key provided: {KEY}", 401), "OPENAI_API_KEY", True),
    "wrong key at Gemini": (
        Answer(status=400, raw=b'[{"error": {"message": "API key not valid. Please pass"}}]'),
        "OPENAI_API_KEY",
        True,
    ),
    "not paid": (refusal("Insufficient balance", 402), "Insufficient balance", True),
    "forbidden": (refusal("No access", 403), "may use PERSONA_MODEL", True),
    "unknown model": (refusal("The model `x` does not exist", 404), "check PERSONA_MODEL", True),
    "moved": (
        Answer(status=301, raw=b"", headers={"Location": "https://other.example/v1"}),
        "https://other.example/v1",
        True,
    ),
    "refused": (refusal(f"I do\nnot like {KEY}"), "(I do not like …)", False),
    "busy": (refusal("Slow down", 429), "lower PERSONA_CONCURRENCY", False),
    "broken": (Answer(status=502, raw=b"<html>Bad gateway</html>"), "status 502:", False),
    "web page": (Answer(raw=b"\n<html>login</html>"), "answers with a web page", True),
    "no choices": (Answer(raw=b'{"choices": []}'), "no chat completion", False),
    "no object": (Answer(raw=b"[[[[1"), "no chat completion", False),
    "deep": (Answer(raw=b"[" * 100_000), "no chat completion", False),
    "an error with status 200": (
        Answer(raw=b'{"error": {"message": "Provider is down", "code": 502}}'),
        "Provider is down",
        False,
    ),
    "not UTF-8": (Answer(raw=b"\xff\xfe"), "no chat completion", False),
    "prose": (Answer("Sure! Here it is"), "no JSON", False),
    "nothing": (Answer(""), "no JSON", False),
    "cut off": (Answer('{"a": ', finish_reason="length"), "cut off after 150 tokens", False),
    "cut": (Answer(cut=True), "cut the connection", False),
    "late": (Answer(delay=0.5), "did not answer within 0.2 seconds", False),
    "trickle": (Answer(endless=b" "), "did not answer within 0.2 seconds", False),
    "flood": (Answer(endless=b" " * 500_000), "more than 4,000,000 bytes", False),
}


@pytest.mark.parametrize(("answer", "said", "lasting"), WRONG.values(), ids=WRONG)
def test_what_goes_wrong_is_said_with_url_model_and_next_step(answer, said, lasting, caplog):
    caplog.set_level(logging.DEBUG)
    with chat_server(lambda call, number: answer) as server:
        with pytest.raises(EndpointFailed) as caught:
            ask(server.url, timeout_seconds=0.2 if answer.delay or answer.endless else 10)
    message = str(caught.value)
    assert said in message
    assert server.url in message and "some-model" in message
    assert "\n" not in message and len(message) < 500
    assert KEY not in message and KEY not in caplog.text
    assert caught.value.lasting is lasting


def test_an_endpoint_that_is_not_there_is_named():
    url = closed_port()
    with pytest.raises(EndpointFailed, match="cannot be reached .*refused.*OPENAI_BASE_URL") as e:
        ask(url)
    assert url in str(e.value)
    assert (e.value.lasting, e.value.unanswered) == (True, 0)


def test_a_server_that_starts_again_may_be_waited_for():
    with chat_server(lambda call, number: GOOD) as server:
        chat = model(server.url)
        chat.ask(QUESTION, "thing", SCHEMA, 0.2, 150)
    with pytest.raises(EndpointFailed, match="cannot be reached|cut the connection") as caught:
        chat.ask(QUESTION, "thing", SCHEMA, 0.2, 150)
    assert not caught.value.lasting


def test_a_model_must_be_named():
    with pytest.raises(InputError, match="PERSONA_MODEL"):
        ChatModel("http://127.0.0.1:1/v1", KEY, None)


@pytest.mark.parametrize(
    "url",
    ["localhost:11434/v1", "sk-oops", "ftp://host/v1", "http://:x/v1", "http://host:port/v1",
     "http://me:secret@host/v1", "https://host/v1?key=secret"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url):
    with pytest.raises(InputError, match="OPENAI_BASE_URL") as caught:
        ChatModel(url, KEY, "some-model")
    assert url not in str(caught.value)


def test_a_key_with_a_line_break_inside_is_refused_and_not_shown():
    with pytest.raises(InputError, match="OPENAI_API_KEY") as caught:
        ChatModel("http://127.0.0.1:1/v1", "sk-very\nsecret", "some-model")
    assert "secret" not in str(caught.value)


def test_white_space_around_a_key_is_no_part_of_it():
    with chat_server(lambda call, number: GOOD) as server:
        chat = ChatModel(server.url, f" {KEY}\n", "some-model", 0)
        chat.ask(QUESTION, "thing", SCHEMA, 0.2, 150)
    assert server.calls[0].authorization == f"Bearer {KEY}"


def test_the_settings_name_the_model_its_address_and_its_patience():
    settings = load_settings(
        model="some-model", openai_base_url="http://host:1/v1/", openai_api_key=KEY,
        timeout_seconds=7,
    )  # fmt: skip
    chat = ChatModel.from_settings(settings)
    assert (chat.model, chat.url, chat.timeout_seconds) == ("some-model", "http://host:1/v1", 7)
