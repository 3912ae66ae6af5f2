"""An HTTP vocabulary that knows no server: messages, routes, problem documents, OpenAPI."""
