"""The options of Docker's commands, told apart by what takes a value, and the commands that fetch nothing."""

from __future__ import annotations

Options = list[tuple[str, str]]
"""Names with their values, `true` for a flag, in the order of the command."""

DEBUG_FLAGS = frozenset({"-D", "--debug"})
GLOBAL_FLAGS = frozenset({"-D", "--debug", "--tls", "--tlsverify", "-v", "--version"})
BUILD_FLAGS = frozenset(
    {"--pull", "--no-cache", "-q", "--quiet", "--load", "--push", "--rm", "--force-rm", "--compress", "--squash"}
    | {"--disable-content-trust", "--stream", "-D", "--debug", "--check"}
    | {"--print"}
)
RUN_FLAGS = frozenset(
    {"-d", "--detach", "-i", "--interactive", "-t", "--tty", "--rm", "--privileged", "--init", "--read-only", "-P"}
    | {"--publish-all", "--no-healthcheck", "--oom-kill-disable", "--sig-proxy", "--disable-content-trust", "-q"}
    | {"--quiet", "--use-api-socket"}
)
PULL_FLAGS = frozenset({"-a", "--all-tags", "-q", "--quiet", "--disable-content-trust"})
CREATE_FLAGS = frozenset({"--bootstrap", "--use", "--append", "--leave", "-D", "--debug"})
USE_FLAGS = frozenset({"--default", "--global"} | DEBUG_FLAGS)
REMOVE_FLAGS = frozenset({"--all-inactive", "-f", "--force", "--keep-daemon", "--keep-state"} | DEBUG_FLAGS)
LOOK_FLAGS = frozenset(
    {"--raw", "--insecure", "-v", "--verbose", "-a", "--amend", "--append", "--dry-run", "--prefer-index"} | DEBUG_FLAGS
)
"""Of `manifest` and `imagetools`, which look at images where they are."""
COMPOSE_FLAGS = frozenset({"--all-resources", "--compatibility", "--dry-run", "--verbose"})
COMPOSE_BUILD_FLAGS = frozenset(
    {"--check", "--compress", "--force-rm", "--no-cache", "--no-rm", "--parallel", "--print", "--pull", "--push"}
    | {"-q", "--quiet", "--with-dependencies"}
)
COMPOSE_START_FLAGS = frozenset(
    {"--abort-on-container-exit", "--abort-on-container-failure", "--always-recreate-deps", "--attach-dependencies"}
    | {"--build", "-d", "--detach", "--force-recreate", "--menu", "--no-build", "--no-color", "--no-deps", "--no-TTY"}
    | {"--no-log-prefix", "--no-recreate", "--no-start", "--no-up", "--no-parallel", "--parallel", "--prune", "--quiet"}
    | {"--quiet-build", "--quiet-pull", "--remove-orphans", "-V", "--renew-anon-volumes", "--timestamps", "--wait"}
    | {"--watch", "-y", "--yes", "-i", "--interactive", "-T", "-q", "--rm", "-P", "--service-ports", "--use-aliases"}
    | {"--ignore-buildable", "--ignore-pull-failures", "--include-deps"}
)
"""Of all that start services or pull for them."""

COMPOSE_STARTS = frozenset({"up", "run", "create", "pull", "watch", "scale"})
COMPOSE_LOCAL = frozenset(
    {"down", "stop", "start", "restart", "kill", "rm", "ps", "logs", "exec", "config", "convert", "ls", "images"}
    | {"port", "top", "events", "pause", "unpause", "version", "push", "cp", "wait", "attach", "stats", "volumes"}
    | {"help"}
)
LOCAL = frozenset(
    {"login", "logout", "ps", "images", "info", "version", "tag", "push", "rmi", "rm", "stop", "start", "kill", "logs"}
    | {"exec", "cp", "save", "load", "import", "export", "inspect", "network", "volume", "system", "history", "commit"}
    | {"attach", "diff", "events", "pause", "unpause", "port", "rename", "restart", "stats", "top", "update", "wait"}
    | {"context", "container", "help", "swarm", "node", "secret", "config"}
)
"""Commands that fetch no image, and those of the groups below."""
GROUPS = ("image", "buildx", "builder", "manifest")
LOCAL_IN_GROUP = LOCAL | {"ls", "list", "prune", "annotate", "du", "install", "uninstall", "dial-stdio"}


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


def values_of(options: Options, *names: str) -> list[str]:
    """What is given under any of these names."""
    return [value for name, value in options if name in names]


def is_on(options: Options, name: str) -> bool:
    """Whether the flag `name` is given, and not as `=false`."""
    return any(option == name and value not in ("false", "0") for option, value in options)


def _is_cluster(word: str, flags: frozenset[str]) -> bool:
    """`-it` is `-i -t`."""
    return not word.startswith("--") and all(f"-{letter}" in flags for letter in word[1:])
