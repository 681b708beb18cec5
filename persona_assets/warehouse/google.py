"""Google's services beside BigQuery itself, by REST: APIs, connections, and who has which role."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import google.auth
import requests
from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession

from persona_assets.warehouse.jobs import Jobs

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_POLICY_VERSION = 3  # the one that keeps conditions


@dataclass(frozen=True)
class Endpoints:
    """Where the services are."""

    apis: str = "https://serviceusage.googleapis.com/v1"
    connections: str = "https://bigqueryconnection.googleapis.com/v1"
    projects: str = "https://cloudresourcemanager.googleapis.com/v3"


class Google:
    """Reads and changes one project, within the bounds that jobs have.

    Raises PersonaError, which says which role is missing, when a service refuses or is not reached.
    """

    def __init__(
        self,
        jobs: Jobs,
        endpoints: Endpoints | None = None,
        session: requests.Session | None = None,
    ) -> None:
        self.jobs = jobs
        self.project = jobs.resource.project
        self.endpoints = endpoints or Endpoints()
        if session is not None:
            self.session = session

    @cached_property
    def session(self) -> requests.Session:
        """Made when first needed: finding the credentials may ask the network."""
        # The project that is set up pays; a person's own credentials name none.
        credentials, _ = google.auth.default(scopes=[_SCOPE], quota_project_id=self.project)
        return AuthorizedSession(credentials)

    def disabled_apis(self, names: Iterable[str]) -> list[str]:
        """Those of the APIs that are not enabled."""
        names = [*names]
        found = self._ask(
            "GET",
            f"{self.endpoints.apis}/projects/{self.project}/services:batchGet",
            "the APIs",
            "roles/serviceusage.serviceUsageViewer",
            params={"names": [f"projects/{self.project}/services/{name}" for name in names]},
        )
        enabled = {
            service["name"].rsplit("/", 1)[-1]
            for service in found.get("services", [])
            if service.get("state") == "ENABLED"
        }
        return [name for name in names if name not in enabled]

    def enable_apis(self, names: Iterable[str]) -> str:
        """Ask for all of the APIs or none; the name of the operation that enables them."""
        started = self._ask(
            "POST",
            f"{self.endpoints.apis}/projects/{self.project}/services:batchEnable",
            "the APIs",
            "roles/serviceusage.serviceUsageAdmin",
            json={"serviceIds": [*names]},
        )
        return started["name"]

    def is_enabled(self, operation: str) -> bool:
        """Whether the operation has ended. Raises PersonaError when it has failed."""
        if operation.endswith("DONE_OPERATION"):  # what was to be done was done already
            return True
        found = self._ask(
            "GET",
            f"{self.endpoints.apis}/{operation}",
            "the APIs",
            "roles/serviceusage.serviceUsageAdmin",
        )
        if "error" in found:
            with self.jobs.explained("the APIs", service="Google"):
                raise exceptions.GoogleAPICallError(
                    found["error"].get("message", "unknown error"),
                    error_info=_error_info(found["error"]),
                )
        return found.get("done", False)

    def find_connection(self, project: str, location: str, name: str) -> str | None:
        """The service account of a Cloud resource connection; None where there is none."""
        with self._connecting(project, location, name):
            try:
                return _account(self._request("GET", self._connections(project, location, name)))
            except exceptions.NotFound:
                return None

    def create_connection(self, project: str, location: str, name: str) -> str:
        """The service account of a new Cloud resource connection, or of the one that is there."""
        with self._connecting(project, location, name):
            try:
                made = self._request(
                    "POST",
                    self._connections(project, location),
                    params={"connectionId": name},
                    json={"cloudResource": {}},
                )
            except exceptions.Conflict:  # made meanwhile, or the first answer was lost
                made = self._request("GET", self._connections(project, location, name))
            return _account(made)

    def has_role(self, account: str, role: str) -> bool:
        """Whether a service account has the role on the project, on no condition."""
        return _grants(self._policy(), role, f"serviceAccount:{account}")

    def grant_role(self, account: str, role: str) -> None:
        """Give a service account the role; everything else that the policy says stays.

        Raises PersonaError, from Conflict, when somebody else changed the policy meanwhile.
        """
        policy, member = self._policy(), f"serviceAccount:{account}"
        if _grants(policy, role, member):
            return
        policy["version"] = _POLICY_VERSION
        bindings = policy.setdefault("bindings", [])
        bindings.append({"role": role, "members": [member]})
        self._ask(
            "POST",
            f"{self.endpoints.projects}/projects/{self.project}:setIamPolicy",
            f"the role {role}",
            "roles/resourcemanager.projectIamAdmin",
            json={"policy": policy},
        )

    def _policy(self) -> dict[str, Any]:
        return self._ask(
            "POST",  # it reads all the same
            f"{self.endpoints.projects}/projects/{self.project}:getIamPolicy",
            f"who has which role on {self.project}",
            "roles/resourcemanager.projectIamAdmin",
            json={"options": {"requestedPolicyVersion": _POLICY_VERSION}},
        )

    def _connections(self, project: str, location: str, *name: str) -> str:
        place = f"{self.endpoints.connections}/projects/{project}/locations/{location}"
        return "/".join((place, "connections", *name))

    def _connecting(self, project: str, location: str, name: str) -> AbstractContextManager[None]:
        what = f"the connection {project}.{location}.{name}"
        needs = f"roles/bigquery.connectionAdmin on the project {project}"
        return self.jobs.explained(what, needs, "Google")

    def _ask(self, method: str, url: str, what: str, role: str, **rest: Any) -> dict[str, Any]:
        with self.jobs.explained(what, f"{role} on the project {self.project}", "Google"):
            return self._request(method, url, **rest)

    def _request(self, method: str, url: str, **rest: Any) -> dict[str, Any]:
        def once() -> dict[str, Any]:
            answer = self.session.request(method, url, timeout=self.jobs.request_seconds, **rest)
            if not answer.ok:
                raise exceptions.from_http_response(answer)
            return answer.json()

        return self.jobs.retry(once)()


def _grants(policy: Mapping[str, Any], role: str, member: str) -> bool:
    return any(
        binding["role"] == role
        and member in binding.get("members", [])
        and "condition" not in binding
        for binding in policy.get("bindings", [])
    )


def _account(connection: Mapping[str, Any]) -> str:
    try:
        return connection["cloudResource"]["serviceAccountId"]
    except KeyError:
        raise exceptions.FailedPrecondition(
            f"{connection.get('name')} is not a Cloud resource connection; set "
            "PERSONA_BIGQUERY_CONNECTION to another name"
        ) from None


def _error_info(error: Mapping[str, Any]) -> Mapping[str, Any] | None:
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return next((one for one in error.get("details", []) if one.get("@type") == kind), None)
