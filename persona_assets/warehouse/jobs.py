"""Jobs on BigQuery: priced before they run, waited for within bounds, explained when they fail."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeVar

import requests
from dagster_gcp import BigQueryResource
from google.api_core import exceptions, retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from persona_assets.errors import InputError, PersonaError
from persona_assets.text import mask
from persona_assets.warehouse.base import Job

EMULATOR = "BIGQUERY_EMULATOR_HOST"  # the variable that google-cloud-bigquery itself reads
CONSOLE = "https://console.cloud.google.com/bigquery"
TIB = 2**40
# Reasons of a failed job that pass: https://cloud.google.com/bigquery/docs/error-messages
_PASSING = {
    "backendError", "internalError", "jobBackendError", "jobInternalError", "jobRateLimitExceeded",
    "rateLimitExceeded", "tableUnavailable",
}  # fmt: skip
# What BigQuery and the other services call the same two things.
_BILLING = {"BILLING_DISABLED", "UREQ_PROJECT_BILLING_NOT_FOUND", "billingNotEnabled"}
DISABLED = {"SERVICE_DISABLED", "accessNotConfigured"}
_CONCURRENT = re.compile(r"concurrent (update|transaction)|could not serialize", re.IGNORECASE)
_TYPES = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING", datetime: "TIMESTAMP",
          date: "DATE", Decimal: "NUMERIC", type(None): "STRING"}  # fmt: skip
_AnyJob = TypeVar("_AnyJob", bigquery.QueryJob, bigquery.LoadJob)
_log = logging.getLogger(__name__)


class EmulatedBigQuery(BigQueryResource):
    """dagster-gcp's resource for an emulator, which asks for no credentials."""

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        yield bigquery.Client(
            project=self.project, location=self.location, credentials=AnonymousCredentials()
        )


def resource(project: str, location: str) -> BigQueryResource:
    """The resource for Google's service, or for the emulator that BIGQUERY_EMULATOR_HOST names."""
    kind = EmulatedBigQuery if os.environ.get(EMULATOR) else BigQueryResource
    return kind(project=project, location=location)


class Jobs:
    """Runs jobs as one account in one project and one location.

    maximum_bytes: no query may bill more; usd_per_tib: the price that estimates and receipts use;
    labels: called for every job, for its labels; request_seconds: how long one request may take;
    patience_seconds: how long a request or a job that fails for a passing reason is tried again;
    job_seconds: how long a job may run before it is cancelled.
    """

    def __init__(
        self,
        bigquery_resource: BigQueryResource,
        maximum_bytes: int,
        usd_per_tib: float,
        labels: Callable[[], Mapping[str, str]] = dict,
        request_seconds: float = 60,
        patience_seconds: float = 300,
        job_seconds: float = 6 * 3600,
    ) -> None:
        self.resource = bigquery_resource
        self.maximum_bytes = maximum_bytes
        self.usd_per_tib = usd_per_tib
        self.labels = labels
        self.request_seconds = request_seconds
        self.patience_seconds = patience_seconds
        self.job_seconds = job_seconds
        delays = {"initial": min(1, patience_seconds / 10)}
        self.retry = bigquery.DEFAULT_RETRY.with_timeout(patience_seconds).with_delay(**delays)
        self._job_retry = retry.Retry(predicate=_passes, timeout=patience_seconds, **delays)

    @cached_property
    def client(self) -> bigquery.Client:
        """Made when first needed: finding the credentials may ask the network."""
        return self.new_client()

    def new_client(self) -> bigquery.Client:
        with self.explained("signing in"), self.resource.get_client() as client:
            return client

    @property
    def bounds(self) -> dict[str, Any]:
        """The arguments that keep a request of the client within bounds."""
        return {"retry": self.retry, "timeout": self.request_seconds}

    def query(
        self, statement: str, parameters: Mapping[str, Any], what: str, again: bool = True
    ) -> tuple[bigquery.QueryJob, Job]:
        """Price a statement, run it, wait for it. `again`: whether a job that failed for a passing
        reason is started again.

        Raises InputError, before it runs, when it would read more than the limit, and PersonaError
        when it fails.
        """
        expected = self.price(statement, parameters, what)
        config = self._config(parameters, what, maximum_bytes_billed=self.maximum_bytes)
        job = self.finish(
            lambda: self.client.query(statement, job_config=config, job_retry=None, **self.bounds),
            what,
            again=again,
        )
        return job, self.describe(job, expected)

    def price(self, statement: str, parameters: Mapping[str, Any], what: str) -> int:
        """Bytes that a statement would read, found without reading them."""
        config = self._config(parameters, what, dry_run=True, use_query_cache=False)
        with self.explained(what):
            dry = self.client.query(statement, job_config=config, job_retry=None, **self.bounds)
        expected = dry.total_bytes_processed or 0
        usd = self.usd(expected)
        if expected > self.maximum_bytes:
            raise InputError(
                f"{what} would read {expected / 1e9:,.1f} GB (about ${usd:,.2f}), more than the "
                f"{self.maximum_bytes / 1e9:,.1f} GB that one query may: raise "
                "PERSONA_BIGQUERY_MAXIMUM_BYTES if that is what you want."
            )
        _log.info("%s reads %.3f GB, about $%.4f", what, expected / 1e9, usd)
        return expected

    def define(self, statement: str, what: str, needs: str) -> None:
        """Run a statement that reads no rows. Raises PersonaError when it fails."""
        config = self._config({}, what)
        self.finish(
            lambda: self.client.query(statement, job_config=config, job_retry=None, **self.bounds),
            what,
            needs=needs,
        )

    def usd(self, bytes_billed: int) -> float:
        return bytes_billed / TIB * self.usd_per_tib

    def finish(
        self,
        start: Callable[[], _AnyJob],
        what: str,
        *,
        again: bool = True,
        needs: str | None = None,
    ) -> _AnyJob:
        """Start a job and wait for it; start it again when it failed for a passing reason, if it
        may be started `again`. needs: as in explained()."""
        deadline = time.monotonic() + self.job_seconds

        def once() -> _AnyJob:
            job = start()
            try:
                pause = 0.1
                while not job.done(**self.bounds):
                    if time.monotonic() > deadline:
                        raise PersonaError(
                            f"{what}: the job {job.job_id} was cancelled because it had not "
                            f"finished after {self.job_seconds:,g} seconds."
                        )
                    time.sleep(pause)
                    pause = min(2 * pause, 5)
            except BaseException:
                self._cancel(job)
                raise
            if job.error_result:
                raise job.exception(timeout=self.request_seconds)
            return job

        with self.explained(what, needs):
            return self._job_retry(once)() if again else once()

    def load_config(self, what: str, **options: Any) -> bigquery.LoadJobConfig:
        return bigquery.LoadJobConfig(labels=self._labels(what), **options)

    def describe(self, job: bigquery.QueryJob | bigquery.LoadJob, expected: int | None) -> Job:
        """What a finished job did. Loading is free."""
        billed = getattr(job, "total_bytes_billed", 0)
        return Job(
            id=job.job_id,
            link=f"{CONSOLE}?project={job.project}&page=queryresults"
            f"&j=bq:{job.location}:{job.job_id}",
            bytes_expected=expected,
            bytes_processed=getattr(job, "total_bytes_processed", None),
            bytes_billed=billed,
            slot_ms=getattr(job, "slot_millis", None),
            cost_usd=None if billed is None else self.usd(billed),
        )

    @contextmanager
    def explained(
        self, what: str, needs: str | None = None, service: str = "BigQuery"
    ) -> Iterator[None]:
        """Turn what the client raises into one message that names the thing and the next step.

        needs: the role without which this is refused, and on what; service: who is asked.
        """
        try:
            yield
        except _GIVEN_UP as error:
            cause = getattr(error, "cause", None) or error
            if isinstance(cause, exceptions.GoogleAPICallError):
                cause = cause.message
            raise PersonaError(
                f"{what}: {service} was not reached or kept failing for {self.patience_seconds:g} "
                f"seconds ({_short(cause)}): try again later; what was saved stays."
            ) from error
        except GoogleAuthError as error:
            raise InputError(
                f"{what}: Google does not accept the credentials ({_short(error)}): run "
                "`gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS "
                "to the key of a service account."
            ) from error
        except exceptions.GoogleAPICallError as error:
            raise self._explain(error, what, needs, service) from error

    def _explain(
        self, error: exceptions.GoogleAPICallError, what: str, needs: str | None, service: str
    ) -> PersonaError:
        said, reason = _short(error.message), reason_of(error)
        project = self.resource.project
        if reason in _BILLING:
            return InputError(
                f"{what}: the project {project} has no billing ({said}): link a billing account "
                f"on https://console.cloud.google.com/billing/linkedaccount?project={project}, "
                "then run again."
            )
        if reason in DISABLED:
            return InputError(
                f"{what}: an API is not enabled in the project ({said}): run `persona bigquery "
                "setup`; when it has just been enabled, wait a minute and run again."
            )
        if reason == "quotaExceeded":
            return PersonaError(
                f"{what}: a quota of {service} is used up ({said}): wait until it is full again, "
                f"or raise it on https://console.cloud.google.com/iam-admin/quotas?project="
                f"{project}; then run again."
            )
        if reason == "bytesBilledLimitExceeded":
            return InputError(
                f"{what}: the query would bill more than it may ({said}): raise "
                "PERSONA_BIGQUERY_MAXIMUM_BYTES if that is what you want."
            )
        if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
            return InputError(
                f"{what}: {service} refuses ({said}): this account needs "
                + (
                    needs
                    or f"roles/bigquery.jobUser on the project {project}, "
                    "roles/bigquery.dataEditor on our dataset and roles/bigquery.dataViewer on "
                    "the source"
                )
                + "."
            )
        if isinstance(error, exceptions.NotFound):
            return InputError(
                f"{what}: not found ({said}): check PERSONA_BIGQUERY_PROJECT, _DATASET, _SOURCE "
                "and _LOCATION, or run `persona doctor`."
            )
        return PersonaError(f"{what}: {service} reports an error: {said}")

    def _config(self, parameters: Mapping[str, Any], what: str, **options: Any):
        return bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in parameters.items()],
            labels=self._labels(what),
            **options,
        )

    def _labels(self, what: str) -> dict[str, str]:
        labels = {"what": what, **self.labels()}
        return {
            name: re.sub(r"[^a-z0-9_-]+", "-", value.lower())[:63] for name, value in labels.items()
        }

    def _cancel(self, job: bigquery.QueryJob | bigquery.LoadJob) -> None:
        try:
            job.cancel(retry=None, timeout=self.request_seconds)
        except (exceptions.GoogleAPICallError, requests.RequestException) as error:
            _log.warning("The job %s could not be cancelled: %s", job.job_id, error)


_GIVEN_UP = (
    exceptions.RetryError,
    exceptions.ServerError,
    exceptions.TooManyRequests,
    requests.ConnectionError,
    requests.Timeout,
)


def _passes(error: BaseException) -> bool:
    """Whether a job that failed like this is worth starting again."""
    if isinstance(error, exceptions.GoogleAPICallError):
        return reason_of(error) in _PASSING or bool(_CONCURRENT.search(error.message))
    return False


def answered(error: PersonaError) -> bool:
    """Whether the service was reached at all, and knew who asked."""
    cause = error.__cause__
    return cause is None or (
        isinstance(cause, exceptions.GoogleAPICallError) and not isinstance(cause, _GIVEN_UP)
    )


def reason_of(error: exceptions.GoogleAPICallError) -> str | None:
    """The word that the service has for what is wrong."""
    first = next(iter(error.errors), None)
    return (first.get("reason") if isinstance(first, Mapping) else None) or error.reason


def _short(said: object) -> str:
    """One line, without addresses and without what the client adds about the request."""
    line = " ".join(str(said).split())
    line = re.sub(r"^(GET|POST|PUT|PATCH|DELETE) \S+: ", "", line)
    line = re.split(r"; reason: |Location: \S+ Job ID:", line)[0].strip()
    return mask(line if len(line) <= 400 else f"{line[:399]}…").rstrip(".")


def _parameter(
    name: str | None, value: Any
) -> (
    bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter | bigquery.StructQueryParameter
):
    if isinstance(value, Mapping):
        return bigquery.StructQueryParameter(name, *map(_parameter, value, value.values()))
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], Mapping):
            structs = [_parameter(None, item) for item in value]
            return bigquery.ArrayQueryParameter(name, "STRUCT", structs)
        kinds = {_TYPES[type(item)] for item in value}
        kind = "FLOAT64" if kinds == {"INT64", "FLOAT64"} else next(iter(kinds), "STRING")
        return bigquery.ArrayQueryParameter(name, kind, list(value))
    return bigquery.ScalarQueryParameter(name, _TYPES[type(value)], value)
