"""Credentials that `docker login` or `podman login` has stored: in the file itself, or with a credential helper."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from toolkit.oci.auth import Credential
from toolkit.oci.credential_variables import without_secrets
from toolkit.oci.errors import CredentialUnusable
from toolkit.oci.programs import find_program
from toolkit.oci.reference import DOCKER_HUB, HUB_NAMES

# Docker Hub's name in config files and helpers: the address of its first API.
_HUB_KEY = "https://index.docker.io/v1/"
# The user name by which helpers and config files mark an identity token.
_IDENTITY_TOKEN_USER = "<token>"  # noqa: S105 - a marker, no secret
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# How a helper says that it has no credential; the protocol knows no other sign.
_NOT_FOUND = "credentials not found in native keychain"
_HELPER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Login:
    """What a file has for a registry, and for namespaces in it."""

    credential: Credential | None = None
    namespaces: Mapping[str, Credential] = field(default_factory=dict)


class DockerConfigCredentials:
    """The credentials of `$DOCKER_CONFIG/config.json`, or of `path`, which users know as `name`.

    The file and its helpers are asked once for each registry, until a credential is refused. A registry that is
    `served_at` another host gets the login for that host, if there is one. Podman's file may also have credentials for
    a namespace or a repository (`quay.io/acme`): the longest name that fits wins.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        name: str = "docker config",
        helper_seconds: float = _HELPER_SECONDS,
        served_at: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._path = path or _default_path()
        self._name = name
        self._served_at = served_at
        self._helper_seconds = helper_seconds
        self._lock = threading.Lock()
        self._found: dict[str, _Login | CredentialUnusable] = {}

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        """The credential that `docker pull` or `podman pull` would use."""
        with self._lock:
            if registry not in self._found:
                try:
                    self._found[registry] = self._find(registry)
                except CredentialUnusable as fault:
                    self._found[registry] = fault  # a helper that hangs must not do so for every image
            found = self._found[registry]
        if isinstance(found, CredentialUnusable):
            raise found
        parts = path.split("/")
        prefixes = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
        return next((found.namespaces[one] for one in prefixes if one in found.namespaces), found.credential)

    def forget(self, registry: str) -> None:
        """Read file and helper again the next time."""
        with self._lock:
            self._found.pop(registry, None)

    def _find(self, registry: str) -> _Login:
        for host in (self._served_at.get(registry), registry):
            if host and (found := self._look_up(host)) != _Login():
                return found
        return _Login()

    def _look_up(self, registry: str) -> _Login:
        config = self._read()
        helper = self._helper(config, registry)
        credential = self._ask_helper(helper, registry) if helper else None
        namespaces = {}
        for key, entry in _mapping(config, "auths").items():
            if registry_of(key) != registry_of(registry) or not isinstance(entry, Mapping):
                continue
            if namespace := _namespace_of(key):
                if own := self._read_entry(key, entry):
                    namespaces[namespace] = self._named(own, registry, f"{registry}/{namespace}")
            elif credential is None:
                credential = self._read_entry(key, entry)
        return _Login(self._named(credential, registry, registry) if credential else None, namespaces)

    def _named(self, credential: Credential, registry: str, key: str) -> Credential:
        return replace(credential, origin=f"{self._name} (`{key}`)", hosts=frozenset({registry}))

    def _read(self) -> Mapping[str, object]:
        if self._path is None:
            return {}
        try:
            config = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise self._unusable("is no JSON") from None
        if not isinstance(config, dict):
            raise self._unusable("is no JSON object")
        return config

    def _helper(self, config: Mapping[str, object], registry: str) -> str:
        """The helper for `registry`: its own, else the one for all."""
        for key, name in _mapping(config, "credHelpers").items():
            if registry_of(key) == registry_of(registry):
                return self._helper_name(name)
        store = config.get("credsStore")
        return self._helper_name(store) if store else ""

    def _helper_name(self, name: object) -> str:
        if name == "":
            return ""
        if not isinstance(name, str) or not _HELPER_NAME.fullmatch(name):
            raise self._unusable("names a credential helper that cannot be a program")
        return f"docker-credential-{name}"

    def _ask_helper(self, helper: str, registry: str) -> Credential | None:
        server = _HUB_KEY if registry in HUB_NAMES else registry
        program = find_program(helper, os.environ)
        if program is None:
            raise CredentialUnusable(
                f"the credential helper `{helper}` that `{self._path}` names is not installed",
                hint=f"Install `{helper}`, or remove it from the file and run `docker login` again.",
            )
        try:
            answer = subprocess.run(
                [program, "get"],
                input=f"{server}\n".encode(),
                env=without_secrets(os.environ),
                capture_output=True,
                timeout=self._helper_seconds,
                check=False,
            )
        except OSError as error:
            raise CredentialUnusable(f"the credential helper `{helper}` cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise CredentialUnusable(
                f"the credential helper `{helper}` did not respond for `{registry}` in {self._helper_seconds:g} seconds"
            ) from None
        if answer.returncode != 0:
            if answer.stdout.decode("utf-8", "replace").strip() == _NOT_FOUND:
                return None
            raise CredentialUnusable(
                f"the credential helper `{helper}` failed for `{registry}` with exit status {answer.returncode}",
                hint=f"Run `echo {server} | {helper} get >/dev/null` to see why.",
            )
        try:
            found = json.loads(answer.stdout)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise CredentialUnusable(f"the credential helper `{helper}` gave no JSON object for `{registry}`")
        return _credential(found.get("Username"), found.get("Secret"))

    def _read_entry(self, key: str, entry: Mapping[str, object]) -> Credential | None:
        username, password = entry.get("username"), entry.get("password")
        auth = entry.get("auth")
        if isinstance(auth, str) and auth:
            try:
                pair = base64.b64decode(auth, validate=True).decode("utf-8")
            except (binascii.Error, ValueError):
                raise self._unusable(f"has no readable `auth` for `{key}`") from None
            username, colon, password = pair.rstrip("\0").partition(":")
            if not colon:
                raise self._unusable(f"has no readable `auth` for `{key}`")
        token = entry.get("identitytoken")
        if isinstance(token, str) and token:
            return Credential(username if isinstance(username, str) else "", token, is_identity_token=True)
        return _credential(username, password)

    def _unusable(self, what: str) -> CredentialUnusable:
        return CredentialUnusable(f"`{self._path}` {what}", hint="Repair the file, or run `docker login` again.")


def _credential(username: object, password: object) -> Credential | None:
    if not isinstance(password, str) or not password or not isinstance(username, str):
        return None
    if username == _IDENTITY_TOKEN_USER:
        return Credential("", password, is_identity_token=True)
    return Credential(username, password)


def home_folder() -> Path | None:
    """The user's; None where there is none or it cannot be entered, as in a container that runs with any user id."""
    try:
        home = Path.home()
        (home / ".docker").exists()  # an OSError says that nothing in it can be found
    except (RuntimeError, OSError):
        return None
    return home


def _default_path() -> Path | None:
    if folder := os.environ.get("DOCKER_CONFIG"):
        return Path(folder) / "config.json"
    home = home_folder()
    return home / ".docker" / "config.json" if home else None


def podman_files() -> tuple[Path, ...]:
    """Where `podman login` keeps credentials, the first one first; they need not exist."""
    if file := os.environ.get("REGISTRY_AUTH_FILE"):
        return (Path(file),)
    home = home_folder()
    folders = [
        os.environ.get("XDG_RUNTIME_DIR"),
        os.environ.get("XDG_CONFIG_HOME") or (str(home / ".config") if home else None),
    ]
    return tuple(Path(folder) / "containers" / "auth.json" for folder in folders if folder)


def _mapping(config: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = config.get(key)
    return found if isinstance(found, dict) else {}


def registry_of(key: str) -> str:
    """The registry that a key of the file names: keys may have a scheme and the path of an API."""
    host = key.partition("://")[2] if "://" in key else key
    host = host.partition("/")[0].lower()
    return DOCKER_HUB if host in HUB_NAMES else host


def _namespace_of(key: str) -> str:
    """The namespace or repository in a key, as Podman writes it; empty in one for a whole registry.

    Docker's keys may end in the version of an API: `https://index.docker.io/v1/`.
    """
    path = "" if "://" in key else key.partition("/")[2].strip("/")
    return "" if path in ("v1", "v2") else path
