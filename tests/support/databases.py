"""A fresh database for each test, of both kinds.

PostgreSQL is Debian's package, started once a session in a temporary directory as an unprivileged user. The
application's role there is no superuser, so that row-level security bites. Fresh databases are copies of a migrated
template: about 20 ms on PostgreSQL where scratch.py finds memory, one file copy on SQLite.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from pycryptoutil.clock import SystemClock
from pycryptoutil.storage import Database, migrate

APPLICATION = "application"
_ADMINISTRATOR = "administrator"
_READY_SECONDS = 30
_CLOCK = SystemClock()
_HASTY = ("wal_level=minimal", "max_wal_senders=0", "wal_init_zero=off", "max_wal_size=4GB", "checkpoint_timeout=1h")


class MissingPostgresError(Exception):
    """There are no PostgreSQL programs on this machine."""


def _programs() -> Path:
    given = os.environ.get("PYCRYPTOUTIL_POSTGRESQL_BIN")
    found = [Path(given)] if given else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for path in found:
        if (path / "initdb").exists():
            return path
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    raise MissingPostgresError


def _unprivileged() -> list[str]:
    """Return the prefix that drops root, which PostgreSQL refuses to run as."""
    if os.geteuid() != 0:
        return []
    for user in ("postgres", "nobody"):
        if subprocess.run(["id", user], capture_output=True, check=False).returncode == 0:
            return ["setpriv", f"--reuid={user}", "--regid", _group_of(user), "--clear-groups"]
    raise MissingPostgresError


def _group_of(user: str) -> str:
    return subprocess.run(["id", "-g", user], capture_output=True, check=True, text=True).stdout.strip()


class PostgresCluster:
    """One server of its own, which a test may stop, kill and start again."""

    def __init__(self, *, durable: bool = False, settings: Sequence[str] = (), directory: Path | None = None) -> None:
        """``durable`` leaves fsync on; only measurements and power-cut tests need it."""
        self._bin = _programs()
        self._prefix = _unprivileged()
        self._owned = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="pycryptoutil-pg-"))
        self._data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._settings = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            f"fsync={'on' if durable else 'off'}",
            f"full_page_writes={'on' if durable else 'off'}",
            "shared_buffers=32MB",
            "autovacuum=off",
            *(() if durable else _HASTY),
            *settings,
        ]
        if self._prefix:
            shutil.chown(self.directory, int(self._as_user("id", "-u")), int(self._as_user("id", "-g")))
        self._as_user(
            str(self._bin / "initdb"), "-D", str(self._data), "-A", "trust", "-U", _ADMINISTRATOR, "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        self.start()
        with self.administrator() as connection:
            connection.execute(f"CREATE ROLE {APPLICATION} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB")

    def _as_user(self, *command: str) -> str:
        done = subprocess.run([*self._prefix, *command], capture_output=True, check=False, text=True, cwd="/")
        assert done.returncode == 0, f"{command[0]}: {done.stderr}"
        return done.stdout.strip()

    def start(self) -> None:
        """Start and wait until it answers."""
        options = [part for setting in self._settings for part in ("-c", setting)]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, str(self._bin / "postgres"), "-D", str(self._data), *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,  # Ctrl-C at the tests is no smart shutdown under them
            )
        end = _CLOCK.monotonic() + _READY_SECONDS
        while True:
            try:
                self.administrator().close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.directory / "log").read_text()
                assert _CLOCK.monotonic() < end, "PostgreSQL does not come up"
                _CLOCK.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT is a fast shutdown, SIGQUIT an immediate one, like a crash."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(timeout=_READY_SECONDS)
        self._process = None

    def close(self) -> None:
        """Stop it and remove its files."""
        self.stop(signal.SIGQUIT)
        if self._owned:
            shutil.rmtree(self.directory, ignore_errors=True)

    def administrator(self, name: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Connect as the superuser."""
        url = f"postgresql://{_ADMINISTRATOR}@127.0.0.1:{self.port}/{name}"
        return psycopg.connect(url, autocommit=True, connect_timeout=5)

    def url(self, name: str) -> str:
        """Return what the application is configured with."""
        return f"postgresql://{APPLICATION}@127.0.0.1:{self.port}/{name}"

    def create(self, template: str = "template0") -> str:
        """Create a database of the application's own; return its name."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        with self.administrator() as connection:
            options = f"OWNER {APPLICATION} TEMPLATE {template} STRATEGY FILE_COPY"  # without fsync twice as fast
            connection.execute(f"CREATE DATABASE {name} {options}")
            if template == "template0":
                connection.execute(f"ALTER DATABASE {name} OWNER TO {APPLICATION}")
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        with self.administrator() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class Databases:
    """Makes fresh databases of one kind, migrated for the given packages."""

    def __init__(self, dialect: str, directory: Path, cluster: PostgresCluster | None = None) -> None:
        self.dialect = dialect
        self._directory = directory
        self._cluster = cluster
        self._templates: dict[tuple[str, ...], str] = {}
        self._created: list[str] = []

    def empty(self) -> str:
        """Return the url of a database without tables."""
        if self._cluster is None:
            path = self._directory / uuid.uuid4().hex / "pycryptoutil.db"
            path.parent.mkdir()
            self._created.append(str(path.parent))
            return f"sqlite:///{path}"
        name = self._cluster.create()
        self._created.append(name)
        return self._cluster.url(name)

    def fresh(self, packages: Sequence[str] = ()) -> str:
        """Return the url of a database with the tables of the template and of ``packages``."""
        key = tuple(packages)
        if key not in self._templates:
            self._templates[key] = self._template(key)
        if self._cluster is None:
            url = self.empty()
            shutil.copyfile(self._templates[key], url.removeprefix("sqlite:///"))
            return url
        name = self._cluster.create(self._templates[key])
        self._created.append(name)
        return self._cluster.url(name)

    def _template(self, packages: tuple[str, ...]) -> str:
        path = self._directory / f"{uuid.uuid4().hex}.db"
        name = "" if self._cluster is None else self._cluster.create()
        url = f"sqlite:///{path}" if self._cluster is None else self._cluster.url(name)
        database = Database.open(url, clock=SystemClock())
        try:
            migrate.upgrade(database, packages)
        finally:
            database.close()
        return name or url.removeprefix("sqlite:///")

    @contextlib.contextmanager
    def dropping(self) -> Iterator[Databases]:
        """Drop what is made within; the templates stay, and what was made before."""
        before = len(self._created)
        try:
            yield self
        finally:
            self._drop(before)

    def _drop(self, before: int) -> None:
        while len(self._created) > before:
            name = self._created.pop()
            if self._cluster is None:
                shutil.rmtree(name, ignore_errors=True)
                continue
            with contextlib.suppress(psycopg.OperationalError):  # a test may have left its server stopped
                self._cluster.drop(name)


def postgres_or_skip(make: Callable[[], PostgresCluster]) -> PostgresCluster:
    """Return a cluster; without PostgreSQL that is an error in CI and one named skip elsewhere."""
    try:
        return make()
    except MissingPostgresError:
        reason = "PostgreSQL is not installed (apt-get install postgresql)"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """The session's PostgreSQL server."""
    cluster = postgres_or_skip(PostgresCluster)
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def _sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return Databases("sqlite", tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def _postgresql_databases(postgres_cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return Databases("postgresql", tmp_path_factory.mktemp("postgresql"), postgres_cluster)


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """Make fresh databases: ``databases.fresh(("pycryptoutil.authority",))`` and ``databases.empty()``."""
    found: Databases = request.getfixturevalue(f"_{request.param}_databases")
    with found.dropping():
        yield found


@pytest.fixture
def sqlite_databases(_sqlite_databases: Databases) -> Iterator[Databases]:
    """Make fresh SQLite databases, for tests that need not run on both kinds."""
    with _sqlite_databases.dropping():
        yield _sqlite_databases


@pytest.fixture
def postgresql_databases(_postgresql_databases: Databases) -> Iterator[Databases]:
    """Make fresh PostgreSQL databases, for tests of what only it does."""
    with _postgresql_databases.dropping():
        yield _postgresql_databases


@pytest.fixture
def database_url(databases: Databases) -> str:
    """A fresh database of either kind with the template's tables."""
    return databases.fresh()


@pytest.fixture
def empty_database_url(databases: Databases) -> str:
    """A fresh database of either kind without tables."""
    return databases.empty()


@pytest.fixture
def open_database() -> Iterator[Callable[[str], Database]]:
    """Open databases by url that are closed after the test."""
    opened: list[Database] = []

    def open_(url: str) -> Database:
        database = Database.open(url, clock=SystemClock())
        opened.append(database)
        return database

    yield open_
    for database in opened:
        database.close()


@pytest.fixture
def database(database_url: str, open_database: Callable[[str], Database]) -> Database:
    """An open fresh database of either kind with the template's tables."""
    return open_database(database_url)
