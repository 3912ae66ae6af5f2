"""Precedence, origins, refusals and masking of configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from pycryptoutil.errors import ConfigurationError
from pycryptoutil.service import catalogue, config
from pycryptoutil.service.config import MASK, Configuration, Given, Inputs
from pycryptoutil.service.definition import ServiceDefinition


class OwnSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: str = "red"
    webhook_secret: SecretStr | None = None


def definition(name: str = "pki-ca", port: int = 8443) -> ServiceDefinition:
    return ServiceDefinition(name, "PKI", name, port, port + 1, (), lambda _: None, settings=OwnSettings)


PKI, PS = definition(), definition("learn-ps", 8888)


@pytest.fixture(autouse=True)
def _catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "names", lambda: ("learn-ps", "pki-ca"))


def load(
    *files: Path,
    environment: dict[str, str] | None = None,
    services: tuple[ServiceDefinition, ...] = (PKI,),
    **options: Any,
) -> Configuration:
    command_line = {
        tuple(key.replace("__", ".").split(".")): Given(value, f"command line --{key}")
        for key, value in options.items()
    }
    return config.load(services, Inputs(files, environment or {}, command_line))


def write(folder: Path, text: str, name: str = "a.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def origin(loaded: Configuration, key: str) -> str:
    return next(entry.origin for entry in loaded.effective if entry.key == key)


def shown(loaded: Configuration, key: str) -> Any:
    return next(entry.value for entry in loaded.effective if entry.key == key)


def refused(*args: Any, **kwargs: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load(*args, **kwargs)
    assert "\n" not in caught.value.message
    return caught.value


def test_default_is_prod() -> None:
    loaded = load()
    assert loaded.settings.profile == "prod"
    assert loaded.settings.barrier.mode == "shamir"
    assert loaded.services["pki-ca"].plain.enabled is False
    assert origin(loaded, "barrier.mode") == "default"


def test_each_layer_beats_the_next(tmp_path: Path) -> None:
    first = write(tmp_path, "limits:\n  max_body: 2000\n  queue_depth: 7\n", "first.yaml")
    second = write(tmp_path, "profile: test\nlimits: {max_body: 3000}\n", "second.yaml")
    loaded = load(first, second)
    limits = loaded.settings.limits
    assert (limits.max_body, limits.queue_depth, limits.shutdown_timeout) == (3000, 7, 10)
    assert limits.max_header == 32768
    assert origin(loaded, "limits.max_body") == f"{second}:2"
    assert origin(loaded, "limits.queue_depth") == f"{first}:3"
    assert origin(loaded, "limits.shutdown_timeout") == "profile test"

    environment = {"CRYPTOUTIL_LIMITS_MAX_BODY": "4000"}
    loaded = load(first, second, environment=environment)
    assert loaded.settings.limits.max_body == 4000
    assert origin(loaded, "limits.max_body") == "environment CRYPTOUTIL_LIMITS_MAX_BODY"

    loaded = load(first, second, environment=environment, limits__max_body="5000")
    assert loaded.settings.limits.max_body == 5000
    assert origin(loaded, "limits.max_body").startswith("command line")


def test_profile_itself_follows_precedence(tmp_path: Path) -> None:
    file = write(tmp_path, "profile: dev")
    assert load(file).settings.profile == "dev"
    assert load(file, environment={"CRYPTOUTIL_PROFILE": "test"}).settings.public.port == 0
    assert load(file, environment={"CRYPTOUTIL_PROFILE": "test"}, profile="prod").settings.barrier.mode == "shamir"
    assert "profile: must be one of prod, dev, test" in refused(profile="production").message


def test_nested_names_join_by_underscore_without_ambiguity() -> None:
    variables = [leaf.variable for leaf in config.schema_of((PKI, PS)).table.values()]
    assert len(set(variables)) == len(variables)
    loaded = load(
        environment={
            "CRYPTOUTIL_ADMIN_TLS_CLIENT_POLICY": "request",
            "CRYPTOUTIL_PKI_CA_COLOUR": "blue",
            "CRYPTOUTIL_SERVICES_PKI_CA_PUBLIC_PORT": "9443",
            "CRYPTOUTIL_CORS_ORIGINS": "https://a.test,https://b.test",
            "CRYPTOUTIL_REALMS_FILE_USERS": '[{"username": "ann", "password": "x y"}]',
            "OTHER": "1",
        }
    )
    assert loaded.settings.admin.tls.client_policy == "request"
    assert loaded.own["pki-ca"].colour == "blue"  # type: ignore[attr-defined]
    assert loaded.services["pki-ca"].public.port == 9443
    assert loaded.settings.public.port is None
    assert loaded.settings.cors.origins == ("https://a.test", "https://b.test")
    assert loaded.settings.realms.file.users[0].password.get_secret_value() == "x y"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("public:\n  prot: 1\n", ":2: unknown key 'public.prot'; did you mean 'public.port'?"),
        ("pubic: {port: 1}\n", ":1: unknown key 'pubic'; did you mean 'public'?"),
        ("port: 1\n", ":1: unknown key 'port'; did you mean"),
        ("pki_ca:\n  color: x\n", ":2: unknown key 'pki_ca.color'; did you mean 'pki_ca.colour'?"),
        ("services:\n  pki-ca:\n    barrier: {mode: dev}\n", ":3: unknown key 'services.pki-ca.barrier'"),
        ("services:\n  pki-cs: {}\n", ":2: unknown key 'services.pki-cs'; did you mean 'services.pki_ca'?"),
        ("public: 3\n", ":1: public: holds keys, not a value"),
        ("public:\n  port: 1\n  port: 2\n", ":3: key 'port' is given twice (first on line 2)"),
        ("public:\n  port: 70000\n", ":2: public.port: Input should be less than or equal to 65535"),
        ("public:\n\tport: 1\n", ":2: not YAML"),
        ("- 1\n", ":1: must hold keys and values"),
        ("a: &x {}\nb: *x\n", "aliases"),
        ("limits:\n  max_body: lots\n", ":2: limits.max_body: Input should be a valid integer"),
        ("barrier:\n  shares: 2\n  threshold: 3\n", "barrier: threshold is greater than shares"),
    ],
)
def test_bad_file_names_key_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(write(tmp_path, text)).message


def test_unknown_variable_names_the_nearest() -> None:
    message = refused(environment={"CRYPTOUTIL_DATABASE_URI": "x"}).message
    assert message == "environment: unknown variable CRYPTOUTIL_DATABASE_URI; did you mean CRYPTOUTIL_DATABASE_URL?"


def test_sections_of_services_elsewhere_are_left_alone(tmp_path: Path) -> None:
    file = write(tmp_path, "learn_ps: {anything: 1}\nservices: {learn-ps: {public: {port: 1}}}\n")
    assert load(file, environment={"CRYPTOUTIL_LEARN_PS_ANYTHING": "1"}).services.keys() == {"pki-ca"}
    assert "unknown key 'learn_ps.anything'" in refused(file, services=(PKI, PS)).message


def test_missing_file() -> None:
    assert refused(Path("/nowhere.yaml")).message == "cannot read /nowhere.yaml: No such file or directory"


def test_secrets_are_read_masked_and_never_told(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://app:hunter2@db/x\n")
    file = write(
        tmp_path,
        f"database: {{url: 'file://{secret}'}}\n"
        "realms: {file: {users: [{username: ann, password: hunter3}]}}\n"
        "pki_ca: {webhook_secret: hunter4}\n",
    )
    loaded = load(file)
    assert loaded.settings.database.url.get_secret_value() == "postgresql://app:hunter2@db/x"
    assert "hunter" not in repr(loaded) + repr(loaded.settings) + repr(loaded.effective)
    assert shown(loaded, "database.url") == f"file://{secret}"  # where it comes from is no secret
    assert shown(loaded, "realms.file.users") == [{"username": "ann", "password": MASK}]
    assert shown(loaded, "pki_ca.webhook_secret") == MASK

    secret.write_text("postgresql://app:rotated@db/x")
    assert "rotated" in loaded.reload().settings.database.url.get_secret_value()
    secret.unlink()
    assert refused(file).message == f"database.url: cannot read {secret}: No such file or directory"


def test_secret_is_not_told_in_a_value_error() -> None:
    message = refused(environment={"CRYPTOUTIL_REALMS_FILE_USERS": '[{"username": "", "password": "hunter2"}]'}).message
    assert "hunter2" not in message
    assert "realms.file.users" in message


def test_secret_on_the_command_line_is_refused() -> None:
    message = refused(database__url="postgresql://u:p@h/d").message
    assert "does not belong on the command line" in message
    assert "u:p" not in message


@pytest.mark.parametrize(
    ("tls", "key"),
    [
        ("certificate: /a", "public.tls.private_key"),
        ("private_key: /a", "public.tls.certificate"),
        ("issuer_certificate: /a", "public.tls.issuer_key"),
        ("issuer_key: /a", "public.tls.issuer_certificate"),
        ("certificate: /a, private_key: /b, issuer_certificate: /c, issuer_key: /d", "public.tls.issuer_certificate"),
        ("mode: static", "public.tls.mode"),
        ("mode: auto, certificate: /a, private_key: /b", "public.tls.mode"),
        ("client_policy: require-and-verify", "public.tls.client_ca"),
        ("certificate: /nowhere, private_key: /nowhere", "public.tls.certificate"),
    ],
)
def test_contradicting_tls_is_refused_naming_the_key(tmp_path: Path, tls: str, key: str) -> None:
    error = refused(write(tmp_path, f"public: {{tls: {{{tls}}}}}"))
    assert error.key == key
    assert key in error.message


def test_a_bundle_alone_does_not_change_the_policy(tmp_path: Path) -> None:
    bundle = write(tmp_path, "-----BEGIN CERTIFICATE-----", "ca.pem")
    loaded = load(write(tmp_path, f"public: {{tls: {{client_ca: '{bundle}'}}}}"))
    assert loaded.services["pki-ca"].public.tls.client_policy == "none"


def test_admin_answers_on_loopback_only() -> None:
    for address in ("0.0.0.0", "::1", "localhost"):
        error = refused(environment={"CRYPTOUTIL_ADMIN_BIND_ADDRESS": address})
        assert "admin.bind_address: the admin listener answers on 127.0.0.1 only" in error.message


def test_suite_refuses_one_port_for_two_services(tmp_path: Path) -> None:
    error = refused(environment={"CRYPTOUTIL_PUBLIC_PORT": "9000"}, services=(PKI, PS))
    assert "public.port: is the same for pki-ca and learn-ps" in error.message
    file = write(tmp_path, "services: {learn-ps: {public: {port: 9001}}}")
    loaded = load(file, environment={"CRYPTOUTIL_PUBLIC_PORT": "9000"}, services=(PKI, PS))
    assert [loaded.services[name].public.port for name in ("pki-ca", "learn-ps")] == [9000, 9001]
    assert load(environment={"CRYPTOUTIL_PUBLIC_PORT": "0"}, services=(PKI, PS)).services["learn-ps"].public.port == 0


def test_override_keeps_the_rest_of_its_section(tmp_path: Path) -> None:
    file = write(tmp_path, "limits: {max_body: 5000, queue_depth: 9}\nservices: {pki-ca: {limits: {max_body: 6000}}}")
    limits = load(file).services["pki-ca"].limits
    assert (limits.max_body, limits.queue_depth) == (6000, 9)


def test_file_barrier_needs_its_secret() -> None:
    assert refused(environment={"CRYPTOUTIL_BARRIER_MODE": "file"}).key == "barrier.secret_file"


def test_database_of_another_kind() -> None:
    assert (
        "must start with sqlite:/// or postgresql://"
        in refused(environment={"CRYPTOUTIL_DATABASE_URL": "mysql://secret@host"}).message
    )


def test_unquoted_tls_version(tmp_path: Path) -> None:
    assert load(write(tmp_path, "public: {tls: {minimum_version: 1.2}}")).settings.public.tls.minimum_version == "1.2"


def test_changes_that_wait_for_the_next_start(tmp_path: Path) -> None:
    file = write(tmp_path, "database: {url: 'postgresql://u:one@h/d'}\n")
    before = load(file)
    assert before.needing_restart(before.reload()) == ()
    text = (
        "database: {url: 'postgresql://u:two@h/d'}\npublic: {port: 7}\npki_ca: {colour: x}\nlogging: {level: error}\n"
    )
    write(tmp_path, text)
    assert before.needing_restart(before.reload()) == ("database.url", "pki_ca.colour", "public.port")
