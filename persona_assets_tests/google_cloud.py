"""A double of the Google services that set up a project, on loopback, at their documented wire
format: Service Usage v1, BigQuery Connection v1, Resource Manager v3, and of BigQuery v2 what makes
datasets and models.

Its errors have the texts and the shapes of Google's: {"error": {code, message, status, details}},
with `errors` instead of `details` from BigQuery.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import sqlglot
from dagster_gcp import BigQueryResource
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from sqlglot import exp

from persona_assets import schemas
from persona_assets.warehouse.bigquery import _fields

PROJECT = "my-project"
SOURCE = "bigquery-public-data.thelook_ecommerce"
ACCOUNT = "bqcx-1234-abcd@gcp-sa-bigquery-condel.iam.gserviceaccount.com"
ROLE = "roles/aiplatform.user"
_STATUS = {400: "FAILED_PRECONDITION", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
           503: "UNAVAILABLE"}  # fmt: skip
# What each request is called in Google's documentation.
_CALLS = [
    ("services.batchGet", "GET", r"/apis/projects/[^/]+/services:batchGet"),
    ("services.batchEnable", "POST", r"/apis/projects/[^/]+/services:batchEnable"),
    ("operations.get", "GET", r"/apis/operations/(.+)"),
    ("connections.get", "GET", r"/connections/projects/[^/]+/locations/([^/]+)/connections/(.+)"),
    ("connections.create", "POST", r"/connections/projects/[^/]+/locations/([^/]+)/connections"),
    ("projects.getIamPolicy", "POST", r"/projects/projects/[^/]+:getIamPolicy"),
    ("projects.setIamPolicy", "POST", r"/projects/projects/[^/]+:setIamPolicy"),
    ("datasets.get", "GET", r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)"),
    ("datasets.insert", "POST", r"/bigquery/v2/projects/([^/]+)/datasets"),
    ("models.get", "GET", r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/models/([^/]+)"),
    ("tables.get", "GET", r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables/([^/]+)"),
    ("jobs.insert", "POST", r"/bigquery/v2/projects/[^/]+/jobs"),
]
WRITES = {"services.batchEnable", "connections.create", "projects.setIamPolicy", "datasets.insert",
          "jobs.insert"}  # fmt: skip


@dataclass(frozen=True)
class Refusal(Exception):
    """An answer that is an error. reason: of the ErrorInfo, or of BigQuery's `errors`."""

    code: int
    message: str
    reason: str = ""


@dataclass
class Cloud:
    """A project, and what is said of it.

    refused: by call, what it answers instead, always; once: the same, for the next request each;
    enabling, settling, unknown, ineffective: how many more times the operation is not done, a new
    API says that it is disabled, a new account is not known, and a role has no effect; meddling:
    how often somebody else changes the policy between reading and writing; seen: every call.
    """

    address: str = ""
    enabled: set[str] = field(default_factory=set)
    datasets: dict[str, str] = field(default_factory=lambda: {SOURCE: "US"})
    connections: dict[str, dict] = field(default_factory=dict)
    policy: dict[str, Any] = field(
        default_factory=lambda: {
            "version": 3,
            "etag": "0",
            "bindings": [
                {"role": "roles/owner", "members": ["user:owner@example.org"]},
                {
                    "role": ROLE,
                    "members": [f"serviceAccount:{ACCOUNT}"],
                    "condition": {"title": "last year", "expression": "false"},
                },
            ],
        }
    )
    models: dict[str, dict] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    once: list[tuple[str, Refusal]] = field(default_factory=list)
    enabling: int = 0
    settling: int = 0
    unknown: int = 0
    ineffective: int = 0
    meddling: int = 0
    seen: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    @property
    def written(self) -> list[str]:
        """The calls that change something."""
        return [call for call in self.seen if call in WRITES]

    def grants(self) -> bool:
        """Whether the connection's account has its role on no condition."""
        return any(
            binding["role"] == ROLE
            and f"serviceAccount:{ACCOUNT}" in binding["members"]
            and "condition" not in binding
            for binding in self.policy["bindings"]
        )

    def answer(self, call: str, parts: tuple[str, ...], query: dict, body: dict) -> dict:
        """Raises Refusal."""
        self.seen.append(call)
        if self.once and self.once[0][0] == call:
            raise self.once.pop(0)[1]
        if call in self.refused:
            raise self.refused[call]
        act: Callable = getattr(self, "_" + call.replace(".", "_"))
        return act(*parts, query=query, body=body)

    def _services_batchGet(self, query: dict, body: dict) -> dict:
        return {
            "services": [
                {"name": name, "state": "ENABLED" if name.split("/")[-1] in self.enabled
                 else "DISABLED"}
                for name in query["names"]
            ]
        }  # fmt: skip

    def _services_batchEnable(self, query: dict, body: dict) -> dict:
        self.enabled |= {*body["serviceIds"]}
        return {"name": "operations/acf.p2-1234"}

    def _operations_get(self, name: str, query: dict, body: dict) -> dict:
        self.enabling -= 1
        return {"name": f"operations/{name}"} | ({} if self.enabling >= 0 else {"done": True})

    def _connections_get(self, location: str, name: str, query: dict, body: dict) -> dict:
        self._settle("bigqueryconnection.googleapis.com")
        if f"{location}.{name}" not in self.connections:
            raise Refusal(404, f"Not found: Connection projects/1234/locations/{location}/{name}")
        return self.connections[f"{location}.{name}"]

    def _connections_create(self, location: str, query: dict, body: dict) -> dict:
        self._settle("bigqueryconnection.googleapis.com")
        (name,) = query["connectionId"]
        assert body == {"cloudResource": {}}
        if f"{location}.{name}" in self.connections:
            raise Refusal(409, f"Already Exists: Connection {name}")
        made = connection(location, name)
        self.connections[f"{location}.{name}"] = made
        return made

    def _projects_getIamPolicy(self, query: dict, body: dict) -> dict:
        self._settle("cloudresourcemanager.googleapis.com")
        assert body == {"options": {"requestedPolicyVersion": 3}}
        return self.policy

    def _projects_setIamPolicy(self, query: dict, body: dict) -> dict:
        if self.unknown > 0:
            self.unknown -= 1
            raise Refusal(400, f"Service account {ACCOUNT} does not exist.")
        if self.meddling > 0:
            self.meddling -= 1
            someone = {"role": "roles/viewer", "members": [f"user:{self.meddling}@example.org"]}
            self._set([*self.policy["bindings"], someone])
        if body["policy"]["etag"] != self.policy["etag"]:
            raise Refusal(409, "There were concurrent policy changes. Please retry the whole "
                          "read-modify-write with exponential backoff.")  # fmt: skip
        assert body["policy"]["version"] == 3
        self._set(body["policy"]["bindings"])
        return self.policy

    def _set(self, bindings: list[dict]) -> None:
        etag = str(int(self.policy["etag"]) + 1)
        self.policy = {"version": 3, "etag": etag, "bindings": bindings}

    def _settle(self, api: str) -> None:
        if api not in self.enabled or self.settling > 0:
            self.settling -= 1
            raise Refusal(403, f"{api} has not been used in project 1234 before or it is disabled.",
                          "SERVICE_DISABLED")  # fmt: skip

    def _datasets_get(self, project: str, name: str, query: dict, body: dict) -> dict:
        if f"{project}.{name}" not in self.datasets:
            raise Refusal(404, f"Not found: Dataset {project}:{name}", "notFound")
        return dataset(project, name, self.datasets[f"{project}.{name}"])

    def _datasets_insert(self, project: str, query: dict, body: dict) -> dict:
        name = body["datasetReference"]["datasetId"]
        self.datasets[f"{project}.{name}"] = body["location"]
        return dataset(project, name, body["location"])

    def _tables_get(self, project: str, name: str, table: str, query: dict, body: dict) -> dict:
        fields = _fields(schemas.arrow_schema(getattr(schemas, table)))
        return {
            "tableReference": {"projectId": project, "datasetId": name, "tableId": table},
            "schema": {"fields": [field.to_api_repr() for field in fields]},
        }

    def _models_get(self, project: str, place: str, name: str, query: dict, body: dict) -> dict:
        if name not in self.models:
            raise Refusal(404, f"Not found: Model {project}:{place}.{name}", "notFound")
        return {
            "modelReference": {"projectId": project, "datasetId": place, "modelId": name},
            "modelType": "MODEL_TYPE_UNSPECIFIED",
            "remoteModelInfo": self.models[name],
        }

    def _jobs_insert(self, query: dict, body: dict) -> dict:
        configuration = body["configuration"]
        job = {
            "jobReference": body["jobReference"],
            "configuration": configuration,
            "status": {"state": "DONE"},
        }
        statement = configuration["query"]["query"]
        if configuration.get("dryRun"):
            return job
        self.statements.append(statement)
        made = sqlglot.parse_one(statement, read="bigquery")
        through = made.find(exp.RemoteWithConnectionModelProperty).this
        if not self.grants() or self.ineffective > 0:
            self.ineffective -= 1
            error = {
                "reason": "invalidQuery",
                "location": "query",
                "message": f"{ACCOUNT} does not have the permission to access or use the endpoint. "
                "Please grant the Vertex AI user role to the service account following "
                "https://cloud.google.com/bigquery/docs/generate-text-tutorial#grant-permissions. "
                "If issue persists, contact bqml-feedback@google.com for help.",
            }
            job["status"] |= {"errorResult": error, "errors": [error]}
        else:
            self.models[made.this.name] = remote_model(
                made.find(exp.Literal).name, through.db, through.name
            )
        return job


def connection(location: str, name: str) -> dict:
    return {
        "name": f"projects/1234/locations/{location}/connections/{name}",
        "cloudResource": {"serviceAccountId": ACCOUNT},
    }


def remote_model(endpoint: str, location: str, name: str) -> dict:
    return {
        "endpoint": "https://us-central1-aiplatform.googleapis.com/v1/projects/1234/locations/"
        f"us-central1/publishers/google/models/{endpoint}",
        "connection": f"projects/1234/locations/{location}/connections/{name}",
    }


def dataset(project: str, name: str, location: str) -> dict:
    return {
        "datasetReference": {"projectId": project, "datasetId": name},
        "location": location,
    }


@contextmanager
def running() -> Iterator[Cloud]:
    """A fresh project whose services answer at an address of their own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.cloud = Cloud(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.cloud
    finally:
        server.shutdown()
        server.server_close()


class CloudBigQuery(BigQueryResource):
    """dagster-gcp's resource for the double."""

    address: str

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        yield bigquery.Client(
            project=self.project,
            location=self.location,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=self.address),
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        asked = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call, parts = next(
            (call, found.groups())
            for call, method, path in _CALLS
            if method == self.command and (found := re.fullmatch(path, asked.path))
        )
        try:
            query = parse_qs(asked.query)
            status, said = 200, self.server.cloud.answer(
                call, parts, query, json.loads(body) if body else {}
            )
        except Refusal as refusal:
            status, said = refusal.code, {"error": _error(refusal, "/bigquery/" in asked.path)}
        answer = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = _serve

    def log_message(self, *arguments: object) -> None:
        pass


def _error(refusal: Refusal, of_bigquery: bool) -> dict:
    error = {
        "code": refusal.code,
        "message": refusal.message,
        "status": _STATUS[refusal.code],
    }
    if of_bigquery:
        reason = refusal.reason or "accessDenied"
        return error | {
            "errors": [{"message": refusal.message, "domain": "global", "reason": reason}]
        }
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    if refusal.reason:
        error["details"] = [{"@type": kind, "reason": refusal.reason, "domain": "googleapis.com"}]
    return error
