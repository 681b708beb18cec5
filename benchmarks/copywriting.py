"""How fast e-mails are written: a model's beside the ideal and the usual way, and the templates'.

A server in a process of its own answers each request after 100 ms; 32 requests may be under way.
The ideal is 320 e-mails a second: no time lost between an answer and the next request. Each draft
costs a millisecond of computing, for the gates, and a line in the journal. The usual way: the
openai client's chat.completions.create in a pool of 32 threads, with the same work per draft.

The templates: 70,000 offline e-mails of the sample shop, written, gated and published, against
10,000 of them, each in a process of its own: time without imports and checks, and peak memory.

The gates: 24,000 made-up drafts in English, no two alike, against 12,000, likewise; seconds are
those of one core.
Prints a table and adds to bench.json in the home.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import openai
from figures import figures, peak_mb

from persona_assets.copywriting.asking import SCHEMA, SYSTEM
from persona_assets.copywriting.brief import Brief, Draft
from persona_assets.copywriting.chat import ChatModel
from persona_assets.copywriting.chat_writer import ChatWriter
from persona_assets.copywriting.gates import Gates
from persona_assets.copywriting.journal import Journal
from persona_assets.copywriting.money import Budget
from persona_assets.definitions import build_defs
from persona_assets.languages import LANGUAGES
from persona_assets.run import estimate
from persona_assets.settings import load_settings, prepare_home

CONCURRENCY = 32
SECONDS = 0.1
GATES_SECONDS = 0.001
EMAILS, FEW = 70_000, 10_000
DRAFTS = 24_000  # the caches of lines are full after half of them
WORDS = (
    "we thought you might like to know that the new colours have arrived in our shop and they are "
    "waiting for you there is something soft and warm which goes well with what you already have "
    "take a moment look around when it suits you come back soon our people picked these pieces "
    "with care because good clothes last for many years and feel right every single day of autumn "
    "winter spring summer morning evening weekend walk garden city friends family home travel"
).split()
WARM_UP = 2 * CONCURRENCY
REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emails", type=int, default=3_200)
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many counts")
    parser.add_argument("--publish", nargs=2, metavar=("HOME", "N"), help=argparse.SUPPRESS)
    parser.add_argument("--gate", type=int, metavar="N", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.gate:
        return print(json.dumps(_gate(arguments.gate)))
    if arguments.publish:
        home, customers = arguments.publish
        return print(json.dumps(_publish(Path(home), int(customers))))
    ideal = CONCURRENCY / SECONDS
    ways = {"chat_writer": _chat_writer, "usual_way": _usual_way}
    best = dict.fromkeys(ways, 0.0)
    with tempfile.TemporaryDirectory(prefix="persona-bench-") as folder, _server() as url:
        for _ in range(arguments.repeats):
            for name, way in ways.items():
                with Journal.open(Path(folder) / name, 1) as journal:
                    rate = way(url, journal, arguments.emails)
                best[name] = max(best[name], rate)
                print(f"  {name}: {rate:.1f} e-mails a second", file=sys.stderr, flush=True)
    with figures() as report:
        for name, rate in best.items():
            report(f"{name}_throughput", 100 * rate / ideal, "% of ideal", rate, ideal)
        _templates(report)
        _gates(report)


def _templates(report: Callable[..., None]) -> None:
    with tempfile.TemporaryDirectory(prefix="persona-bench-") as folder:
        home = Path(folder) / "home"
        settings = load_settings(home=home, sample_customers=round(EMAILS * 1.02))
        prepare_home(settings)
        estimate(settings, [*LANGUAGES], None)
        found = {}
        for customers in (FEW, EMAILS):
            shutil.copytree(home, Path(folder) / str(customers))
            done = subprocess.run(
                [sys.executable, __file__, "--publish", f"{folder}/{customers}", f"{customers}"],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            found[customers] = json.loads(done.stdout)
    few, all_ = found[FEW], found[EMAILS]
    report("offline_emails_per_second", all_["emails"] / all_["seconds"], "e-mails/s")
    report("offline_peak_memory_growth", all_["peak_mb"] / few["peak_mb"], "times",
           all_["peak_mb"], few["peak_mb"])  # fmt: skip


def _publish(home: Path, customers: int) -> dict[str, float]:
    """Materialize the e-mails of every language, without their checks. Linux only."""
    job = build_defs(
        load_settings(home=home, sample_customers=round(EMAILS * 1.02))
    ).resolve_implicit_global_asset_job_def()
    config = {
        "ops": {"emails": {"config": {"customers": customers}}},
        "loggers": {"progress": {}},
    }
    emails, seconds = 0, 0.0
    with dg.DagsterInstance.ephemeral() as instance:
        for language in LANGUAGES:
            done = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey("emails")],
                partition_key=language,
                run_config=config,
            )
            (made,) = done.get_asset_materialization_events()
            metadata = made.step_materialization_data.materialization.metadata
            emails += metadata["dagster/partition_row_count"].value
            seconds += sum(
                event.step_success_data.duration_ms / 1000
                for event in done.all_events
                if event.is_step_success and event.step_key == "emails"
            )
    return {"emails": emails, "seconds": seconds, "peak_mb": peak_mb()}


def _gates(report: Callable[..., None]) -> None:
    found = {}
    for drafts in (DRAFTS // 2, DRAFTS):
        done = subprocess.run(
            [sys.executable, __file__, "--gate", f"{drafts}"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        found[drafts] = json.loads(done.stdout)
    few, all_ = found[DRAFTS // 2], found[DRAFTS]
    report("gated_drafts_per_second", DRAFTS / all_["seconds"], "drafts/s")
    report("gates_peak_memory_growth", all_["peak_mb"] / few["peak_mb"], "times",
           all_["peak_mb"], few["peak_mb"])  # fmt: skip


def _gate(drafts: int) -> dict[str, float]:
    """Gate so many drafts of a model that repeats nothing. Linux only."""
    draw = random.Random(7)
    gates = Gates(["Loyal regulars"], [f"Linen Shirt No {chr(97 + n % 26)}" for n in range(5_000)])
    accepted, seconds = 0, 0.0
    for number in range(drafts):
        words = draw.choices(WORDS, k=110)
        lines = [" ".join(words[at : at + 12]).capitalize() + "." for at in range(12, 108, 12)]
        draft = Draft(
            prompt_hash=f"{number:064x}", writer="made up", attempt=1,
            subject=" ".join(words[:5]).capitalize(), preheader=" ".join(words[5:12]),
            body="\n\n".join(f"{a} {b}" for a, b in zip(lines[::2], lines[1::2], strict=True)),
        )  # fmt: skip
        brief = _brief(number)
        start = time.process_time()
        accepted += not gates.problems(draft, brief)
        seconds += time.process_time() - start
    # Cheap gates spare the costly ones, so most have to pass for the figure to mean something.
    assert accepted > 0.9 * drafts, accepted
    return {"seconds": seconds, "peak_mb": peak_mb()}


def _chat_writer(url: str, journal: Journal, emails: int) -> float:
    writer = ChatWriter(ChatModel(url, "none", "some-model"), None, 0.7, 1_000, CONCURRENCY)
    keep = _keep(journal)

    def write(first: int, count: int) -> None:
        briefs = (_brief(number) for number in range(first, first + count))
        assert sum(writer.write(briefs, keep, Budget())) == count

    return _rate(write, emails)


def _usual_way(url: str, journal: Journal, emails: int) -> float:
    client = openai.OpenAI(base_url=url, api_key="none")
    keep = _keep(journal)
    described = {"name": "email", "schema": SCHEMA, "strict": True}

    def one(number: int) -> None:
        brief = _brief(number)
        answer = client.chat.completions.create(
            model="some-model",
            messages=[
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": brief.prompt},
            ],
            temperature=0.7,
            max_tokens=1_000,
            response_format={"type": "json_schema", "json_schema": described},
        )
        parts = json.loads(answer.choices[0].message.content)
        keep(brief, Draft(brief.prompt_hash, "usual", 1, **parts))

    def write(first: int, count: int) -> None:
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            assert len([*pool.map(one, range(first, first + count))]) == count

    return _rate(write, emails)


def _rate(write: Callable[[int, int], None], emails: int) -> float:
    """E-mails a second, when the connections are open."""
    write(0, WARM_UP)
    start = time.perf_counter()
    write(WARM_UP, emails)
    return emails / (time.perf_counter() - start)


def _keep(journal: Journal) -> Callable[[Brief, Draft], None]:
    def keep(brief: Brief, draft: Draft) -> None:
        end = time.thread_time() + GATES_SECONDS
        while time.thread_time() < end:
            pass
        journal.add(asdict(draft))

    return keep


def _brief(number: int) -> Brief:
    prompt = f"Write one short, friendly marketing e-mail to customer {number}. " + "data " * 180
    return Brief(
        prompt_hash=f"{number:064x}", prompt=prompt, language="en", lifecycle="active",
        territory="US", total_orders=3, avg_basket=50, order_interval_months=4,
        last_order_month=None, last_event=None, top_products_user=(), top_products_country=(),
    )  # fmt: skip


@contextmanager
def _server() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "persona_assets_tests.chat_server", str(SECONDS)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield server.stdout.readline().strip()
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
