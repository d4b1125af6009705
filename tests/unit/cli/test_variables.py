"""Every option of every command has its variable, or is one of those that must not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from toolkit.cli.app import make_app
from toolkit.cli.boundary import ToolkitGroup
from toolkit.cli.main import COMMANDS
from toolkit.cli.variables import ONLY_BY_HAND, long_name

OTHERS = {
    "TOOLKIT_ALLOW_EXTRA_FILES",
    "TOOLKIT_BUILD_CONTEXTS",
    "TOOLKIT_CREDENTIAL_VARIABLES",
    "TOOLKIT_DOCKERFILE",
    "TOOLKIT_DOCKERFILES",
    "TOOLKIT_ECR_REGISTRY",
    "TOOLKIT_PLAN_KEY",
    "TOOLKIT_PROVIDER_MIRROR",
    "TOOLKIT_REGISTRY_ENDPOINTS",
    "TOOLKIT_TERRAFORM_PROVIDERS",
}
"""Variables that mean something else, from docs/reference/files-and-variables.md."""


def options() -> Iterator[tuple[str, Any]]:
    def below(command: Any, path: str) -> Iterator[tuple[str, Any]]:
        yield from ((path, param) for param in command.params if param.param_type_name == "option")
        for name, one in getattr(command, "commands", {}).items():
            yield from below(one, f"{path} {name}")

    for name, command in typer.main.get_command(make_app(COMMANDS)).commands.items():  # type: ignore[attr-defined]
        yield from below(command, name)


OPTIONS = [(path, option) for path, option in options() if option.name != "help"]
every_option = pytest.mark.parametrize(("path", "option"), OPTIONS, ids=[f"{p} {long_name(o)}" for p, o in OPTIONS])


def variables(option: Any) -> list[str]:
    return [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or [])


@every_option
def test_has_its_variable_unless_it_is_dangerous(path: str, option: Any) -> None:
    name = long_name(option)
    expected = {"--file": "TOOLKIT_MANIFEST", "--folder": "TOOLKIT_SANDBOX"}.get(
        name, f"TOOLKIT_{name[2:].upper().replace('-', '_')}"
    )
    if name in ONLY_BY_HAND or (path, name) == ("iam-policy", "--format"):  # its choices are its own
        assert variables(option) == []
    else:
        assert variables(option)[0] == expected
        assert option.show_envvar


def test_no_variable_means_anything_else() -> None:
    used = {variable for _, option in OPTIONS for variable in variables(option)}
    assert not used & OTHERS
    assert not {variable for variable in used if variable.startswith("TOOLKIT_REGISTRY")}


def test_knows_no_dangerous_option_that_is_gone() -> None:
    assert {long_name(option) for _, option in OPTIONS} >= ONLY_BY_HAND


def run(arguments: list[str], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The values of the command's options."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    group: Any = typer.main.get_command(make_app([arguments[0]]))
    return group.commands[arguments[0]].make_context(arguments[0], arguments[1:]).params


@pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("0", False), ("false", False), ("", False)])
def test_reads_a_flag(text: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["plan"], {"TOOLKIT_STRICT": text}, monkeypatch)["strict"] is value


def test_reads_several_values_and_lets_the_command_line_count_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["seed"], {"TOOLKIT_ONLY": "*nginx*\n*redis* x"}, monkeypatch)["only"] == ["*nginx*", "*redis*", "x"]
    assert run(["seed", "--only", "y"], {}, monkeypatch)["only"] == ["y"]
    assert [str(path) for path in run(["scan", "."], {"TOOLKIT_ROOT": "a b:c"}, monkeypatch)["root"]] == ["a b", "c"]


@pytest.mark.parametrize(
    ("variable", "value", "command", "option"),
    [
        ("TOOLKIT_JOBS", "many", "plan", "--jobs"),
        ("TOOLKIT_STRICT", "maybe", "plan", "--strict"),
        ("TOOLKIT_LOCK_TIMEOUT", "5x", "plan", "--lock-timeout"),
        ("TOOLKIT_ON_BUDGET", "never", "seed", "--on-budget"),
        ("TOOLKIT_MACHINE", "linux", "scan .", "--machine"),
        ("TOOLKIT_BUILD_ARG", "x", "init", "--build-arg"),
        ("TOOLKIT_OUTPUT", "yaml=x", "plan", "--output"),
        ("TOOLKIT_CHECK", "1", "buildspec web", "--check"),
        ("TOOLKIT_ALLOW_DESTROY", "0", "apply", "--allow-destroy"),
        ("TOOLKIT_AUTO_APPROVE", "1", "destroy", "--auto-approve"),
    ],
)
def test_names_the_variable_of_a_wrong_value(
    variable: str,
    value: str,
    command: str,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    arguments = command.split()
    group = typer.main.get_command(make_app(arguments[:1]))
    assert isinstance(group, ToolkitGroup)
    assert group.main(arguments) == 64
    said = capsys.readouterr().err
    assert f"`{variable}`" in said
    assert option in said


def test_a_dangerous_variable_is_no_matter_to_other_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLKIT_ALLOW_DESTROY", "1")
    assert typer.main.get_command(make_app(["explain"])).main(["explain", "--help"]) == 0
