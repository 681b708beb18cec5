"""The definitions as a daemon loads them, anew from the settings in the environment, and a launcher
that runs them in this process."""

from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from persona_assets.definitions import build_defs
from persona_assets.settings import load_settings


@dg.definitions
def defs() -> dg.Definitions:
    return build_defs(load_settings())


class HereLauncher(RunLauncher, ConfigurableClass):
    """Runs a run of a whole job at once."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data, config_value) -> "HereLauncher":
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        job = build_defs(load_settings()).resolve_job_def(run.job_name)
        execute_run(InMemoryJob(job), run, self._instance)

    def terminate(self, run_id: str) -> bool:
        return False
