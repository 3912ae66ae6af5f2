"""Webhooks' table of routes."""

from __future__ import annotations

from typing import Final

from pycryptoutil.http.route import Route
from pycryptoutil.services.pki_ca.webhooks import handlers, models

SCOPES: Final = {"webhooks:write": "make, test and delete webhooks, and have events delivered again"}

_TAG: Final = "Webhooks"

ROUTES: Final = (
    Route("createWebhook", ("POST",), "/webhooks", handlers.create_webhook, scope="webhooks:write", tag=_TAG,
          body=models.WebhookBody, response=models.NewWebhookView, status=201,
          summary="Have events told to a URL; the secret that signs them is shown once"),
    Route("listWebhooks", ("GET",), "/webhooks", handlers.list_webhooks, scope="pki:read", tag=_TAG,
          response=models.WebhookList, summary="Every webhook, newest first"),
    Route("getWebhook", ("GET",), "/webhooks/<id>", handlers.get_webhook, scope="pki:read", tag=_TAG,
          response=models.WebhookView, summary="One webhook"),
    Route("deleteWebhook", ("DELETE",), "/webhooks/<id>", handlers.delete_webhook, scope="webhooks:write", tag=_TAG,
          status=204, produces=(), summary="Delete a webhook, with what was not delivered"),
    Route("enableWebhook", ("POST",), "/webhooks/<id>/enable", handlers.enable_webhook, scope="webhooks:write",
          tag=_TAG, response=models.WebhookView, summary="Let a webhook be told again"),
    Route("disableWebhook", ("POST",), "/webhooks/<id>/disable", handlers.disable_webhook, scope="webhooks:write",
          tag=_TAG, response=models.WebhookView, summary="Stop telling a webhook"),
    Route("testWebhook", ("POST",), "/webhooks/<id>/test", handlers.test_webhook, scope="webhooks:write", tag=_TAG,
          response=models.DeliveryView, status=202, summary="Send a test event"),
    Route("listDeliveries", ("GET",), "/webhooks/<id>/deliveries", handlers.list_deliveries, scope="pki:read",
          tag=_TAG, query=models.DeliveryQuery, response=models.DeliveryList,
          summary="What was and is to be delivered, newest first"),
    Route("redeliver", ("POST",), "/webhooks/<id>/deliveries/<delivery>/redeliver", handlers.redeliver,
          scope="webhooks:write", tag=_TAG, response=models.DeliveryView, status=202,
          summary="Deliver an event once more that was given up, or delivered"),
)  # fmt: skip
