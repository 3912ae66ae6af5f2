"""Enrolment with approval: what every protocol asks for certificates through."""

from pycryptoutil.authority.enrolment.model import (
    Approval,
    ApprovalFilter,
    ApprovalPage,
    ApprovalState,
    Decision,
    Enrolment,
    EnrolmentState,
)

__all__ = [
    "Approval",
    "ApprovalFilter",
    "ApprovalPage",
    "ApprovalState",
    "Decision",
    "Enrolment",
    "EnrolmentState",
]
