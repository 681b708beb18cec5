"""Prices, estimates and the budget."""

import threading
from datetime import date

import pytest

from persona_assets.copywriting.money import (
    Budget,
    BudgetExceeded,
    Estimate,
    Price,
    Work,
    estimate,
    load_price,
)
from persona_assets.errors import InputError

DAY = date(2026, 11, 1)
FLASH = Price(0.3, 2.5, DAY)


@pytest.mark.parametrize(
    "name", ["gemini-2.5-flash", "models/gemini-2.5-flash", "google/gemini-2.5-flash"]
)
def test_a_price_is_found_by_the_models_name_with_and_without_a_provider(name):
    assert load_price(name) == FLASH


@pytest.mark.parametrize("name", ["gemini-2.5", "gemini-2.5-flash-preview", "GPT", "date", ""])
def test_a_model_of_another_name_has_no_price(name):
    assert load_price(name) is None


def test_ones_own_prices_go_before_the_packaged_ones(tmp_path):
    file = tmp_path / "prices.toml"
    file.write_text(
        'date = 2027-01-31\n["gemini-2.5-flash"]\ninput = 1\noutput = 2.5\n'
        '["org/own"]\ninput = 0\noutput = 0\n'
    )
    assert load_price("google/gemini-2.5-flash", file) == Price(1, 2.5, date(2027, 1, 31))
    assert load_price("org/own", file) == Price(0, 0, date(2027, 1, 31))
    assert load_price("gemini-3.5-flash", file).as_of == DAY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date = ", "no TOML"),
        ('[m]\ninput = 1\noutput = 1', "no date"),
        ('date = "2026-11-01"\n[m]\ninput = 1\noutput = 1', "no date"),
        ("date = 2026-11-01\n[m]\ninput = 1", "input and output for 'm'"),
        ("date = 2026-11-01\n[m]\ninput = -1\noutput = 1", "input and output for 'm'"),
        ("date = 2026-11-01\n[m]\ninput = nan\noutput = 1", "input and output for 'm'"),
        ("date = 2026-11-01\n[m]\ninput = true\noutput = '1'", "input and output for 'm'"),
        ("date = 2026-11-01\nm = 3", "input and output for 'm'"),
    ],
)
def test_prices_that_are_none_are_refused_with_file_and_reason(text, said, tmp_path):
    file = tmp_path / "my-prices.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_price("m", file)
    assert "my-prices.toml" in str(caught.value)


def test_prices_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(InputError, match="PERSONA_PRICES_FILE"):
        load_price("m", tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(InputError, match="no TOML"):
        load_price("m", tmp_path / "latin.toml")


def test_an_estimate_says_calls_tokens_dollars_and_whose_prices():
    found = Estimate(1_234, 560_000, 210_000, 0.693, "gemini-2.5-flash, prices of 2026-11-01")
    assert str(found) == (
        "1,234 calls, about 0.56 M + 0.21 M tokens, about 0.69 USD "
        "(gemini-2.5-flash, prices of 2026-11-01)"
    )
    assert "1 call, about 350 + 200 tokens, about 0.0006 USD" in str(
        Estimate(1, 350, 200, 0.000604, "x")
    )
    assert "price unknown (my-own)" in str(Estimate(1, 1, 1, None, "my-own"))
    assert str(Estimate()) == "no calls of a model"


def test_estimates_add_up_and_an_unknown_price_stays_unknown():
    one, two = Estimate(1, 10, 20, 0.5, "m"), Estimate(2, 30, 40, 0.25, "m")
    assert sum([one, two], Estimate()) == Estimate(3, 40, 60, 0.75, "m")
    assert (one + Estimate(1, 1, 1, None, "m")).cost_usd is None


def test_an_estimate_goes_by_what_was_measured_before():
    new = estimate(Work("en", 100, 70_000), "m", FLASH, 140, 0.2, 150)
    assert new == Estimate(
        100, 28_000, 15_000, FLASH.cost(28_000, 15_000), "m, prices of 2026-11-01"
    )
    seen = estimate(Work("en", 100, 70_000, 0.5, 300.0, 1.1), "m", FLASH, 140, 0.2, 150)
    assert (seen.calls, seen.input_tokens, seen.output_tokens) == (110, 38_500, 33_000)
    assert estimate(Work("en", 1, 1), "m", None, 1, 1, 1).cost_usd is None


def test_a_budget_without_a_limit_counts_all_the_same():
    budget = Budget()
    budget.reserve(1e9)
    budget.settle(1e9, 2.5)
    assert budget.spent == 2.5


def test_a_call_that_could_exceed_the_budget_is_refused_with_what_is_left_to_do():
    budget = Budget(1.0, spent=0.6)
    budget.reserve(0.4)
    budget.settle(0.4, 0.3)
    with pytest.raises(BudgetExceeded) as caught:
        budget.reserve(0.2)
    said = str(caught.value)
    assert "PERSONA_BUDGET_USD is 1:" in said and "0.9000" in said and "0.2000" in said
    assert "is kept" in said and "Run again" in said
    assert caught.value.exit_code == 1
    budget.reserve(0.1)  # what fits is still allowed


def test_a_budget_that_is_too_small_for_one_call_is_not_to_be_tried_again():
    with pytest.raises(BudgetExceeded, match="is 0.001: nothing is spent") as caught:
        Budget(0.001).reserve(0.002)
    assert "Run again" not in str(caught.value) and "Set a higher" in str(caught.value)


def test_a_free_model_needs_no_budget_left():
    budget = Budget(0.0)
    budget.reserve(0.0)
    budget.settle(0.0, 0.0)


def test_a_call_waits_while_others_hold_what_it_could_need():
    budget = Budget(1.0)
    budget.reserve(0.8)
    waiting = threading.Thread(target=budget.reserve, args=(0.5,), daemon=True)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    budget.settle(0.8, 0.1)
    waiting.join(5)
    assert not waiting.is_alive()
    budget.settle(0.5, 0.5)
    assert budget.spent == pytest.approx(0.6)


def test_many_threads_never_hold_more_than_the_budget():
    budget = Budget(10.0)
    held, most, lock, refused = 0.0, 0.0, threading.Lock(), []

    def spend(seed):
        nonlocal held, most
        for step in range(200):
            worst = (seed * 31 + step * 17) % 10 / 100
            try:
                budget.reserve(worst)
            except BudgetExceeded:
                refused.append(seed)
                return
            with lock:
                held += worst
                most = max(most, held)
            with lock:
                held -= worst / 2  # half of it stays spent
            budget.settle(worst, worst / 2)

    threads = [threading.Thread(target=spend, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert refused
    assert most <= 10.0 + 1e-9
    assert 9.8 < budget.spent <= 10.0 + 1e-9
