"""The server's side of CMC without I/O: ``exchange.answer(backend, rules, request)``; a Backend is the CA."""

from .backend import (
    Backend,
    Holding,
    Memo,
    Outcome,
    OutcomeState,
    Party,
    Responder,
    Role,
    Rules,
    Wish,
)
from .exchange import Answer, Report, answer, answer_simple, refuse

__all__ = [
    "Answer",
    "Backend",
    "Holding",
    "Memo",
    "Outcome",
    "OutcomeState",
    "Party",
    "Report",
    "Responder",
    "Role",
    "Rules",
    "Wish",
    "answer",
    "answer_simple",
    "refuse",
]
