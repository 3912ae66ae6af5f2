"""Enrolment credentials: one id and secret for every protocol."""
