"""The offline writer: deterministic, complete, and unmoved by what product names hold."""

import re
from dataclasses import replace
from datetime import date

import pytest

from persona_assets.copywriting import offline, phrasebook
from persona_assets.copywriting.brief import LIFECYCLES
from persona_assets.copywriting.display import display_product
from persona_assets.copywriting.gates import Gates
from persona_assets.copywriting.money import Budget
from persona_assets.copywriting.offline import OfflineWriter, compose

from .samples import HOME, LANGUAGES, OWN, POPULAR, brief, hash_for

ATTACKS = (
    "{product} {0} {x!r}",
    "{{ 7*7 }} {% raw %}",
    "<script>alert(1)</script>",
    "Two\r\nlines\u2028here",
    "\u202eesrever\u202c \x00\x1b[31m",
    "“Quoted” «name» \"it's\"",
    "W" * 500,
    "many words " * 50,
    "[Your Name]",
    "\ud800 half",
)

# Names as shops have them, with prices, percents, numbers and quotation marks.
AS_SOLD = (
    "Allegra K Women's 50% Cotton Dress",
    'Levi\'s 501 "Original" Jeans 32x34',
    "Gift Set $19.99 SALE (2-Pack)",
    "Free People Women's Slouchy Sweater",
    "7 For All Mankind Women's \"Josefina\" Jean",
)


GATES = Gates(
    ("Recent high-value regulars", "Prospects", "Dormant low-value one-timers"),
    (*OWN, *POPULAR),
    near_duplicates=False,
)


def write_all(briefs):
    kept = []
    assert sum(OfflineWriter().write(briefs, lambda _, draft: kept.append(draft), Budget())) == len(
        kept
    )
    return kept


def write(a_brief):
    (draft,) = write_all([a_brief])
    return draft


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_every_variant_passes_the_gates_in_every_situation(language, lifecycle):
    for variant in range(4):
        for rest in range(4):
            for own, popular, territory, month, event in (
                (OWN, POPULAR, HOME[language], date(2024, 4, 1), "cart"),
                (OWN[:1], POPULAR[:1], None, None, None),
                ((), (), HOME[language], date(2023, 8, 1), "cart"),
                (("W" * 30,), ("W" * 30,), HOME[language], date(2023, 10, 1), None),
                (AS_SOLD[:3], AS_SOLD[3:], HOME[language], date(2022, 12, 1), "cart"),
            ):
                a_brief = brief(
                    language,
                    lifecycle,
                    prompt_hash=hash_for(variant, rest * (1 + 4 + 16)),
                    total_orders=4 + variant * 7,
                    top_products_user=own,
                    top_products_country=popular,
                    territory=territory,
                    last_order_month=month,
                    last_event=event,
                )
                draft = write(a_brief)
                assert GATES.problems(draft, a_brief) == ()
                assert len(draft.subject) <= 50
                assert not re.search(r"[{}]", draft.subject + draft.preheader + draft.body)
                assert "None" not in draft.body
                assert "" not in draft.body.split("\n\n")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_different_hashes_choose_every_variant(language, lifecycle):
    drafts = [write(brief(language, lifecycle, prompt_hash=hash_for(i))) for i in range(4)]
    assert len({draft.preheader for draft in drafts}) == 4
    assert len({draft.body for draft in drafts}) == 4


def test_the_same_hash_gives_the_same_text_from_another_writer():
    assert write(brief(prompt_hash="ab" * 32)) == write(brief(prompt_hash="ab" * 32))


def test_choices_are_independent_of_each_other():
    bodies = {compose(brief(prompt_hash=format(i, "x")))[2] for i in range(4 * 4 * 4)}
    assert len(bodies) == 4 * 4 * 4


def test_drafts_carry_their_briefs_in_order_and_cost_nothing():
    briefs = [brief(prompt_hash=format(i, "064x")) for i in range(5)]
    drafts = write_all(briefs)
    assert [draft.prompt_hash for draft in drafts] == [b.prompt_hash for b in briefs]
    assert {(d.input_tokens, d.output_tokens, d.cost_usd, d.attempt) for d in drafts} == {
        (0, 0, 0.0, 1)
    }


def test_the_writer_name_follows_the_phrases(monkeypatch):
    before = OfflineWriter().name
    assert re.fullmatch(r"offline:[0-9a-f]{8}", before)
    source = phrasebook.source
    monkeypatch.setattr(phrasebook, "source", lambda language: source(language) + "\n# changed")
    assert offline._fingerprint.__wrapped__() != before.removeprefix("offline:")


def test_the_body_tells_own_products_then_cart_then_popular_ones():
    body = write(brief(last_event="cart")).body.split("\n\n")
    assert len(body) == 5
    assert all(name in body[1] for name in OWN)
    assert body[2] in phrasebook.load("en").cart
    assert "in the United States" in body[3] and POPULAR[0] in body[3]


def test_what_the_customer_has_is_not_recommended():
    body = write(brief(top_products_country=("indigo  jacket", "Linen Shirt"))).body
    assert "indigo" not in body
    assert "“Linen Shirt”" in body


def test_a_prospect_is_told_of_popular_products_only():
    draft = write(brief(lifecycle="prospect", prompt_hash=hash_for(0)))
    assert POPULAR[0] in draft.subject
    assert not any(name in draft.subject + draft.body for name in OWN)


def test_lapsed_customers_get_other_words_than_recent_ones():
    book = phrasebook.load("en")
    own = [write(brief(lifecycle=lc)).body.split("\n\n")[1] for lc in ("active", "long_gone")]
    starts = [book.own[key][0].split("{")[0] for key in ("recent_many", "lapsed_many")]
    assert [text.startswith(start) for text, start in zip(own, starts, strict=True)] == [True] * 2


def test_a_product_that_would_not_fit_the_subject_stays_out_of_it():
    fits = brief(lifecycle="slipping_away", prompt_hash=hash_for(1))
    assert write(fits).subject == "Still enjoying “Indigo Jacket”?"
    bare = write(replace(fits, top_products_user=("W" * 34,))).subject
    assert bare == f"Still enjoying {'W' * 34}?" and len(bare) == 50
    plain = write(replace(fits, top_products_user=("W" * 35,))).subject
    assert plain == "A friendly hello from us"


def test_a_country_without_a_safe_phrase_is_not_named():
    assert "Côte" not in write(brief("fr", territory="ZW")).body
    assert "Zimbabwe" not in write(brief("fr", territory="ZW")).body
    assert "in Zimbabwe" in write(brief("en", territory="ZW")).body
    unlocated = write(brief("en", territory=None)).body
    assert write(brief("en", territory="ZZZ")).body == unlocated


@pytest.mark.parametrize(
    ("language", "count", "category"),
    [
        ("en", 1, "one"),
        ("en", 2, "other"),
        ("ar", 1, "one"),
        ("ar", 2, "two"),
        ("ar", 3, "few"),
        ("ar", 11, "many"),
        ("ar", 100, "other"),
    ],
)
def test_counted_orders_take_the_plural_form_of_the_language(language, count, category):
    template = phrasebook.load(language).orders[category]
    text = offline._orders(language, count)
    before, _, after = template.partition("{count}")
    assert text.startswith(before) and text.endswith(after)
    others = {t for c, t in phrasebook.load(language).orders.items() if c != category}
    assert template not in others


def test_the_order_count_and_month_are_written_the_way_of_the_language():
    assert offline._orders("de", 1234) == "1.234 Bestellungen"
    draft = write(brief("es", "slipping_away"))
    assert "en abril de 2024" in draft.body


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lifecycle", ["prospect", "loyal", "long_gone"])
def test_product_names_that_attack_stay_data(attack, language, lifecycle):
    for variant in range(4):
        a_brief = brief(
            language,
            lifecycle,
            prompt_hash=hash_for(variant),
            top_products_user=(attack,),
            top_products_country=("II " + attack, "Linen Shirt"),
        )
        draft = write(a_brief)
        assert GATES.problems(draft, a_brief) == ()
        shown = display_product(attack if lifecycle != "prospect" else "II " + attack)
        assert shown in draft.body
        assert len(draft.subject) <= 50
        assert "49" not in draft.body
        invisible = "[\x00-\x09\x0b-\x1f\u2028\u202a-\u202e\ud800]"
        assert not re.search(invisible, draft.body)
        assert not re.search(f"{invisible}|\n", draft.subject)
        draft.body.encode("utf-8")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("  Linen \n Shirt\t", "Linen Shirt"),
        ("Li\u202enen\u200b", "Linen"),
        ("\u200e\u202c \n", None),
        ("", None),
        ("a" * 80, "a" * 80),
        ("a" * 81, "a" * 79 + "…"),
        ("word " * 20, " ".join(["word"] * 16) + "…"),
        ("w" * 70 + ", " + "x" * 20, "w" * 70 + "…"),
        ("ab " + "W" * 100, "ab " + "W" * 76 + "…"),
    ],
)
def test_displayed_product_names_are_one_clean_line_of_at_most_80(name, shown):
    got = display_product(name)
    assert got == shown
    assert got is None or len(got) <= 80


def test_latin_product_names_are_isolated_in_arabic_text_only():
    assert "\u2068Indigo Jacket\u2069" in write(brief("ar")).body
    assert "\u2068" not in write(brief("fr")).body


def test_an_unknown_lifecycle_is_refused():
    with pytest.raises(ValueError, match="unknown lifecycle 'vip'"):
        write(brief(lifecycle="vip"))
