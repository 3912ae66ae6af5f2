"""Rewrap jobs' table of routes."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.sm_kms.jobs import handlers, models
from pycryptoutil.services.sm_kms.operations.handlers import MAX_BODY

_TAG: Final = "Rewrap jobs"
_ONE: Final = "/rewrap-jobs/<id>"

ROUTES: Final = (
    Route("createRewrapJob", ("POST",), "/elastic-keys/<key>/rewrap-jobs", handlers.create, scope="keys:rewrap",
          tag=_TAG, body=models.JobBody, response=models.JobView, status=201, summary="Open a job for a key's objects"),
    Route("listRewrapJobs", ("GET",), "/rewrap-jobs", handlers.listing, scope="keys:read", tag=_TAG,
          response=models.JobList, summary="The newest jobs"),
    Route("getRewrapJob", ("GET",), _ONE, handlers.get, scope="keys:read", tag=_TAG, response=models.JobView,
          summary="One job and how far it is"),
    Route("addRewrapObjects", ("POST",), f"{_ONE}/objects", handlers.add, scope="keys:rewrap", tag=_TAG,
          body=models.ObjectsBody, response=models.JobView, max_body=MAX_BODY, summary="The next part of the stream"),
    Route("startRewrapJob", ("POST",), f"{_ONE}/start", handlers.start, scope="keys:rewrap", tag=_TAG,
          response=models.JobView, summary="Begin; it goes on after any restart"),
    Route("listRewrapResults", ("GET",), f"{_ONE}/results", handlers.results, scope="keys:rewrap", tag=_TAG,
          query=models.ResultQuery, response=models.ResultList, summary="What is done, in the stream's order"),
    Route("deleteRewrapJob", ("DELETE",), _ONE, handlers.remove, scope="keys:rewrap", tag=_TAG, status=204,
          produces=(), summary="Forget a job and its objects"),
)  # fmt: skip
