"""The command line itself: quick help, exit codes, one line for each failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pycryptoutil import cli
from pycryptoutil.cli import exits
from tests.support.suite import call_cli, environment


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    assert f"pycryptoutil {name}" in capsys.readouterr().out


def _leaves() -> list[list[str]]:
    import click

    found = []

    def walk(command: click.Command, path: list[str]) -> None:
        if isinstance(command, click.Group) and path:
            for name in command.commands:
                walk(command.commands[name], [*path, name])
        elif path:
            found.append(path)

    context = click.Context(cli.cli)
    for name in cli.COMMANDS:
        command = cli.cli.get_command(context, name)
        assert command is not None
        walk(command, [name])
    return found


def test_every_leaf_explains_itself_and_answers_in_json() -> None:
    import click

    streams = {
        ("run",),
        ("tour",),
        ("openapi",),
        ("audit", "export"),
        ("audit", "heads"),
    }  # documents or a service, not an answer
    for path in _leaves():
        command: click.Command = cli.cli
        for name in path:
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(command), name)
            assert found is not None
            command = found
        assert command.help, path
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options or tuple(path) in streams, path


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pycryptoutil import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'twisted', 'sqlalchemy', 'cryptography', 'httpx', 'rich'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nonsense",), exits.USAGE, "there is no command 'nonsense'"),
        (("reday",), exits.USAGE, "did you mean 'readyz'?"),
        (("config", "check", "pki-cs"), exits.CONFIGURATION, "there is no service 'pki-cs'; did you mean 'pki-ca'?"),
        (("config", "check", "--set", "public.prt=1"), exits.CONFIGURATION, "did you mean 'public.port'?"),
        (("config", "check", "--config", "/nowhere"), exits.CONFIGURATION, "cannot read /nowhere"),
        (("tenant", "list", "--ready-file", "/nowhere"), exits.UNREACHABLE, "no such ready-file"),
        (("tenant", "list", "--url", "https://x.test"), exits.USAGE, "--url needs --ca-bundle"),
    ],
)
def test_failures_are_one_line_with_a_code(
    arguments: tuple[str, ...], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == code
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_config_check_looks_at_the_unseal_secret(tmp_path: Path) -> None:
    secret = tmp_path / "unseal.key"
    arguments = ("config", "check", "--set", "barrier.mode=file", "--set", f"barrier.secret_file={secret}")
    done = call_cli(*arguments)
    assert done.returncode == exits.CONFIGURATION
    assert done.stderr.startswith(f"error: barrier.secret_file: {secret} cannot be read")
    secret.write_text("short")
    assert "must hold 32 to" in call_cli(*arguments).stderr
    secret.write_text("x" * 64)
    assert call_cli(*arguments).returncode == 0


def test_config_show_masks_and_tells_origins(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("logging:\n  level: debug\n")
    done = call_cli("config", "show", "--config", file, "--json", CRYPTOUTIL_DATABASE_URL="postgresql://u:hunter2@h/d")
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert f'"origin": "{file}:2"' in done.stdout
    assert '"origin": "environment CRYPTOUTIL_DATABASE_URL"' in done.stdout
