"""What lies under deploy/ fits the program: configurations are valid, ports are the services' own, no secret is in it.

Nothing here needs a container engine: deploy/try.sh does the trial with one.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pycryptoutil.cli import COMMANDS
from pycryptoutil.service import catalogue
from pycryptoutil.service.config import schema_of
from pycryptoutil.service.definition import ServiceDefinition
from tests.support import programs
from tests.support.suite import call_cli

DEPLOY = programs.ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
KUBERNETES = DEPLOY / "kubernetes"
SECRETS = {"unseal", "database_url", "public.pem", "public.key"}
DATABASE_SECRETS = {"postgres_password", "database_password"}
PROGRAM_UID = 10001

Document = Mapping[str, Any]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that deploy/secrets/make.sh makes, and those that only samples of other set-ups name."""
    programs.need("openssl")
    folder = tmp_path_factory.mktemp("secrets") / "files"
    programs.run(DEPLOY / "secrets" / "make.sh", folder, "ca.example.test", "10.1.2.3")
    (folder / "otlp_headers").write_text("authorization=Bearer%20x\n")
    (folder / "collector-ca.pem").write_bytes((folder / "trust.pem").read_bytes())
    return folder


def placed(text: str, folder: Path, secrets: Path) -> Path:
    """Write a configuration with its secrets where these are."""
    here = re.sub(r"file:///run/secrets/(pycryptoutil/)?", f"file://{secrets}/", text)
    path = folder / "sample.yaml"
    path.write_text(here.replace("/etc/pycryptoutil/", f"{secrets}/"))
    return path


SAMPLES = (  # file, what is run with it, beside which other file
    ("pki-ca.yaml", "pki-ca", ""),
    ("pki-ca.yaml", "pki", ""),
    ("sm-kms.yaml", "sm-kms", ""),
    ("suite.yaml", "suite", ""),
    ("container.yaml", "suite", ""),
    *(("container.yaml", name, "") for name in catalogue.names()),
    ("telemetry.yaml", "suite", "suite.yaml"),
)


@pytest.mark.parametrize(("name", "selection", "below"), SAMPLES)
def test_every_sample_configuration_is_valid(
    name: str, selection: str, below: str, secrets: Path, tmp_path: Path
) -> None:
    (tmp_path / "below").mkdir()
    files: list[str | Path] = []
    if below:
        files = ["--config", placed((DEPLOY / "config" / below).read_text(), tmp_path / "below", secrets)]
    files += ["--config", placed((DEPLOY / "config" / name).read_text(), tmp_path, secrets)]
    done = call_cli("config", "check", selection, *files)
    assert done.returncode == 0, done.stderr
    assert "valid: " in done.stdout


def test_no_sample_is_forgotten() -> None:
    assert {path.name for path in (DEPLOY / "config").iterdir()} == {name for name, _, _ in SAMPLES}


def test_an_unknown_key_of_a_sample_would_be_told(secrets: Path, tmp_path: Path) -> None:
    text = (DEPLOY / "config" / "container.yaml").read_text().replace("pool_size", "pool_sise")
    done = call_cli("config", "check", "pki-ca", "--config", placed(text, tmp_path, secrets))
    assert done.returncode == 3
    assert "pool_size" in done.stderr


# --- the secrets that the script makes ---------------------------------------------------------------------------------


def test_made_secrets_are_those_that_the_files_refer_to(secrets: Path) -> None:
    made = {path.name for path in secrets.iterdir()}
    assert SECRETS | DATABASE_SECRETS | {"trust.pem", "trust.key"} <= made
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert (secrets / "database_password").read_text().strip() in (secrets / "database_url").read_text()
    assert len({(secrets / name).read_bytes() for name in made}) == len(made) - 1  # one copy, which this module made


def test_making_secrets_again_changes_none(secrets: Path) -> None:
    before = {path: path.read_bytes() for path in secrets.iterdir()}
    programs.run(DEPLOY / "secrets" / "make.sh", secrets)
    assert {path: path.read_bytes() for path in secrets.iterdir()} == before


def test_the_readme_tells_every_secret() -> None:
    text = (DEPLOY / "secrets" / "README.md").read_text()
    assert all(f"`{name}`" in text for name in SECRETS | DATABASE_SECRETS)


def test_no_secret_value_is_under_deploy() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "deploy", ".dockerignore"],
        cwd=programs.ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert listed
    value = re.compile(r"(?im)^[^#\n]*(password|secret|token|_key)[\"']?(?::[ \t]+|=[ \t]*)[\"']?(?!file:|/|\$|\{|\[|:)[\w+/=-]{8,}")
    for name in listed:
        text = (programs.ROOT / name).read_text()
        assert "PRIVATE KEY" not in text, name
        told = re.sub(r"\S*/\S*", "", text)
        if name == "deploy/config/sm-kms.yaml":  # an RFC 7638 thumbprint, which is a public key's digest
            told = re.sub(r"(?<=recovery_keys:\n    - )[\w-]{43}", "", told)
        assert not re.search(r"[A-Za-z0-9+/_-]{40,}={0,2}\b(?<!_)", told), name
        assert not re.search(r"postgresql://\w+:[^%…@\s]+@", text), name
        assert not value.search(text), (name, value.search(text))


# --- compose -----------------------------------------------------------------------------------------------------------


def composed(name: str) -> dict[str, Document]:
    """The services of one file, with what they extend merged in."""
    found = yaml.safe_load((COMPOSE / name).read_text())["services"]
    return {service: _extended(own) for service, own in found.items()}


def _extended(own: Document) -> Document:
    above = own.get("extends")
    if above is None:
        return own
    base = yaml.safe_load((COMPOSE / above["file"]).read_text())["services"][above["service"]]
    merged = dict(base)
    for key, value in own.items():
        if key == "volumes":
            merged[key] = [*base.get(key, ()), *value]
        elif key == "environment":
            merged[key] = {**base.get(key, {}), **value}
        else:
            merged[key] = value
    return merged


FILES = ("pki-ca.yaml", "pki.yaml", "suite.yaml")
PROGRAMS = tuple((file, name) for file in FILES for name in composed(file) if name != "postgresql")


def run_by(own: Document) -> tuple[ServiceDefinition, ...]:
    """The services that a container's command runs."""
    command, selection = own["command"][:2]
    assert command == "run"
    return catalogue.select(selection)


def test_every_compose_file_is_looked_at() -> None:
    assert {path.name for path in COMPOSE.glob("*.yaml")} == {*FILES, "base.yaml"}


def test_the_suite_holds_every_service() -> None:
    held = [found.name for name, own in composed("suite.yaml").items() if name != "postgresql" for found in run_by(own)]
    assert set(held) == set(catalogue.names()), "a new service belongs into deploy/compose/suite.yaml"


@pytest.mark.parametrize(("file", "name"), PROGRAMS)
class TestProgramContainer:
    """Every container of the program, in every compose file."""

    def test_ports_are_the_services_own(self, file: str, name: str) -> None:
        own = composed(file)[name]
        published = {int(entry.rpartition(":")[2]) for entry in own["ports"]}
        expected = {port for found in run_by(own) for port in (found.public_port, found.plain_port) if port is not None}
        assert published == expected  # and so no admin listener

    def test_its_health_check_is_a_command_of_the_program(self, file: str, name: str) -> None:
        own = composed(file)[name]
        kind, program, command, service = own["healthcheck"]["test"]
        assert (kind, program, command) == ("CMD", "pycryptoutil", "livez")
        assert command in COMMANDS
        assert service in {found.name for found in run_by(own)} | {"suite"}

    def test_its_variables_are_known(self, file: str, name: str) -> None:
        own = composed(file)[name]
        known = set(schema_of(run_by(own)).variables)
        assert {entry for entry in own["environment"] if entry.startswith("CRYPTOUTIL_")} <= known

    def test_it_is_confined(self, file: str, name: str) -> None:
        own = composed(file)[name]
        assert own["read_only"] is True
        assert own["cap_drop"] == ["ALL"]
        assert own["user"] == f"{PROGRAM_UID}:{PROGRAM_UID}"
        assert "no-new-privileges:true" in own["security_opt"]
        assert not own.get("privileged")
        assert "network_mode" not in own

    def test_its_secrets_are_files_that_are_declared(self, file: str, name: str) -> None:
        own = composed(file)[name]
        declared = yaml.safe_load((COMPOSE / file).read_text())["secrets"]
        assert set(own["secrets"]) == SECRETS
        assert set(declared) == SECRETS | DATABASE_SECRETS
        for secret, where in declared.items():
            assert where["file"] == f"${{SECRETS:-../secrets/files}}/{secret}"

    def test_what_it_mounts_is_there_and_its_volumes_are_declared(self, file: str, name: str) -> None:
        document, own = yaml.safe_load((COMPOSE / file).read_text()), composed(file)[name]
        for entry in own["volumes"]:
            source = entry.partition(":")[0]
            assert (COMPOSE / source).exists() if source.startswith(".") else source in document["volumes"]
        assert f"/etc/pycryptoutil/{Path(own['command'][-1]).name}" == own["command"][-1]

    def test_the_database_is_reached_by_it_and_by_nobody_outside(self, file: str, name: str) -> None:
        document = yaml.safe_load((COMPOSE / file).read_text())
        database = composed(file)["postgresql"]
        assert "ports" not in database
        assert database["networks"] == ["database"]
        assert document["networks"]["database"] == {"internal": True}
        assert "database" in composed(file)[name]["networks"]
        assert set(database["secrets"]) == DATABASE_SECRETS


@pytest.mark.parametrize("file", ["pki-ca.yaml", "suite.yaml"])
def test_two_replicas_of_pki_ca_differ_in_nothing_but_their_ports(file: str) -> None:
    """Fixed ones: the engine takes any of a range, and certificates say where the plain listener is."""
    first, second = (dict(composed(file)[name]) for name in ("pki-ca", "pki-ca-2"))
    ports = [[int(entry.split(":")[-2]) for entry in own.pop("ports")] for own in (first, second)]
    assert first == second
    assert ports == [[8443, 8450], [8444, 8451]]
    assert first["environment"]["CRYPTOUTIL_PLAIN_URL"].endswith(f":{ports[0][1]}}}")


def test_ports_of_one_host_do_not_collide() -> None:
    taken: list[int] = []
    for name, own in composed("suite.yaml").items():
        for entry in () if name == "postgresql" else own["ports"]:
            taken.append(int(entry.split(":")[-2]))
    assert len(taken) == len(set(taken))


# --- the image ---------------------------------------------------------------------------------------------------------


def instructions() -> Iterator[tuple[str, str]]:
    text = re.sub(r"(?m)^#.*\n", "", (DEPLOY / "Containerfile").read_text()).replace("\\\n", " ")
    for line in filter(str.strip, text.splitlines()):
        word, _, rest = line.partition(" ")
        yield word, " ".join(rest.split())


def last_stage() -> list[tuple[str, str]]:
    found = list(instructions())
    start = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def test_the_image_runs_as_nobody_in_particular() -> None:
    stage = last_stage()
    assert stage[0] == ("FROM", "${BASE}")
    assert [rest for word, rest in stage if word == "USER"] == [f"{PROGRAM_UID}:{PROGRAM_UID}"]
    assert ("ENTRYPOINT", '["pycryptoutil"]') in stage  # no shell: signals reach the program
    assert ("STOPSIGNAL", "SIGTERM") in stage


def test_the_image_exposes_what_services_listen_on() -> None:
    exposed = {int(port) for word, rest in last_stage() if word == "EXPOSE" for port in rest.split()}
    services = [catalogue.definition(name) for name in catalogue.names()]
    assert exposed == {port for one in services for port in (one.public_port, one.plain_port) if port is not None}


def test_the_images_variables_are_known() -> None:
    variables = {key for word, rest in last_stage() if word == "ENV" for key in re.findall(r"(\w+)=", rest)}
    assert {"CRYPTOUTIL_PROCESS_READY_FILE", "PYCRYPTOUTIL_READY_FILE"} <= variables
    known = schema_of(catalogue.select("suite")).variables
    assert {name for name in variables if name.startswith("CRYPTOUTIL_")} <= set(known)


def test_the_images_health_check_and_command_exist() -> None:
    [health] = [rest for word, rest in last_stage() if word == "HEALTHCHECK"]
    assert 'CMD ["pycryptoutil", "livez", "suite"]' in health
    [command] = [yaml.safe_load(rest) for word, rest in last_stage() if word == "CMD"]
    assert command[0] in COMMANDS


def test_nothing_secret_can_get_into_the_image() -> None:
    found = list(instructions())
    assert {rest.partition("=")[0] for word, rest in found if word == "ARG"} == {"BUILDER", "BASE"}
    ignored = (programs.ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in ignored  # everything, but what is named
    copied = [rest.split()[:-1] for word, rest in found if word == "COPY" and not rest.startswith("--from=")]
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert {source for sources in copied for source in sources} == allowed
    assert not {"deploy", ".dev", ".git", "tests"} & allowed
    assert all((programs.ROOT / source).exists() for source in allowed)


def test_the_locks_of_the_image_agree_with_the_one_that_is_tested() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (programs.ROOT / "requirements" / name).read_text()
        return dict(re.findall(r"(?m)^([a-z0-9-]+)==([^ ;\\]+)", text))

    tested = {**pins("dev.lock"), "hatchling": pins("build.lock")["hatchling"]}
    for lock in ("run.lock", "build.lock"):
        both = {name: (version, tested[name]) for name, version in pins(lock).items() if name in tested}
        assert all(mine == theirs for mine, theirs in both.values()), both
    assert not set(pins("run.lock")) - set(tested), "what runs is tested"


# --- kubernetes --------------------------------------------------------------------------------------------------------


def resources() -> dict[tuple[str, str], Document]:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    found = [one for name in listed for one in yaml.safe_load_all((KUBERNETES / name).read_text())]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


RESOURCES = resources()
WORKLOADS = tuple(key for key in RESOURCES if key[0] in {"StatefulSet", "Deployment"})


def pod(key: tuple[str, str]) -> tuple[Document, Document]:
    template = RESOURCES[key]["spec"]["template"]["spec"]
    [container] = template["containers"]
    return template, container


def test_every_kubernetes_file_is_listed() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in KUBERNETES.glob("*.yaml")} == {*listed, "kustomization.yaml"}


def test_the_cluster_holds_every_service() -> None:
    assert sorted(name for _, name in WORKLOADS) == sorted(catalogue.names()), "a new service: deploy/kubernetes/"


@pytest.mark.parametrize("name", catalogue.names())
def test_the_configuration_of_the_cluster_is_valid(name: str, secrets: Path, tmp_path: Path) -> None:
    text = RESOURCES["ConfigMap", "pycryptoutil"]["data"]["pycryptoutil.yaml"]
    done = call_cli("config", "check", name, "--config", placed(text, tmp_path, secrets))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("key", WORKLOADS, ids=lambda key: key[1])
class TestWorkload:
    """Every StatefulSet and Deployment."""

    def test_ports_are_the_services_own(self, key: tuple[str, str]) -> None:
        _, container = pod(key)
        found = catalogue.definition(key[1])
        ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
        plain = {} if found.plain_port is None else {"plain": found.plain_port}
        assert ports == {"public": found.public_port, **plain}
        service = RESOURCES["Service", key[1]]["spec"]
        assert {entry["name"]: entry["port"] for entry in service["ports"]} == ports
        assert all(entry["targetPort"] == entry["name"] for entry in service["ports"])

    def test_what_selects_it_selects_it(self, key: tuple[str, str]) -> None:
        workload = RESOURCES[key]["spec"]
        labels = workload["template"]["metadata"]["labels"].items()
        selectors = [
            workload["selector"]["matchLabels"],
            RESOURCES["Service", key[1]]["spec"]["selector"],
            RESOURCES["PodDisruptionBudget", key[1]]["spec"]["selector"]["matchLabels"],
            RESOURCES["NetworkPolicy", key[1]]["spec"]["podSelector"]["matchLabels"],
            RESOURCES["NetworkPolicy", "database-and-names"]["spec"]["podSelector"]["matchLabels"],
        ]
        assert all(selector.items() <= labels for selector in selectors)
        if key[0] == "StatefulSet":
            assert RESOURCES["Service", workload["serviceName"]]["spec"]["clusterIP"] == "None"

    def test_one_may_always_go(self, key: tuple[str, str]) -> None:
        budget = RESOURCES["PodDisruptionBudget", key[1]]["spec"]
        assert budget["minAvailable"] < RESOURCES[key]["spec"]["replicas"]

    def test_the_network_lets_in_what_listens(self, key: tuple[str, str]) -> None:
        _, container = pod(key)
        [rule] = RESOURCES["NetworkPolicy", key[1]]["spec"]["ingress"]
        assert {entry["port"] for entry in rule["ports"]} == {entry["name"] for entry in container["ports"]}

    def test_its_commands_exist(self, key: tuple[str, str]) -> None:
        _, container = pod(key)
        probes = {kind: container[f"{kind}Probe"]["exec"]["command"] for kind in ("startup", "liveness", "readiness")}
        asked = {"startup": "livez", "liveness": "livez", "readiness": "readyz"}
        assert probes == {kind: ["pycryptoutil", command, key[1]] for kind, command in asked.items()}
        assert set(asked.values()) <= set(COMMANDS)
        assert container["args"][:2] == ["run", key[1]]
        mounts = {entry["mountPath"] for entry in container["volumeMounts"]}
        assert str(Path(container["args"][-1]).parent) in mounts

    def test_its_variables_are_known(self, key: tuple[str, str]) -> None:
        _, container = pod(key)
        known = set(schema_of(catalogue.select(key[1])).variables)
        assert {entry["name"] for entry in container["env"]} <= known
        assert all("valueFrom" not in entry for entry in container["env"])  # a secret is a file, never a variable

    def test_it_is_confined(self, key: tuple[str, str]) -> None:
        template, container = pod(key)
        assert template["securityContext"]["runAsUser"] == PROGRAM_UID
        assert template["securityContext"]["runAsNonRoot"] is True
        assert template["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert template["automountServiceAccountToken"] is False
        assert template["serviceAccountName"] == RESOURCES["ServiceAccount", "pycryptoutil"]["metadata"]["name"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }

    def test_what_it_writes_is_mounted(self, key: tuple[str, str]) -> None:
        template, container = pod(key)
        mounts = {entry["mountPath"]: entry["name"] for entry in container["volumeMounts"]}
        assert {"/tmp", "/run/pycryptoutil", "/var/lib/pycryptoutil"} <= set(mounts)
        claimed = [claim["metadata"]["name"] for claim in RESOURCES[key]["spec"].get("volumeClaimTemplates", ())]
        volumes = {entry["name"]: entry for entry in template["volumes"]}
        assert set(mounts.values()) == {*volumes, *claimed}
        # the cluster gives the volume's group write permission, which a data directory must not have
        configuration = yaml.safe_load(RESOURCES["ConfigMap", "pycryptoutil"]["data"]["pycryptoutil.yaml"])
        assert Path(configuration["data_dir"]).parent == Path("/var/lib/pycryptoutil")

    def test_its_secrets_are_references(self, key: tuple[str, str]) -> None:
        template, _ = pod(key)
        secret = next(entry["secret"] for entry in template["volumes"] if "secret" in entry)
        assert secret["secretName"] == "pycryptoutil"
        assert secret["defaultMode"] == 0o440
        assert {item["key"] for item in secret["items"]} == {item["path"] for item in secret["items"]} == SECRETS

    def test_it_has_time_to_drain(self, key: tuple[str, str]) -> None:
        template, container = pod(key)
        waited = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
        assert template["terminationGracePeriodSeconds"] > waited + 30 + 5  # limits.shutdown_timeout, and the grace


def test_the_cluster_holds_no_secret() -> None:
    assert not [key for key in RESOURCES if key[0] == "Secret"]


def test_nothing_is_open_by_default() -> None:
    policy = RESOURCES["NetworkPolicy", "nothing-else"]["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


# --- systemd -----------------------------------------------------------------------------------------------------------

UNIT = DEPLOY / "systemd" / "pycryptoutil@.service"


def unit(section: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    here = ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            here = line.strip("[]")
        elif here == section and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_units_command_lines_are_understood(secrets: Path, tmp_path: Path) -> None:
    service = unit("Service")
    for name in catalogue.names():
        words = shlex.split(service["ExecStart"][0].replace("%i", name))
        assert words[1:3] == ["run", name]
        assert call_cli(*words[1:], "--help").returncode == 0
    check = shlex.split(service["ExecStartPre"][0].replace("%i", "pki-ca"))[1:]
    check[check.index("--config") + 1] = str(
        placed((DEPLOY / "config" / "pki-ca.yaml").read_text(), tmp_path, secrets)
    )
    assert call_cli(*check).returncode == 0


def test_instances_of_the_unit_do_not_take_one_anothers_ready_file() -> None:
    service = unit("Service")
    words = shlex.split(service["ExecStart"][0])
    [runtime] = service["RuntimeDirectory"]  # removed when the instance ends
    assert "%i" in runtime
    assert Path(words[words.index("--ready-file") + 1]).parent == Path("/run") / runtime


def test_the_unit_lets_the_kernel_be_asked_for_its_clock() -> None:
    """adjtimex, and clock_adjtime by which glibc asks, are in @clock, which is in @privileged: without them no time-stamp would be given."""
    service = unit("Service")
    assert "ProtectClock" not in service
    assert service["SystemCallFilter"][-1].split() == ["adjtimex", "clock_adjtime"]  # after what it is an exception of


def test_systemd_finds_no_mistake_in_the_unit(tmp_path: Path) -> None:
    programs.need("systemd-analyze")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/pycryptoutil/bin/pycryptoutil", "/bin/true"))
    done = programs.run("systemd-analyze", "verify", copy)
    assert done.text.strip() == ""
    told = programs.run("systemd-analyze", "security", "--offline=true", "--no-pager", UNIT).text
    exposure = re.search(r"exposure level[^:]*: ([\d.]+)", told)
    assert exposure is not None
    assert float(exposure[1]) < 2.0


# --- scripts -----------------------------------------------------------------------------------------------------------

SCRIPTS = tuple(sorted(DEPLOY.rglob("*.sh")))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse_and_can_be_run(script: Path) -> None:
    shell = script.read_text().splitlines()[0].removeprefix("#!").split()[-1]
    programs.run(shell, "-n", script)
    assert script.stat().st_mode & 0o111


def test_no_script_names_a_registry() -> None:
    for path in (*SCRIPTS, DEPLOY / "Containerfile", *COMPOSE.glob("*.yaml"), *KUBERNETES.glob("*.yaml")):
        for word in re.findall(r"(?m)^[^#\n]*?(?:image|FROM|ARG \w+)[:= ]+(\S+)", path.read_text()):
            host, slash, _ = word.strip("\"'").partition("/")
            assert not (slash and ("." in host or ":" in host) and not host.startswith("$")), (path.name, word)
