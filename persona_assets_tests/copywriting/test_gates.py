"""Gates: each catches its defect, and product names are not mistaken for one."""

import pytest

from persona_assets.copywriting.gates import problems


def check(subject="Subject", preheader="Preheader", body="Body", label=None, language="en",
          products=()):  # fmt: skip
    return problems(
        subject, preheader, body, segment_label=label, language=language, products=products
    )


def test_a_sound_draft_has_no_problems():
    assert check(subject="s" * 50, preheader="p" * 110, label="High value") == ()


@pytest.mark.parametrize(
    ("defect", "problem"),
    [
        ({"subject": " "}, "empty: subject"),
        ({"preheader": "", "body": "\n"}, "empty: preheader, body"),
        ({"subject": "s" * 51}, "subject longer than 50"),
        ({"subject": "a\nb"}, "control character in subject"),
        ({"subject": "a\x07b"}, "control character in subject"),
        ({"subject": "a\u2028b"}, "control character in subject"),
        ({"subject": "a\u202eb"}, "control character in subject"),
        ({"preheader": "p" * 111}, "preheader longer than 110"),
        ({"body": "Buy {product} now"}, "unrendered placeholder: {product}"),
        ({"body": "Dear [Your Name],"}, "unrendered placeholder: [Your Name]"),
        ({"subject": "Hi {{ name"}, "unrendered placeholder: {{"),
        ({"preheader": "{% if x"}, "unrendered placeholder: {%"),
        ({"body": "Our High-Value customers", "label": "high value"}, "segment label in text"),
        ({"body": "high_value", "label": "High Value"}, "segment label in text"),
        ({"body": "您是高价值客户吗", "label": "高价值客户", "language": "zh"},
         "segment label in text"),
    ],
)  # fmt: skip
def test_each_gate_catches_its_defect(defect, problem):
    assert check(**defect) == (problem,)


def test_all_problems_are_told_at_once():
    assert len(check(subject="s" * 51 + "\n", preheader="", body="{x}")) == 4


def test_product_names_are_no_placeholders_and_leak_nothing():
    name = "The {product} of [Your Name] {{ 7*7 }} Loyal"
    assert check(body=f"You chose “{name}”.", label="loyal", products=(name,)) == ()
    assert check(body=f"You chose “{name}”.") != ()
    assert check(body="“Shirt {x}”", products=("Shirt", "Shirt {x}")) == ()
    long = "{x} " * 60
    assert check(body="You chose " + "{x} " * 19 + "{x}…", products=(long,)) == ()


def test_a_placeholder_around_a_product_name_is_still_found():
    assert check(body="{product}", products=("product",)) != ()


def test_a_label_inside_another_word_or_no_label_is_no_leak():
    assert check(body="Newest things", label="new") == ()
    assert check(body="anything", label=None) == ()
    assert check(body="anything", label=" ") == ()
