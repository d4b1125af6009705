"""The options of Docker's commands, told apart by what takes a value."""

from __future__ import annotations

Options = list[tuple[str, str]]
"""Names with their values, `true` for a flag, in the order of the command."""

GLOBAL_FLAGS = frozenset({"-D", "--debug", "--tls", "--tlsverify"})
BUILD_FLAGS = frozenset(
    {"--pull", "--no-cache", "-q", "--quiet", "--load", "--push", "--rm", "--force-rm", "--compress", "--squash"}
    | {"--disable-content-trust", "--stream", "-D", "--debug", "--check"}
)
RUN_FLAGS = frozenset(
    {"-d", "--detach", "-i", "--interactive", "-t", "--tty", "--rm", "--privileged", "--init", "--read-only", "-P"}
    | {"--publish-all", "--no-healthcheck", "--oom-kill-disable", "--sig-proxy", "--disable-content-trust", "-q"}
    | {"--quiet", "--use-api-socket"}
)
PULL_FLAGS = frozenset({"-a", "--all-tags", "-q", "--quiet", "--disable-content-trust"})
CREATE_FLAGS = frozenset({"--bootstrap", "--use", "--append", "--leave", "-D", "--debug"})
COMPOSE_FLAGS = frozenset({"--all-resources", "--compatibility", "--dry-run", "--verbose"})


def read_options(words: list[str], flags: frozenset[str], *, stops: bool = False) -> tuple[Options, list[str]]:
    """The options with their values, and the other words; `flags` take no value.

    `stops` at the first other word: what comes after it belongs to somebody else.
    """
    options: Options = []
    others: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("-") or word == "-":
            others.append(word)
            if stops:
                return options, others + list(remaining)
        elif word == "--":
            return options, others + list(remaining)
        elif word in flags or _is_cluster(word, flags):
            options.append((word, "true"))
        elif "=" in word:
            name, _, value = word.partition("=")
            options.append((name, value))
        elif not word.startswith("--") and len(word) > 2:
            options.append((word[:2], word[2:]))
        else:
            options.append((word, next(remaining, "")))
    return options, others


def is_on(options: Options, name: str) -> bool:
    """Whether the flag `name` is given, and not as `=false`."""
    return any(option == name and value not in ("false", "0") for option, value in options)


def _is_cluster(word: str, flags: frozenset[str]) -> bool:
    """`-it` is `-i -t`."""
    return not word.startswith("--") and all(f"-{letter}" in flags for letter in word[1:])
