"""Labels by a model: asked again when they are no good, and never anything but centroids sent."""

import json

import pytest

from persona_assets.copywriting.chat import ChatModel
from persona_assets.errors import PersonaError
from persona_assets.segmentation import NUMBERS
from persona_assets.segmentation.handoff import ask_for_labels

from ..chat_server import Answer, chat_server
from ..test_graph import rows
from ..test_segments import materialize

CENTROIDS = [
    {"segment": f"seg_{place}", "customers": 10 * place, **dict.fromkeys(NUMBERS, float(place))}
    for place in (1, 2, 3)
]


def said(label, designation="People.", tone="warm"):
    return Answer(json.dumps({"label": label, "designation": designation, "tone": tone}))


def label(answers, centroids=CENTROIDS):
    """The labels that come of these answers in turn, and the calls that were made."""
    with chat_server(lambda call, number: answers[min(number, len(answers) - 1)]) as server:
        model = ChatModel(server.url, "key", "some-model", 0)
        return ask_for_labels(model, centroids), server.calls


def test_every_segment_gets_the_label_designation_and_tone_of_the_model():
    labels, calls = label([said("Ones"), said("Twos", tone="brisk"), said("Threes")])
    assert [(found.segment, found.segment_label) for found in labels] == [
        ("seg_1", "Ones"), ("seg_2", "Twos"), ("seg_3", "Threes"),
    ]  # fmt: skip
    assert {(found.method, found.writer) for found in labels} == {("hand_off", "some-model")}
    assert labels[1].tone == "brisk"
    assert all(call.body["temperature"] == 0.2 for call in calls)
    assert all(call.body["max_tokens"] == 150 for call in calls)
    assert "labels that other segments have: Ones; Twos" in calls[2].body["messages"][1]["content"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said(""), "label is empty"),
        (said("  "), "label is empty"),
        (said("Fine", designation=""), "designation is empty"),
        (said("One two three four five six"), "more than 5 words"),
        (Answer("[1, 2]"), "label and designation and tone is empty"),
        (Answer('{"label": 3}'), "label and designation and tone is empty"),
    ],
)
def test_an_answer_that_is_no_good_is_asked_for_again_with_the_reason(answer, reason):
    labels, calls = label([answer, said("Better")], CENTROIDS[:1])
    assert labels[0].segment_label == "Better"
    assert len(calls) == 2
    assert reason in calls[1].body["messages"][-1]["content"]


def test_a_label_that_another_segment_has_is_asked_for_again():
    labels, calls = label([said("Same"), said("sAME"), said("Other")], CENTROIDS[:2])
    assert [found.segment_label for found in labels] == ["Same", "Other"]
    assert "another segment has this label" in calls[2].body["messages"][-1]["content"]


def test_after_three_attempts_it_is_given_up_with_a_way_out():
    with pytest.raises(PersonaError, match=r"seg_1 in 3 attempts.*PERSONA_LABELS=rules"):
        label([said("")])


def test_the_graph_takes_the_models_labels_and_sends_no_customer(home):
    names = iter(["Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta", "Eta", "Theta"])
    with chat_server(lambda call, number: said(f"{next(names)} people")) as server:
        settings = home.model_copy(
            update={"labels": "hand_off", "model": "some-model", "openai_base_url": server.url}
        )
        materialize(settings, ["segment_labels"])
    found = rows(home, "SELECT method, COUNT(*) FROM persona.segment_labels GROUP BY method")
    assert dict(found) == {"hand_off": len(server.calls), "rules": 1}
    asked = [call.body["messages"][1]["content"] for call in server.calls]
    facts = {line.split(":")[0] for question in asked for line in question.splitlines()}
    assert facts == {
        "customers",
        "mean orders",
        "mean revenue per order, USD",
        "mean revenue, USD",
        "mean months since the newest order",
        "mean orders per month",
        "labels that other segments have",
    }
