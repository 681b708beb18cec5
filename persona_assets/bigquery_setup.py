"""What the writer inside BigQuery needs in a project: found, and made where it is missing."""

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from google.api_core import exceptions

from persona_assets.definitions import build_warehouse
from persona_assets.errors import InputError, PersonaError
from persona_assets.settings import Settings
from persona_assets.warehouse.base import OUR_DATASET, SOURCE_DATASET
from persona_assets.warehouse.google import Google
from persona_assets.warehouse.jobs import DISABLED, EMULATOR, answered, reason_of

# The last one answers who has which role.
APIS = tuple(
    f"{name}.googleapis.com"
    for name in ("bigquery", "bigqueryconnection", "aiplatform", "cloudresourcemanager")
)
ROLE = "roles/aiplatform.user"
# Roles take two minutes as a rule, and seven or more at times:
# https://cloud.google.com/iam/docs/access-change-propagation
PATIENCE_SECONDS = 600
# What the model says that is made before its role is in effect, and what the project says of an
# account that has just been made.
_NOT_YET = re.compile(
    r"does not have the permission to access|service account \S+ does not exist", re.IGNORECASE
)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Step:
    """One thing that is needed.

    name: in one word; what: in full; find: what there is of it, None where it is missing; make:
    makes it and says what; command: the same for a shell. find and make raise PersonaError.
    """

    name: str
    what: str
    find: Callable[[], str | None]
    make: Callable[[], str]
    command: Callable[[], str]


@dataclass(frozen=True)
class Clock:
    """How time is told and spent, in seconds."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def from_settings(
    settings: Settings, say: Callable[[str], None] = lambda line: None, **bounds: float
) -> "Setup":
    """The setup of the settings' project. Reaches nothing. Raises InputError where there is
    nothing to set up, or the model is not named."""
    if os.environ.get(EMULATOR):
        raise InputError(
            f"{EMULATOR} is set, and an emulator has no APIs, roles or models to set up: unset it "
            "to set up a project of Google's service."
        )
    warehouse = build_warehouse(settings, **bounds)
    return Setup(settings, warehouse, Google(warehouse.jobs), say)


class Setup:
    """The steps that make a project ready, in their order.

    warehouse: on BigQuery; say: gets a line whenever there is waiting to do.
    """

    def __init__(
        self,
        settings: Settings,
        warehouse: Any,
        google: Google,
        say: Callable[[str], None] = lambda line: None,
        clock: Clock | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        if not settings.model:
            raise InputError(
                "PERSONA_MODEL is not set: name the Gemini model that BigQuery is to call, such as "
                "gemini-2.5-flash."
            )
        self.settings = settings
        self.warehouse = warehouse
        self.google = google
        self.say = say
        self.clock = clock or Clock()
        self.patience_seconds = patience_seconds
        self.project = settings.bigquery_project
        self.location = settings.bigquery_location
        self._path = _path_of_connection(settings)
        self._model = f"{warehouse.place}.{settings.bigquery_model}"

    def steps(self) -> list[Step]:
        return [
            Step("apis", "one of the APIs", self._find_apis, self._make_apis,
                 self._command_for_apis),
            self._dataset_step("dataset", OUR_DATASET),
            self._dataset_step("source", SOURCE_DATASET),
            Step("connection", f"the connection {'.'.join(self._path)}", self._find_connection,
                 self._make_connection, self._command_for_connection),
            Step("role", f"the role {ROLE} of the connection's account", self._find_role,
                 self._make_role, self._command_for_role),
            Step("model", f"the model {self._model} for {self.settings.model}", self._find_model,
                 self._make_model, self._command_for_model),
        ]  # fmt: skip

    def run(self) -> Iterator[str]:
        """Make what is missing, step by step; a line per step that says what was there or was
        made. Raises PersonaError at the first step that fails; running again goes on there."""
        for step in self.steps():
            # Only after the APIs can something be made and not in effect yet.
            do = _at_once if step.make == self._make_apis else self._patiently
            found = do(step.find)
            if found is not None:
                yield f"there  {found}"
            else:
                yield f"made   {do(step.make)}"

    def plan(self) -> Iterator[str]:
        """What `run` would do, as a script for a shell. Changes nothing; what cannot be looked at
        is taken to be missing."""
        reached = True
        for step in self.steps():
            found = None
            if reached:
                try:
                    found = step.find()
                except PersonaError as error:
                    reached = answered(error)
                    yield "\n".join(f"# {line}" for line in str(error).split("\n"))
            yield f"# there: {found}" if found is not None else step.command()

    def _patiently(self, act: Callable[[], _Result]) -> _Result:
        """What `act` gives, asked again while something that was made is not in effect yet."""
        deadline = self.clock.now() + self.patience_seconds
        pause = 2.0
        while True:
            try:
                return act()
            except PersonaError as error:
                if not _is_not_yet(error):
                    raise
                if self.clock.now() + pause > deadline:
                    raise PersonaError(
                        f"{error} It has been like this for {self.patience_seconds:g} seconds: "
                        "what was made stays, so run again in a few minutes."
                    ) from error
                self.say(f"wait   {pause:g} s, for what was made to take effect: {error}")
                self.clock.sleep(pause)
                pause = min(2 * pause, 30)

    def _find_apis(self) -> str | None:
        return None if self.google.disabled_apis(APIS) else f"the APIs {', '.join(APIS)}"

    def _make_apis(self) -> str:
        missing = self.google.disabled_apis(APIS)
        operation = self.google.enable_apis(missing)
        deadline = self.clock.now() + self.patience_seconds
        while not self.google.is_enabled(operation):
            if self.clock.now() > deadline:
                raise PersonaError(
                    f"The APIs {', '.join(missing)} were not enabled within "
                    f"{self.patience_seconds:g} seconds: run again in a few minutes."
                )
            self.clock.sleep(2)
        return f"the APIs {', '.join(missing)}, now enabled"

    def _command_for_apis(self) -> str:
        return f"gcloud services enable {' '.join(APIS)} --project={self.project}"

    def _dataset_step(self, name: str, dataset: str) -> Step:
        place = self.warehouse.place if dataset == OUR_DATASET else self.settings.bigquery_source
        project, called = place.rsplit(".", 1)

        def find() -> str | None:
            if self.warehouse.located(dataset) is None:
                return None
            self.warehouse.ensure_dataset(dataset)
            return f"the {name} {place} in {self.location}"

        def make() -> str:
            if project != self.project:
                raise InputError(
                    f"There is no dataset {place}: set PERSONA_BIGQUERY_SOURCE to the "
                    "project.dataset of the five tables."
                )
            self.warehouse.ensure_dataset(dataset)
            empty = "" if dataset == OUR_DATASET else ", empty: `persona bigquery load` fills it"
            return f"the {name} {place} in {self.location}{empty}"

        command = f"bq --location={self.location} mk --dataset {project}:{called}"
        if project != self.project:
            command = f"# The {name} {place} is of another project."
        return Step(name, f"the {name} {place}", find, make, lambda: command)

    def _find_connection(self) -> str | None:
        account = self._account()
        return None if account is None else self._connected(account)

    def _make_connection(self) -> str:
        return self._connected(self.google.create_connection(*self._path))

    def _command_for_connection(self) -> str:
        return (
            f"bq mk --connection --location={self.location} --project_id={self._path[0]} "
            f"--connection_type=CLOUD_RESOURCE {self._path[2]}"
        )

    def _connected(self, account: str) -> str:
        return f"the connection {'.'.join(self._path)}, which acts as {account}"

    def _account(self) -> str | None:
        return self.google.find_connection(*self._path)

    def _find_role(self) -> str | None:
        account = self._account()
        if account is None or not self.google.has_role(account, ROLE):
            return None
        return f"the role {ROLE} of {account}"

    def _make_role(self) -> str:
        account = self._account()
        self.google.grant_role(account, ROLE)
        return f"the role {ROLE} of {account}"

    def _command_for_role(self) -> str:
        pick = 'import json, sys; print(json.load(sys.stdin)["cloudResource"]["serviceAccountId"])'
        return (
            f"account=$(bq show --connection --format=json {'.'.join(self._path)} | "
            f"python3 -c '{pick}')\n"
            f"gcloud projects add-iam-policy-binding {self.project} --role={ROLE} "
            '--condition=None --member="serviceAccount:$account"'
        )

    def _find_model(self) -> str | None:
        kept = self.warehouse.find_model(self.settings.bigquery_model)
        if kept is None or not self._is_ours(kept):
            return None
        return f"the model {self._model}, which is {self.settings.model}"

    def _make_model(self) -> str:
        self.warehouse.jobs.define(
            self._statement(),
            f"the model {self._model}",
            f"roles/bigquery.jobUser and roles/bigquery.connectionAdmin on the project "
            f"{self.project}, and roles/bigquery.dataEditor on {self.warehouse.place}",
        )
        return f"the model {self._model}, which is {self.settings.model}"

    def _command_for_model(self) -> str:
        return (
            f"bq query --project_id={self.project} --location={self.location} "
            f"--use_legacy_sql=false <<'SQL'\n{self._statement()}\nSQL"
        )

    def _statement(self) -> str:
        return self.warehouse.remote_model(
            self.settings.bigquery_model, self._path, self.settings.model
        )

    def _is_ours(self, kept: Any) -> bool:
        """Whether a remote model calls our endpoint through our connection. Google may add a
        version to the endpoint's name, and write a project as its number."""
        endpoint = kept.get("endpoint", "").rsplit("/", 1)[-1]
        through = re.split(r"[./]", kept.get("connection", ""))
        wanted = self.settings.model.rsplit("/", 1)[-1]
        return (
            re.fullmatch(rf"{re.escape(wanted)}(-\d{{3}})?", endpoint) is not None
            and through[-1] == self._path[2]
            and self._path[1] in through
        )


def _path_of_connection(settings: Settings) -> tuple[str, str, str]:
    """Project, location and name. Raises InputError unless it is where our dataset is."""
    path = settings.bigquery_connection_id.rsplit(".", 2)
    if len(path) != 3 or path[1].upper() != settings.bigquery_location.upper():
        raise InputError(
            f"PERSONA_BIGQUERY_CONNECTION is {settings.bigquery_connection} and "
            f"PERSONA_BIGQUERY_LOCATION is {settings.bigquery_location}: give it as a name, or as "
            f"project.{settings.bigquery_location.lower()}.name, for a model can be called from "
            "its own location only."
        )
    return path[0], path[1].lower(), path[2]


def _at_once(act: Callable[[], _Result]) -> _Result:
    return act()


def _is_not_yet(error: PersonaError) -> bool:
    """Whether this is said of what has been made and is not in effect yet, or of a policy that
    somebody else has just changed."""
    cause = error.__cause__
    if not isinstance(cause, exceptions.GoogleAPICallError):
        return False
    return (
        isinstance(cause, exceptions.Conflict)
        or reason_of(cause) in DISABLED
        or bool(_NOT_YET.search(cause.message))
    )
