"""The definitions: what Dagster loads, from nothing."""

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from persona_assets.assets.tables import OWNERS
from persona_assets.definitions import build_defs
from persona_assets.settings import load_settings
from persona_assets.warehouse import read_query

ROOT = Path(__file__).parents[1]
SNAPSHOT = Path(__file__).with_name("asset_specs.json")

_OFFLINE = """
import socket

def refuse(*args, **kwargs):
    raise AssertionError("the network was touched")

socket.socket.connect = refuse
from persona_assets.definitions import defs
print(len(list(defs.resolve_all_asset_keys())))
"""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(load_settings())


def spec_of(definitions: dg.Definitions) -> dict[str, dict]:
    """What a person sees of every asset in the graph, and which checks it has."""
    graph = definitions.resolve_asset_graph()
    checks: dict[str, list[str]] = {}
    for key in graph.asset_check_keys:
        checks.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    found = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        partitions = node.partitions_def
        found[key.to_user_string()] = {
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "group": node.group_name,
            "owners": sorted(node.owners),
            "kinds": sorted(node.kinds),
            "tags": sorted(tag for tag in node.tags if not tag.startswith("dagster/kind/")),
            "pools": sorted(node.pools or ()),
            "days_until_old": _days(node.freshness_policy),
            "made_by_itself": node.automation_condition is not None,
            "partitions": partitions.get_partition_keys() if partitions else None,
            "checks": sorted(checks.get(key.to_user_string(), [])),
        }
    return found


def _days(policy: dg.FreshnessPolicy) -> list[int]:
    return [policy.warn_window.to_timedelta().days, policy.fail_window.to_timedelta().days]


def test_the_graph_is_the_one_in_the_snapshot(definitions):
    # After a wanted change: python -m persona_assets_tests.test_definitions
    assert spec_of(definitions) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_definitions_load_without_settings_network_or_traces_on_disk(tmp_path):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PERSONA_", "DAGSTER_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", _OFFLINE],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(json.loads(SNAPSHOT.read_text(encoding="utf-8")))
    assert list(tmp_path.iterdir()) == []


def test_every_asset_says_what_it_is_and_whose_it_is(definitions):
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.group_name in OWNERS, key
        assert node.owners == OWNERS[node.group_name], key
        assert node.kinds, key
        assert node.code_version, key


def test_every_table_declares_its_columns_with_their_meaning(definitions):
    graph = definitions.resolve_asset_graph()
    tables = [graph.get(key) for key in graph.get_all_asset_keys()]
    tables = [node for node in tables if "table" in node.kinds]
    assert len(tables) == 14
    for node in tables:
        schema = node.metadata["dagster/column_schema"]
        assert schema.columns
        assert all(column.description for column in schema.columns), node.key


def test_the_code_version_of_a_table_changes_with_its_sql(definitions):
    graph = definitions.resolve_asset_graph()
    node = graph.get(dg.AssetKey("parametric"))
    assert node.code_version.endswith(read_query("parametric").version)


def test_setup_cfg_lists_every_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = set(config["options"]["packages"].split())
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for file in (ROOT / "persona_assets").rglob("__init__.py")
    }
    assert listed == found | {"persona_assets.sql"}


if __name__ == "__main__":
    specs = json.dumps(spec_of(build_defs(load_settings())), indent=1)
    SNAPSHOT.write_text(specs + "\n", encoding="utf-8")
