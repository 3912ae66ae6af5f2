"""Row-level security on PostgreSQL; nothing on SQLite."""

from __future__ import annotations

import re
from typing import Any, Final

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,50}")
_TENANT: Final = "current_setting('app.tenant', true)"


def enable(op: Any, table: str, *, system: bool = False) -> None:
    """Let a transaction see and write only the rows of the tenant it was opened for.

    FORCE makes it bite the table's owner too, which the application usually is. With ``system`` the transactions of
    SYSTEM_TENANT see all rows: for what must be found before the tenant is known, such as a session by its token.
    """
    if op.get_context().dialect.name != "postgresql":
        return
    if not _NAME.fullmatch(table):
        message = f"not a table name: {table!r}"
        raise ValueError(message)
    rule = f"tenant_id = {_TENANT}"
    if system:
        rule = f"({rule} OR {_TENANT} = 'system')"
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {table}_tenant ON {table} USING ({rule}) WITH CHECK ({rule})")


def append_only(op: Any, table: str) -> None:
    """Refuse UPDATE and DELETE on ``table``, whoever asks."""
    if not _NAME.fullmatch(table):
        message = f"not a table name: {table!r}"
        raise ValueError(message)
    if op.get_context().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    )
