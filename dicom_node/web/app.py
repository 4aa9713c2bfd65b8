"""The FastAPI application, made from what it shows."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dicom_node import __version__
from dicom_node.config.security import WebSection
from dicom_node.errors import LedgerError, NodeError
from dicom_node.ports import Ledger
from dicom_node.presentation import records_view, status_view
from dicom_node.web.accounts import Accounts
from dicom_node.web.gate import HEADERS, Attempt, Gate
from dicom_node.web.metrics import Metrics


def create_app(
    *,
    ledger: Ledger,
    metrics: Metrics,
    check_ready: Callable[[], None],
    now: Callable[[], datetime],
    web: WebSection | None = None,
    report: Callable[[Attempt], None] = lambda _: None,
    destinations: Sequence[str] = (),
) -> FastAPI:
    """`check_ready` raises a NodeError, with the reason, while the node cannot take images. `report`: see Gate;
    `destinations`: the names of those that are configured.
    """
    web = web or WebSection()
    # No pages for docs: FastAPI's load scripts from the Internet, into the origin in which somebody is signed in.
    app = FastAPI(
        title="Region node", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json"
    )
    app.add_middleware(
        Gate,
        accounts=Accounts(web.auth),
        tries_per_minute=web.auth.tries_per_minute,
        report=report,
    )

    @app.exception_handler(LedgerError)
    def ledger_is_away(_request: Request, error: LedgerError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=503)

    @app.exception_handler(Exception)
    def unforeseen(_request: Request, _error: Exception) -> JSONResponse:
        # Answered outside of the gate, which therefore cannot add these.
        return JSONResponse({"detail": "unforeseen fault in the node, see its log"}, status_code=500, headers=HEADERS)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process lives and answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """The node can take images: the ledger answers, the disk has room, a receiver answers, every worker lives."""
        try:
            check_ready()
        except NodeError as error:
            return JSONResponse({"status": "not ready", "detail": str(error)}, status_code=503)
        return JSONResponse({"status": "ready"})

    @app.get("/metrics", response_class=Response)
    def prometheus() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/api/v1/status")
    def status() -> dict[str, Any]:
        """The same as `dicom-node status --json`."""
        return status_view(ledger.records, ledger.promises, now=now(), configured=destinations)

    @app.get("/api/v1/instances/{uid}")
    def instances(uid: str) -> list[dict[str, Any]]:
        """The instances with this SOP Instance UID: more than one where content differed."""
        found = [r for r in ledger.records.find(uid) if r.instance.sop_instance_uid == uid]
        return _found(records_view(found))

    @app.get("/api/v1/studies/{uid}")
    def studies(uid: str) -> list[dict[str, Any]]:
        """The instances of a study, oldest first."""
        found = [r for r in ledger.records.find(uid) if r.instance.study_uid == uid]
        return _found(records_view(found))

    return app


def _found(views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not views:
        raise HTTPException(404, "the ledger knows nothing of this UID")
    return views
