"""Gates: seeded defects are caught by the gate meant, clean e-mails in nine languages pass."""

import random
import re
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files

import pytest

from persona_assets.copywriting import gates
from persona_assets.copywriting.brief import Brief, Draft
from persona_assets.copywriting.gates import Gates, parse_answer, reason, text_of
from persona_assets.copywriting.gates.text import normalised

from .corpus import catalogue, clean, defects
from .samples import LANGUAGES, brief

LABELS = (
    "Recent high-value regulars",
    "Dormant low-value one-timers",
    "Prospects",
    "Denim Devotees",
    "At-Risk Champions",
)
NOT_OFFERED = (
    "Wrangler Men's Cowboy Cut Slim Fit Jean",
    "Patagonia Women's Better Sweater Jacket",
    "Dunmarrow Men's Relaxed Cotton-Linen Henley",
    "ASICS Gel-Kayano 19 Running Shoe in Black",
    "Bellavoire Striped Silk Camisole",
)
NEIGHBOURS = (
    "Speriamo di rivederti presto nel nostro negozio.",
    "We hopen u binnenkort weer te zien in onze winkel.",
    "Вам обязательно понравится эта вещь.",
    "Hoppas att vi ses snart igen i butiken.",
    "Yakında tekrar görüşmek dileğiyle.",
    "Mamy nadzieję, że wkrótce wrócisz.",
)
BODY = "A body that says enough for an e-mail, in a sentence or two. Come and have a look."

Case = tuple[Brief, Draft]


@cache
def without_memory() -> Gates:
    return Gates(LABELS, [*catalogue(), *NOT_OFFERED], near_duplicates=False)


def found(case: Case) -> set[str]:
    """The names of the gates that refuse a draft."""
    written_for, draft = case
    return {reason(problem) for problem in without_memory().problems(draft, written_for)}


def refused(subject="A moment for you", body=BODY, **changes) -> set[str]:
    one = brief("en", **changes)
    draft = Draft(one.prompt_hash, "w", 1, subject, "Whenever it suits you", body)
    return found((one, draft))


# Seeded defects: at least 40 of a kind over the nine languages.


def planted(kind: str, language: str) -> Iterator[str]:
    for text in defects(language, kind):
        if kind == "label":
            yield from (text.format(label=label) for label in LABELS)
        elif kind == "product":
            yield from (text.format(product=name) for name in NOT_OFFERED)
        else:
            yield text


def in_body(kind: str) -> Iterator[Case]:
    """The sentences of a kind, each in a body of another e-mail of its language."""
    for language in LANGUAGES:
        mails = clean(language)
        for number, text in enumerate(planted(kind, language)):
            one, draft = mails[number * 7 % len(mails)]
            parts = (text, draft.body) if kind == "greeting" else (draft.body, text)
            yield one, replace(draft, body="\n\n".join(parts))


def stock_phrases() -> Iterator[Case]:
    """Stock phrases in e-mails of the other eight languages."""
    for language in LANGUAGES:
        phrases = [p for other in LANGUAGES if other != language for p in defects(other, "stock")]
        for number, phrase in enumerate(phrases):
            one, draft = clean(language)[number % len(clean(language))]
            yield one, replace(draft, body=f"{phrase}\n\n{draft.body}")


def other_languages() -> Iterator[Case]:
    """Whole e-mails in another language, and single sentences, also of others than the nine."""
    for language in LANGUAGES:
        mails = clean(language)
        for other in LANGUAGES:
            if other == language:
                continue
            for (one, draft), (_, foreign) in zip(mails, clean(other), strict=True):
                yield one, foreign
                yield one, replace(draft, body=f"{draft.body}\n\n{_longest_sentence(foreign)}")
        for number, sentence in enumerate(NEIGHBOURS):
            one, draft = mails[number]
            yield one, replace(draft, body=f"{draft.body}\n\n{sentence}")


def _longest_sentence(draft: Draft) -> str:
    return max(re.findall(r"[^.!?。！？؟\n]+[.!?。！？؟]", draft.body), key=len)


def markup() -> Iterator[Case]:
    for language in LANGUAGES:
        for number, template in enumerate(
            (
                "<b>{}</b>", "**{}**", "## {}", "[{}](https)", "{}<br>", "- {}\n- {}",
                "```\n{}\n```", "{}\\n\\n", "{} &nbsp;", "Subject: {}", "1. {}", "__{}__",
            )
        ):  # fmt: skip
            one, draft = clean(language)[number]
            yield one, replace(draft, body=template.replace("{}", draft.body))


def lengths() -> Iterator[Case]:
    for language in LANGUAGES:
        for number in range(6):
            one, draft = clean(language)[number]
            yield one, replace(draft, subject=f"{draft.subject} {draft.subject} " * 3)
            yield one, replace(draft, preheader=f"{draft.preheader} " * 16)
            yield one, replace(draft, body=draft.body[:20])
            yield one, replace(draft, body=f"{draft.body}\n\n" * 40)


def empties() -> Iterator[Case]:
    for language in LANGUAGES:
        one, draft = clean(language)[0]
        for nothing in ("", "  ", "\u200b", "…", "N/A", "null", "—"):
            yield one, replace(draft, subject=nothing)
            yield one, replace(draft, preheader=nothing)
            yield one, replace(draft, body=nothing)


def broken_characters() -> Iterator[Case]:
    for language in LANGUAGES:
        one, draft = clean(language)[1]
        middle = len(draft.body) // 2
        for part in ("subject", "preheader"):
            for char in "\n\x07\u2028\u202e\ud83d\ue000\U000e0041":
                yield one, replace(draft, **{part: char.join(("A", getattr(draft, part)[-30:]))})
        for text in ("\x00", "\u202e", "\udc00", "\ufffd", "Ã©", "â€™"):
            yield one, replace(draft, body=draft.body[:middle] + text + draft.body[middle:])


def cut_off() -> Iterator[Case]:
    for language in LANGUAGES:
        for ended in ("length", "content_filter", "tool_calls", "", "error"):
            one, draft = clean(language)[2]
            yield one, replace(draft, finish_reason=ended)


@pytest.mark.parametrize(
    ("cases", "gate"),
    [
        (empties, {"empty"}),
        (cut_off, {"finish reason"}),
        (markup, {"structure"}),
        (lambda: in_body("greeting"), {"structure"}),
        (lambda: in_body("sign_off"), {"structure"}),
        (lengths, {"length"}),
        (broken_characters, {"control character"}),
        (lambda: in_body("placeholder"), {"placeholder"}),
        (other_languages, {"language"}),
        (lambda: in_body("internal"), {"internal word"}),
        (lambda: in_body("label"), {"label leak"}),
        (lambda: in_body("data"), {"another's data"}),
        (lambda: in_body("product"), {"another's data"}),
        (lambda: in_body("offer"), {"invented offer"}),
        # A stock phrase that is long enough is a sentence in another language, too.
        (stock_phrases, {"boilerplate", "language"}),
    ],
    ids=[
        "empty", "finish reason", "markup", "greeting", "sign-off", "length", "characters",
        "placeholder", "language", "internal word", "label", "data", "product", "offer",
        "boilerplate",
    ],
)  # fmt: skip
def test_seeded_defects_are_caught_by_the_gate_meant(cases, gate):
    seeded = list(cases())
    missed = [(one.language, draft.body[-80:]) for one, draft in seeded
              if not found((one, draft)) & gate]  # fmt: skip
    assert len(seeded) >= 40
    assert len(missed) <= len(seeded) * 0.01, missed


def test_clean_emails_are_hardly_ever_refused():
    cases = [case for language in LANGUAGES for case in clean(language)]
    assert all(len(clean(language)) >= 40 for language in LANGUAGES)
    wrong = {case[1].subject: names for case in cases if (names := found(case))}
    assert len(wrong) <= len(cases) * 0.01, wrong


def test_problems_name_their_gate_and_quote_little():
    for cases in (markup, lengths, broken_characters, lambda: in_body("offer"), stock_phrases):
        for one, draft in cases():
            for problem in without_memory().problems(draft, one):
                assert re.fullmatch(r"[a-z' -]+: .{1,100}", problem)


# Answers of models.


@pytest.mark.parametrize(
    "answer",
    [
        '{"subject": "S", "preheader": "P", "body": "B"}',
        '\n ```json\n{"subject": "S", "preheader": "P",\n "body": "B"}\n```\n',
        '```\n{"body": "B ", "preheader": " P", "subject": "S\\n"}\n```',
    ],
)
def test_an_answer_of_three_texts_is_taken_apart(answer):
    assert parse_answer(answer) == ({"subject": "S", "preheader": "P", "body": "B"}, None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "empty"),
        ("Sure! Here it is: {}", "not one JSON object"),
        ('{"subject": "S", "preheader": "P", "body": "B"', "not one JSON object"),
        ('{"subject": "S", "preheader": "P", "body": "B"} Enjoy!', "not one JSON object"),
        ('{"subject": "S"}{"body": "B"}', "not one JSON object"),
        ("[" * 100_000, "not one JSON object"),
        ('["S", "P", "B"]', "no object"),
        ('"S"', "no object"),
        ("[]", "no object"),
        ("{}", "lacks subject, preheader, body"),
        ('{"subject": "S", "body": "B"}', "lacks preheader"),
        ('{"subject": "S", "preheader": "P", "body": "B", "cta": "C"}', "keys beside"),
        ('{"subject": "S", "subject": "T", "preheader": "P", "body": "B"}', "twice"),
        ('{"subject": "S", "preheader": "P", "body": ["B"]}', "body must be text"),
        ('{"subject": null, "preheader": "P", "body": "B"}', "subject must be text"),
        ('{"subject": " ", "preheader": "P", "body": "B"}', "subject must not be empty"),
        ("<html>Bad gateway</html>", "not one JSON object"),
    ],
)
def test_any_other_answer_is_a_problem_of_structure(answer, said):
    parts, problem = parse_answer(answer)
    assert parts is None
    assert reason(problem) == "structure" and said in problem


def test_a_draft_without_parts_is_told_its_own_problem_and_how_it_ended():
    draft = Draft("0", "w", 1, "", "", "{", finish_reason="length", problems=("structure: no",))
    assert without_memory().problems(draft, brief()) == ("structure: no", "finish reason: length")


# What is no defect.


@pytest.mark.parametrize("wide", ["あ" * 40, "가" * 40, "字" * 40, "a" * 50])
def test_a_subject_of_80_columns_and_50_characters_is_short_enough(wide):
    assert "length" not in refused(subject=wide)
    assert "length" in refused(subject=wide + "字")


@pytest.mark.parametrize(
    "name",
    [
        "The {product} of [Your Name] {{ 7*7 }} Loyal",
        "Allegra K Women's 50% Cotton Dress",
        'Gift Set "Sale" $19.99, free shipping 24/7',
        "Code PROSPECT <b>Slim</b> ** XXX **",
        "www.brand.com Socks (12-Pack)",
    ],
)
def test_a_product_name_is_data_whatever_it_holds(name):
    body = f"{BODY} You chose “{name}”, and we hope you like it."
    assert refused(body=body, top_products_user=(name,)) == set()
    assert refused(body=body) != set()
    assert refused(body=f"{body} {{product}}", top_products_user=(name,)) == {"placeholder"}


@pytest.mark.parametrize(
    "said",
    ["Allegra K Cotton Dress", "ALLEGRA K 50% COTTON DRESS", "Women's 50% Cotton Dresses"],
)
def test_a_shortened_product_name_is_one(said):
    assert refused(body=f"{BODY} How about the {said}?",
                   top_products_user=("Allegra K Women's 50% Cotton Dress",)) == set()  # fmt: skip


def test_a_brand_on_offer_does_not_open_the_rest_of_its_products():
    offered = ("Wrangler Men's Rugged Wear Jacket",)
    assert refused(body=f"{BODY} See the Wrangler Men's Rugged Jacket.",
                   top_products_user=offered) == set()  # fmt: skip
    assert refused(body=f"{BODY} See the Wrangler Men's Cowboy Cut Slim Fit Jean.",
                   top_products_user=offered) == {"another's data"}  # fmt: skip


@pytest.mark.parametrize(
    "said", ["7", "٧", "７", "June 2024", "2024-06", "1,234", "1.234", "3", "5"]
)
def test_the_numbers_of_the_brief_may_be_said(said):
    facts = {"total_orders": 7, "avg_basket": 1234, "order_interval_months": 5,
             "last_order_month": date(2024, 6, 1)}  # fmt: skip
    assert refused(body=f"{BODY} We thought of {said} here.", **facts) == set()


@pytest.mark.parametrize("said", ["8", "٨", "８", "2023", "1,235", "⑨", "12 months"])
def test_no_other_number_may_be_said(said):
    assert refused(body=f"{BODY} We thought of {said} here.", total_orders=7) == {"another's data"}


def test_the_customers_own_average_is_no_invented_price():
    body = f"{BODY} On average, your orders come to $80."
    assert refused(body=body, avg_basket=80) == set()
    assert refused(body=body, avg_basket=90) == {"another's data"}
    assert refused(body=f"{BODY} Dresses from $80.", avg_basket=80) == {"invented offer"}


# Labels.


@pytest.mark.parametrize(
    ("label", "language", "said", "leaks"),
    [
        ("Denim Devotees", "en", "For a true denim devotee.", True),
        ("denim_devotees", "en", "Our Denim-Devotees love it.", True),
        ("丹宁控", "zh", "您是丹宁控吗？", True),
        ("丹宁控", "zh", "您喜欢丹宁吗？", False),
        ("Wool", "en", "Woollen things are warm.", False),
        ("New", "en", "Have a look at what is new.", False),  # the phrases say it, too
        ("", "en", "Anything at all.", False),
    ],
)
def test_labels_leak_in_any_case_and_number_but_not_inside_other_words(
    label, language, said, leaks
):
    one, draft = clean(language)[2]
    case = replace(draft, body=f"{draft.body}\n\n{said}")
    problems = Gates([label], near_duplicates=False).problems(case, one)
    assert ("label leak" in map(reason, problems)) == leaks


# Near-duplicates.


def a_little_different(draft: Draft, language: str, rng: random.Random) -> Draft:
    """The same e-mail but for two words, or two characters where words are not set apart."""
    if language in {"ja", "zh"}:
        words, space = list(draft.body), ""
    else:
        words, space = draft.body.split(" "), " "
    for _ in range(2):
        del words[rng.randrange(len(words) // 2)]
    return replace(draft, body=space.join(words))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_email_but_for_two_words_is_a_near_duplicate(language):
    rng, partition = random.Random(7), Gates()
    for one, draft in clean(language):
        assert partition.problems(draft, one) == ()
    copies = [(one, a_little_different(draft, language, rng)) for one, draft in clean(language)]
    told = [[reason(p) for p in partition.problems(draft, one)] for one, draft in copies]
    # A word less can be another defect first.
    assert sum(names != [] for names in told) >= len(copies) * 0.99
    assert sum(names == ["near-duplicate"] for names in told) >= len(copies) * 0.8


def test_texts_accepted_in_an_earlier_run_count():
    one, draft = clean("en")[0]
    partition = Gates()
    partition.remember([text_of(draft)])
    assert [reason(p) for p in partition.problems(draft, one)] == ["near-duplicate"]


def test_a_refused_draft_is_not_remembered():
    one, draft = clean("en")[0]
    partition = Gates()
    assert partition.problems(replace(draft, finish_reason="length"), one) != ()
    assert partition.problems(draft, one) == ()


def test_a_writer_that_repeats_itself_by_design_may():
    one, draft = clean("en")[0]
    partition = Gates(near_duplicates=False)
    assert [partition.problems(draft, one) for _ in range(2)] == [(), ()]


def test_of_the_same_draft_from_many_threads_one_is_accepted():
    one, draft = clean("en")[0]
    partition, accepted = Gates(), []
    start = threading.Barrier(8)

    def judge():
        start.wait()
        if partition.problems(draft, one) == ():
            accepted.append(draft)

    threads = [threading.Thread(target=judge) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(accepted) == 1


def test_only_so_many_texts_are_remembered():
    seen = gates.duplicates.Seen(remembered=2)
    texts = [draft.body for _, draft in clean("en")[:3]]
    assert [seen.near_duplicate(text) for text in texts] == [None] * 3
    assert seen.near_duplicate(texts[0]) is None  # pushed out by the third
    assert seen.near_duplicate(texts[2]) is not None


# The word lists.


def test_the_word_lists_are_written_the_way_texts_are_compared():
    folder = files(gates) / "words"
    names = {file.name.removesuffix(".toml") for file in folder.iterdir()}
    assert names == {*LANGUAGES, "any"}
    for name in names:
        for key, lines in tomllib.loads((folder / f"{name}.toml").read_text("utf-8")).items():
            patterns = [line for line in lines.split("\n") if line]
            assert len(set(patterns)) == len(patterns), (name, key)
            for pattern in patterns:
                plain = re.sub(r"\\[A-Z]", "", pattern)
                assert normalised(plain) == plain, (name, pattern)
                re.compile(pattern)
