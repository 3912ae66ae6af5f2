"""The same life on PostgreSQL, where several processes of several data directories share one database."""

from __future__ import annotations

from pathlib import Path

from tests.support.databases import Databases
from tests.support.suite import StartSuite


def test_first_start_restart_and_proof(suite: StartSuite, postgresql_databases: Databases, tmp_path: Path) -> None:
    url = postgresql_databases.empty()
    running = suite(tmp_path, database_url=url)
    assert running.api().get("principals").status_code == 200
    assert running.cli_json("tenant", "add", "acme")["name"] == "acme"
    assert running.stop() == 0
    assert not (running.data_dir / "pycryptoutil.db").exists()
    running.start()
    names = {row["name"] for row in running.cli_json("tenant", "list")}
    assert names == {"default", "acme"}
    password = url.partition("://")[2].partition("@")[0].partition(":")[2]
    assert not password or password not in running.log_text()


def test_two_suites_start_at_once_on_one_new_database(
    suite: StartSuite, postgresql_databases: Databases, tmp_path: Path
) -> None:
    url, secret = postgresql_databases.empty(), tmp_path / "unseal-secret"
    secret.write_text("a secret of high entropy that both replicas have " * 2)
    secret.chmod(0o600)
    config = {"barrier": {"mode": "file", "secret_file": str(secret)}}
    replicas = [suite(tmp_path / name, extra_config=config, database_url=url, wait=False) for name in ("one", "two")]
    for replica in replicas:
        replica.wait_ready()
    written = [replica for replica in replicas if (replica.data_dir / "admin.json").exists()]
    assert len(written) == 1  # one first start, whoever was quicker
    secrets = written[0].basic
    for replica in replicas:
        client = replica.http(auth=secrets)
        assert client.get("/service/api/v1/principals").status_code == 200
        assert len(client.get("/service/api/v1/tenants").json()["items"]) == 1


def test_workers_on_postgresql(suite: StartSuite, postgresql_databases: Databases, tmp_path: Path) -> None:
    running = suite(tmp_path, database_url=postgresql_databases.empty(), workers=2)
    for _ in range(10):
        assert running.api().get("principals", headers={"Connection": "close"}).status_code == 200
    assert running.stop() == 0
