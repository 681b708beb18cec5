"""A finished home with a source of its own, its Dagster instance, and daemons on it."""

import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget

from persona_assets.settings import Settings

from .work import Daemon

_LOCATION = InProcessCodeLocationOrigin(
    LoadableTargetOrigin(
        executable_path=sys.executable,
        module_name="persona_assets_tests.automation.code_location",
        attribute="defs",
    ),
    location_name="persona_assets",
)
_LAUNCHER = {"module": "persona_assets_tests.automation.code_location", "class": "HereLauncher"}


@pytest.fixture
def shop_home(home: Settings, tmp_path: Path) -> Settings:
    """The finished home with a source of its own, to change at will."""
    shutil.copytree(home.source, tmp_path / "shop")  # the files keep the moment of their change
    return home.model_copy(update={"source": tmp_path / "shop"})


@pytest.fixture
def instance(shop_home: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The home's own instance; its queue launches in this process."""
    config = shop_home.dagster_home / "dagster.yaml"
    written = yaml.safe_load(config.read_text(encoding="utf-8"))
    config.write_text(yaml.safe_dump(written | {"run_launcher": _LAUNCHER}), encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(shop_home.dagster_home))
    with dg.DagsterInstance.get() as found:
        yield found


@pytest.fixture
def watch(
    shop_home: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Daemon]]:
    """Start a daemon that watches the home's source; again, for a restart."""
    monkeypatch.setenv("PERSONA_HOME", str(shop_home.home))
    monkeypatch.setenv("PERSONA_SOURCE", str(shop_home.source))
    monkeypatch.setenv("PERSONA_SUPPRESSION_LIST", str(shop_home.suppression_list))
    open_contexts = []

    def start() -> Daemon:
        context = WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(_LOCATION))
        open_contexts.append(context)
        later = datetime.now(UTC) + timedelta(hours=len(open_contexts))
        return Daemon(context.__enter__(), "source_changed", later)

    yield start
    for context in open_contexts:
        context.__exit__(None, None, None)
