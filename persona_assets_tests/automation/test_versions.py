"""Data and code versions: what the Dagster UI marks as stale, and why."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.test_utils import BasicLoadingContext

from persona_assets.definitions import build_defs
from persona_assets.languages import LANGUAGES
from persona_assets.settings import Settings

from .work import LOADED, change, materialize, one_more_event

ROOT = Path(__file__).parents[2]
BY_LANGUAGE = ("prompts_by_language", "emails")
# Prints the code versions after each edit of a copy of the package.
_CODE_VERSIONS = """
import json, sys, warnings
from pathlib import Path

def versions():
    for name in [*sys.modules]:
        if name.startswith("persona_assets"):
            del sys.modules[name]
    from persona_assets.definitions import defs
    graph = defs.resolve_asset_graph()
    return {key.to_user_string(): graph.get(key).code_version for key in graph.get_all_asset_keys()}

before, changed = versions(), {}
for file in sys.argv[1:]:
    text = Path(file).read_text(encoding="utf-8")
    more = "\\n-- edited\\n" if file.endswith(".sql") else "\\n# edited\\n"
    Path(file).write_text(text + more, encoding="utf-8")
    after = versions()
    Path(file).write_text(text, encoding="utf-8")
    changed[file] = sorted(name for name in after if after[name] != before[name])
print(json.dumps(changed))
"""


def stale(settings: Settings, instance: dg.DagsterInstance) -> dict[str, str]:
    """Why, by asset or asset[language], of what the UI would mark."""
    graph = build_defs(settings).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, BasicLoadingContext(instance))
    found = {}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        partitions = node.partitions_def.get_partition_keys() if node.partitions_def else [None]
        for partition in partitions:
            if resolver.get_status(key, partition) is not StaleStatus.FRESH:
                name = key.to_user_string() + (f"[{partition}]" if partition else "")
                causes = resolver.get_stale_causes(key, partition)
                found[name] = "; ".join(cause.reason for cause in causes) or "missing"
    return found


def test_what_a_run_has_made_is_fresh(shop_home, instance):
    assert stale(shop_home, instance) == {}


def test_what_is_made_again_from_the_same_has_the_same_version(shop_home, instance):
    def versions():
        keys = sorted(build_defs(shop_home).resolve_all_asset_keys())
        found = {}
        for key in keys:
            record = instance.fetch_materializations(key, limit=1).records[0]
            found[key.to_user_string()] = record.asset_materialization.tags["dagster/data_version"]
        return found

    before = versions()
    tables = [name for name in before if name not in (*BY_LANGUAGE, "emails_report")]
    materialize(shop_home, instance, tables)
    materialize(shop_home, instance, [*BY_LANGUAGE], "zh")  # the last one that was made
    assert {name: version for name, version in versions().items() if version != before[name]} == {}


def test_a_change_of_data_marks_what_is_made_from_it_and_no_language_but_its_own(
    shop_home, instance
):
    one_more_event(shop_home, "fr")
    materialize(shop_home, instance, LOADED)
    assert stale(shop_home, instance) == {"parametric": "has a new dependency data version"}
    materialize(shop_home, instance, ["parametric", "customer_segments", "final_prompts"])
    marked = stale(shop_home, instance)
    assert {name for name in marked if name.startswith("prompts_by")} == {
        f"prompts_by_language[{language}]" for language in LANGUAGES
    }
    for language in LANGUAGES:
        materialize(shop_home, instance, ["prompts_by_language"], language)
    assert {name for name in stale(shop_home, instance) if "emails[" in name} == {"emails[fr]"}
    materialize(shop_home, instance, ["emails"], "fr")
    assert not {name for name in stale(shop_home, instance) if "[" in name}


def test_a_file_that_says_the_same_in_another_order_marks_nothing(shop_home, instance):
    change(shop_home, "orders", lambda orders: orders.sort_by([("order_id", "descending")]))
    materialize(shop_home, instance, LOADED)
    assert stale(shop_home, instance) == {}


def test_another_model_marks_the_emails_and_nothing_else(shop_home, instance):
    asked = shop_home.model_copy(update={"writer": "chat", "model": "some-model"})
    assert stale(asked, instance) == {
        f"emails[{language}]": "has a new code version" for language in LANGUAGES
    }


def test_another_sender_marks_the_emails_and_nothing_else(shop_home, instance):
    asked = shop_home.model_copy(update={"postal_address": "2 Other Street"})
    assert {*stale(asked, instance)} == {f"emails[{language}]" for language in LANGUAGES}


def test_who_names_the_segments_marks_the_labels(shop_home, instance, tmp_path):
    asked = shop_home.model_copy(
        update={"labels": "hand_on", "labels_file": tmp_path / "labels.csv"}
    )
    assert {*stale(asked, instance)} == {"segment_labels"}


def test_a_change_of_sql_or_of_a_template_is_a_new_code_version_of_what_it_makes(tmp_path):
    for folder in ("persona_assets", "sql"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "sql")
        )
    made = {
        "sql/parametric.sql": ["parametric"],
        "sql/final_prompts.sql": ["final_prompts"],
        "sql/emails.sql": ["emails"],
        "persona_assets/copywriting/message.py": ["emails"],
        "persona_assets/copywriting/message.html.j2": ["emails_report"],
        "persona_assets/copywriting/phrases/fr.toml": ["emails"],
        "persona_assets/reports/segments.html.j2": ["segments_report"],
        "persona_assets/reports/emails.html.j2": ["emails_report"],
    }
    done = subprocess.run(
        [sys.executable, "-c", _CODE_VERSIONS, *made],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == made
