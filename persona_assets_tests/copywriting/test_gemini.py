"""What a row of BigQuery's AI functions says, in whatever spelling, and what is told beside it."""

import json

import pytest

from persona_assets.copywriting.gemini import (
    Response,
    lasts,
    model_params,
    passes,
    read_response,
)


@pytest.mark.parametrize(
    "given",
    [
        {
            "candidates": [
                {"content": {"parts": [{"text": "Hel"}, {"text": "lo"}]}, "finish_reason": "STOP"}
            ],
            "usage_metadata": {
                "prompt_token_count": 10,
                "candidates_token_count": 5,
                "thoughts_token_count": 7,
            },
        },
        {
            "candidates": [
                {"content": {"parts": [{"text": "Hmm", "thought": True}, {"text": "Hello"}]},
                 "finishReason": "STOP"}
            ],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5,
                              "totalTokenCount": 22},
        },
    ],
    ids=["snake_case", "camelCase"],
)  # fmt: skip
def test_a_response_is_read_in_either_spelling_and_thinking_counts_as_written(given):
    assert read_response(json.dumps(given)) == Response("Hello", "stop", 10, 12)


@pytest.mark.parametrize("given", [None, "", "null", "{}", "[]", "3", "{", '"STOP"'])
def test_a_row_without_a_response_has_none(given):
    assert read_response(given) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"candidates": []}, Response("", "none", None, None)),
        ({"candidates": ["x"], "model_version": "m"}, Response("", "none", None, None)),
        ({"candidates": [{"finish_reason": "SAFETY"}]}, Response("", "safety", None, None)),
        (
            {"prompt_feedback": {"block_reason": "PROHIBITED_CONTENT"}},
            Response("", "prohibited_content", None, None),
        ),
        (
            {"candidates": [{"content": None, "finish_reason": "MAX_TOKENS"}],
             "usage_metadata": {"prompt_token_count": 9, "thoughts_token_count": 1000}},
            Response("", "max_tokens", 9, 1000),
        ),
        (
            {"candidates": [{"content": {"parts": [None, {"text": 3}]}, "finish_reason": "STOP"}],
             "usage_metadata": {"prompt_token_count": "many"}},
            Response("", "stop", 0, 0),
        ),
    ],
)  # fmt: skip
def test_a_response_that_says_little_is_read_all_the_same(given, expected):
    assert read_response(json.dumps(given)) == expected


@pytest.mark.parametrize(
    ("status", "passing", "lasting"),
    [
        ("", False, False),
        ("A retryable error occurred: the maximum size quota per query has reached", True, False),
        ("A retryable error occurred: RESOURCE EXHAUSTED error from <endpoint>", True, False),
        ("RESOURCE_EXHAUSTED", True, False),
        ("UNAVAILABLE: 503 try later", True, False),
        ("INVALID_ARGUMENT: the prompt is too long", False, False),
        ("PERMISSION_DENIED: aiplatform.endpoints.predict", False, True),
        ("Error 404: Publisher model was not found", False, True),
        ("A retryable error occurred: NOT_FOUND for now", True, False),
    ],
)
def test_a_status_says_whether_the_row_or_every_row_is_to_be_given_up(status, passing, lasting):
    assert (passes(status), lasts(status)) == (passing, lasting)


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("gemini-2.5-flash", {"thinking_budget": 0}),
        ("gemini-2.5-flash-lite", {"thinking_budget": 0}),
        ("gemini-2.5-pro", {"thinking_budget": 128}),
        ("gemini-3.5-flash", {"thinking_level": "LOW"}),
        ("gemini-2.0-flash-001", None),
    ],
)
def test_a_model_thinks_as_little_as_it_can(model, thinking):
    config = model_params(model, 0.5, 300)["generation_config"]
    assert config.pop("thinking_config", None) == thinking
    assert config == {"temperature": 0.5, "max_output_tokens": 300}


def test_the_parts_of_an_answer_are_asked_for_as_json():
    config = model_params("gemini-2.5-flash", 0.7, 300, ["subject", "body"])["generation_config"]
    assert config["response_mime_type"] == "application/json"
    assert config["response_schema"]["required"] == ["subject", "body"]
