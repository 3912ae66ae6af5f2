"""Webhooks: who is told of what happens in the CA, over REST."""
