"""The drafts of a model, through the whole graph: paid for once, refused with a reason, traced."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pytest

from persona_assets import run, trace
from persona_assets.assets.emails import estimate_work
from persona_assets.copywriting.writer import ATTEMPTS
from persona_assets.definitions import build_defs
from persona_assets.errors import PersonaError
from persona_assets.settings import Settings
from persona_assets.warehouse import DuckDBWarehouse

from .chat_server import Answer, Call, chat_server
from .english import write_english
from .test_graph import changed_source

CUSTOMERS = 12
PRICES = 'date = 2026-11-01\n["some-model"]\ninput = 1.0\noutput = 10.0\n'
USAGE = {"prompt_tokens": 400, "completion_tokens": 200, "total_tokens": 600}
THINGS = (
    "linen shirt, cotton dress, warm coat, soft scarf, winter jacket, summer skirt, wool sweater, "
    "grey belt, leather boots, silk blouse, denim trousers, straw hat, velvet blazer, rain cape, "
    "canvas bag, knitted cardigan, striped top, long gown, light vest, suede gloves, corduroy suit"
).split(", ")
BEGUN = (
    "The {} came in this week", "If your wardrobe could talk, it would ask for a {}",
    "Some days simply want a {}", "We hung the {} by the window where the evening sun falls",
    "Nobody needs another {}, of course", "A {} is for slow mornings, we think",
    "Do you remember your very first {}", "Travelling light means a {} in the suitcase",
    "Our tailor says that a {} should be worn often", "Look at the seams of the {} when you come",
    "Grandmothers were right about the {}", "Friends asked us whether we would keep the {}",
    "Quiet colours suit the {}", "Rain or shine, there is always a place for a {}",
)  # fmt: skip
ENDED = (
    "and next to the {} it looks as if it had always been there",
    "while the {} waits for its turn on the other side of the room",
    "but who could walk past a {} like this one",
    "because nothing goes so well with a {} on a Sunday",
    "though we would understand if the {} won your heart instead",
    "so we put it together with a {} and liked what we saw",
    "just as the {} belongs to long conversations at the kitchen table",
    "unless you prefer the {}, which our youngest colleague cannot stop wearing",
    "until you have tried it on with the {} and turned around once",
    "as everybody knows who has ever danced in a {}",
    "even more so when there is a {} under it",
    "like the {} in that old film whose name we keep forgetting",
    "whenever the {} is still drying on the line",
    "and the {} may stay at home for once",
)


def letter(call: Call) -> dict[str, str]:
    """An English e-mail of its own for each prompt and each time it is asked for."""
    chance = random.Random(call.prompt)
    halves = zip(chance.sample(BEGUN, 5), chance.sample(ENDED, 5), strict=True)
    lines = [f"{', '.join(half)}.".format(*chance.sample(THINGS, 2)) for half in halves]
    return {
        "subject": f"A {chance.choice(THINGS)} for you",
        "preheader": f"And perhaps a {chance.choice(THINGS)} as well, if you like.",
        "body": "\n\n".join(" ".join(lines[place : place + 2]) for place in (0, 2, 4)),
    }


def accepted(call: Call, number: int) -> Answer:
    return Answer(json.dumps(letter(call)), usage=USAGE)


@pytest.fixture
def chat_home(home, tmp_path):
    """The finished home, with a model for the next run: its URL is to be set."""
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES, encoding="utf-8")
    return home.model_copy(
        update={"writer": "chat", "model": "some-model", "prices_file": prices, "concurrency": 4}
    )


def write(
    settings: Settings, url: str, customers: int = CUSTOMERS, before: Sequence[str] = (), **changes
) -> SimpleNamespace:
    """Materialize the English e-mails, after the assets `before` them; what was shown of them."""
    asked = settings.model_copy(update={"openai_base_url": url, **changes})
    return write_english(build_defs(asked), customers, before)


def rows(settings: Settings, query: str, *parameters) -> list[tuple]:
    with closing(duckdb.connect(settings.warehouse_file)) as connection:
        return connection.execute(query, parameters).fetchall()


def chat_emails(settings: Settings) -> int:
    return rows(settings, "SELECT COUNT(*) FROM persona.emails WHERE writer LIKE 'chat:%'")[0][0]


def by_prompt(server) -> Counter:
    return Counter(call.prompt for call in server.calls)


def test_every_prompt_is_paid_for_once_and_an_unchanged_one_never_again(chat_home):
    with chat_server(accepted) as server:
        first = write(chat_home, server.url)
        assert set(by_prompt(server).values()) == {1}
        assert (first.published, first.drafts_written) == (CUSTOMERS, len(server.calls))
        assert first.cost_usd == pytest.approx(len(server.calls) * (400 * 1 + 200 * 10) / 1e6)
        asked = len(server.calls)
        again = write(chat_home, server.url)
    assert (len(server.calls), again.drafts_written, again.cost_usd) == (asked, 0, 0.0)
    assert chat_emails(chat_home) == CUSTOMERS


def test_customers_with_the_same_prompt_share_one_call(home, chat_home):
    everyone = rows(
        home, "SELECT COUNT(*), COUNT(DISTINCT prompt_hash) FROM persona.emails "
        "WHERE language = 'en'"
    )[0]  # fmt: skip
    with chat_server(accepted) as server:
        summary = write(chat_home, server.url, customers=10_000)
    asked = {call.prompt for call in server.calls if "An earlier draft" not in call.prompt}
    assert (summary.published, len(asked)) == everyone
    assert set(by_prompt(server).values()) == {1}
    assert everyone[0] > everyone[1]


def test_a_change_of_one_customer_is_one_call(chat_home, tmp_path):
    with chat_server(accepted) as server:
        write(chat_home, server.url)
        (customer,) = rows(
            chat_home,
            "SELECT MIN(user_id) FROM persona.emails e JOIN persona.parametric p USING (user_id) "
            "WHERE e.writer LIKE 'chat:%' AND coalesce(p.last_event, '') <> 'cart'",
        )[0]

        def one_more_event(events):
            newest = events.sort_by([("created_at", "descending")]).slice(0, 1).to_pylist()[0]
            newest |= {"id": max(events["id"].to_pylist()) + 1, "user_id": customer}
            newest |= {"event_type": "cart"}
            return pa.concat_tables([events, pa.Table.from_pylist([newest], schema=events.schema)])

        source = changed_source(chat_home, tmp_path, "events", one_more_event)
        asked = len(server.calls)
        everything = ["users", "orders", "order_items", "products", "events", "parametric",
                      "final_prompts"]
        write(chat_home, server.url, before=everything, source=source)
    assert len(server.calls) == asked + 1
    assert "newest event on the site: cart" in server.calls[-1].prompt


def test_a_refused_draft_is_asked_for_again_with_the_reason_and_the_trace_tells(chat_home):
    def second_time(call: Call, number: int) -> Answer:
        parts = letter(call)
        if "refused" not in call.prompt:
            parts["body"] += "\n\nDear [Your Name], take 20% off everything today."
        return Answer(json.dumps(parts), usage=USAGE)

    with chat_server(second_time) as server:
        summary = write(chat_home, server.url, customers=2)
    assert (summary.published, summary.drafts_refused) == (2, len(server.calls) / 2)
    (customer,) = rows(chat_home, "SELECT MIN(user_id) FROM persona.emails WHERE attempt = 2")[0]
    found = trace.trace(DuckDBWarehouse(chat_home.warehouse_file), [customer], chat_home)[0]
    drafts = [draft for draft in found["drafts"] if draft["writer"].startswith("chat:")]
    assert [(d["attempt"], d["status"], d["used"]) for d in drafts] == [
        (1, "rejected", False),
        (2, "accepted", True),
    ]
    assert any(problem.startswith("placeholder") for problem in drafts[0]["problems"])
    assert "[Your Name]" not in found["email"]["marketing_email"]
    told = trace.as_text(found)
    assert "attempt 2 of chat:some-model" in told and "refused for placeholder" in told
    assert "0.002400 USD" in told


@pytest.mark.parametrize("refused", ["offline", "leave_out"])
def test_after_three_refusals_the_templates_write_or_nobody(chat_home, refused):
    def never(call: Call, number: int) -> Answer:
        return Answer("I am sorry, I cannot.", usage=USAGE)

    with chat_server(never) as server:
        summary = write(chat_home, server.url, customers=3, refused=refused)
        assert set(Counter(call.prompt.split("\n\nAn earlier")[0] for call in server.calls)
                   .values()) == {ATTEMPTS}  # fmt: skip
        asked = len(server.calls)
        write(chat_home, server.url, customers=3, refused=refused)
    assert len(server.calls) == asked
    templates, out = (3, 0) if refused == "offline" else (0, 3)
    assert (summary.from_templates, summary.left_out) == (templates, out)
    assert summary.published == templates
    assert summary.drafts_refused == asked


def test_the_budget_stops_before_it_is_exceeded_and_a_later_run_goes_on(chat_home):
    one = (400 * 1 + 200 * 10) / 1e6
    with chat_server(accepted) as server:
        with pytest.raises(PersonaError, match="PERSONA_BUDGET_USD") as stopped:
            write(chat_home, server.url, customers=40, budget_usd=0.06, max_output_tokens=500)
        first = len(server.calls)
        assert stopped.value.exit_code == 1
        assert 0 < first * one <= 0.06
        (kept,) = rows(chat_home, "SELECT COUNT(*) FROM persona.drafts WHERE writer LIKE 'chat:%'")
        assert kept == (first,)
        assert chat_emails(chat_home) == 0
        summary = write(chat_home, server.url, customers=40, max_output_tokens=500)
    assert set(by_prompt(server).values()) == {1}
    assert summary.drafts_written == len(server.calls) - first
    assert chat_emails(chat_home) == 40


def test_languages_of_one_run_share_the_budget(chat_home):
    asked = chat_home.model_copy(update={"budget_usd": 0.08, "max_output_tokens": 500})
    with chat_server(accepted) as server:
        asked = asked.model_copy(update={"openai_base_url": server.url})
        with pytest.raises(PersonaError, match="PERSONA_BUDGET_USD"):
            run.run(asked, ["en", "de", "fr"], 60)
    assert len(server.calls) * (400 * 1 + 200 * 10) / 1e6 <= 0.08


def test_a_budget_without_a_price_is_refused(chat_home, tmp_path):
    with pytest.raises(PersonaError, match="PERSONA_PRICES_FILE") as refused:
        write(chat_home, "http://127.0.0.1:9/v1", budget_usd=1, model="another-model")
    assert refused.value.exit_code == 2


def test_suppressed_customers_never_reach_the_model(chat_home, tmp_path):
    user_id, prompt = rows(
        chat_home,
        "SELECT MIN(user_id), prompt FROM persona.final_prompts WHERE language = 'en' "
        "GROUP BY prompt HAVING COUNT(*) = 1 ORDER BY 1 LIMIT 1",
    )[0]
    listed = tmp_path / "list.csv"
    listed.write_text(f"user_id,reason\n{user_id},unsubscribed\n", encoding="utf-8")
    with chat_server(accepted) as server:
        before = ["suppression_list", "final_prompts"]
        write(chat_home, server.url, 10_000, before, suppression_list=listed)
    assert server.calls
    assert prompt not in by_prompt(server)


def test_no_name_and_no_address_reaches_the_model(chat_home):
    with chat_server(accepted) as server:
        write(chat_home, server.url, customers=10_000)
    sent = json.dumps([call.body for call in server.calls])
    known = rows(chat_home, "SELECT email FROM persona.final_prompts")
    assert "@" not in sent
    assert not [email for (email,) in known if email.split("@")[0] in sent]


def test_a_dead_endpoint_is_named_and_changes_nothing(chat_home):
    before = rows(chat_home, "SELECT COUNT(*) FROM persona.emails WHERE language = 'en'")
    with pytest.raises(PersonaError, match=r"some-model at http://127\.0\.0\.1:9/v1"):
        write(chat_home, "http://127.0.0.1:9/v1")
    assert rows(chat_home, "SELECT COUNT(*) FROM persona.emails WHERE language = 'en'") == before


def test_what_failed_for_the_moment_is_asked_for_in_the_next_round(chat_home):
    """Of the requests, a fifth fails, each in its own way; the client's own retries are off."""
    failures = [Answer(status=503, raw=b"{}"), Answer(cut=True), Answer(status=500, raw=b"{}"),
                Answer(status=429, raw=b"{}", headers={"retry-after-ms": "1"})]  # fmt: skip

    def unsteady(call: Call, number: int) -> Answer:
        return accepted(call, number) if number % 5 else failures[number // 5 % len(failures)]

    with chat_server(unsteady) as server:
        summary = write(chat_home, server.url, customers=30)
    assert summary.published == 30
    assert chat_emails(chat_home) == 30
    assert max(by_prompt(server).values()) <= ATTEMPTS


def started(settings: Settings, url: str, *options: str) -> subprocess.Popen:
    """`persona run` in a process of its own."""
    environment = os.environ | {
        "PERSONA_HOME": str(settings.home),
        "PERSONA_SOURCE": str(settings.source),
        "PERSONA_SUPPRESSION_LIST": str(settings.suppression_list),
        "PERSONA_WRITER": "chat",
        "PERSONA_MODEL": "some-model",
        "PERSONA_CONCURRENCY": "4",
        "OPENAI_BASE_URL": url,
    }
    code = "from persona_assets.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", *options],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_killed_run_repeats_at_most_the_requests_under_way(chat_home):
    customers = 40

    def slow(call: Call, number: int) -> Answer:
        answer = accepted(call, number)
        answer.delay = 0.05
        return answer

    with chat_server(slow) as server:
        killed = started(chat_home, server.url, "--language", "en", "--customers", str(customers))
        deadline = time.monotonic() + 120
        while len(server.calls) < 15 and time.monotonic() < deadline:
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert 15 <= len(server.calls) < customers
        summary = write(chat_home, server.url, customers=customers)
    twice = [prompt for prompt, calls in by_prompt(server).items() if calls == 2]
    assert max(by_prompt(server).values()) <= 2
    assert len(twice) <= 4
    assert summary.published == customers
    assert chat_emails(chat_home) == customers


def test_the_estimate_comes_before_anything_is_spent_and_is_near_what_it_cost(chat_home, capfd):
    """The double counts what it reads and writes as a tokenizer would, four characters a token."""

    def counted(call: Call, number: int) -> Answer:
        parts = letter(call)
        read = sum(len(message["content"]) for message in call.body["messages"]) // 4
        wrote = len(json.dumps(parts)) // 4
        return Answer(json.dumps(parts), usage={"prompt_tokens": read, "completion_tokens": wrote})

    with chat_server(counted) as server:
        asked = chat_home.model_copy(update={"openai_base_url": server.url})
        estimate = run.estimate(asked, ["en"], 30)
        assert server.calls == []
        summary = run.run(asked, ["en"], 30)
        told = capfd.readouterr().err
        resources = build_defs(asked).resources
        later = estimate_work(resources["warehouse"], resources["writer"], ["en"], "~")
        rest = write(asked, server.url, 10_000)
    assert f"To write: {estimate}" in told
    assert told.index("To write:") < told.index("emails[en]")
    assert (estimate.calls, later.calls) == (summary.drafts_written, rest.drafts_written)
    assert estimate.cost_usd == pytest.approx(summary.cost_usd, rel=0.15)
    # By now it is known what this model takes.
    assert later.cost_usd == pytest.approx(rest.cost_usd, rel=0.05)


def test_two_runs_of_one_language_write_no_draft_twice(chat_home):
    code = (
        "import dagster as dg\n"
        "from persona_assets.definitions import build_defs\n"
        "job = build_defs().resolve_implicit_global_asset_job_def()\n"
        "with dg.DagsterInstance.ephemeral() as instance:\n"
        "    job.execute_in_process(instance=instance, partition_key='en',\n"
        "                           asset_selection=[dg.AssetKey('emails')])\n"
    )
    with chat_server(accepted) as server:
        environment = os.environ | {
            "PERSONA_HOME": str(chat_home.home), "PERSONA_WRITER": "chat",
            "PERSONA_MODEL": "some-model", "OPENAI_BASE_URL": server.url,
        }  # fmt: skip
        both = [
            subprocess.Popen([sys.executable, "-c", code], env=environment,
                             stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]  # fmt: skip
        said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert set(by_prompt(server).values()) == {1}
    assert not re.search("Traceback", "".join(said))
