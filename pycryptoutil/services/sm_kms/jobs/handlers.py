"""From requests to rewrap jobs and back."""

from __future__ import annotations

from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.service.definition import Context
from pycryptoutil.services.sm_kms.common import octets
from pycryptoutil.services.sm_kms.jobs import models
from pycryptoutil.services.sm_kms.jobs.service import RewrapJobs
from pycryptoutil.services.sm_kms.jobs.store import Job


def _jobs(context: Context) -> RewrapJobs:
    found: RewrapJobs = context.state.jobs
    return found


def _view(job: Job) -> models.JobView:
    return models.JobView(**{name: getattr(job, name) for name in models.JobView.model_fields})


def _place(context: Context) -> tuple[str, str]:
    return context.tenant_id, context.parameters["id"]


def create(context: Context, request: Request) -> Response:
    """Open a job."""
    body: models.JobBody = context.body
    for name in ("aad", "new_aad"):
        octets(getattr(body, name) or "", name)
    place = context.tenant_id, context.parameters["key"]
    made = _jobs(context).create(*place, body.aad, body.new_aad, context.actor, request.request_id)
    return json_response(_view(made), 201)


def listing(context: Context, _request: Request) -> Response:
    """Answer with the newest jobs."""
    return json_response(models.JobList(items=tuple(map(_view, _jobs(context).listing(context.tenant_id)))))


def get(context: Context, _request: Request) -> Response:
    """Answer with one job's progress."""
    return json_response(_view(_jobs(context).get(*_place(context))))


def add(context: Context, _request: Request) -> Response:
    """Take more objects."""
    body: models.ObjectsBody = context.body
    return json_response(_view(_jobs(context).add(*_place(context), body.first, body.objects)))


def start(context: Context, request: Request) -> Response:
    """Begin."""
    return json_response(_view(_jobs(context).start(*_place(context), context.actor, request.request_id)))


def results(context: Context, _request: Request) -> Response:
    """Answer with what is done."""
    query: models.ResultQuery = context.query
    job, found = _jobs(context).results(*_place(context), query.first, query.limit)
    shown = tuple(models.ResultView(position=one.position, ciphertext=one.ciphertext, error=one.error) for one in found)
    end = query.first + len(shown)
    return json_response(
        models.ResultList(items=shown, next=end if shown and end < job.total else None, job=_view(job))
    )


def remove(context: Context, request: Request) -> Response:
    """Forget a job."""
    _jobs(context).remove(*_place(context), context.actor, request.request_id)
    return Response(204)
