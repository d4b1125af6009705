"""Real `docker-registry` processes on loopback, whose stores are emptied or put back between runs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.bench.access_log import Traffic, traffic

_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1, which is its own authority."""

    path: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Let openssl make one in `folder`, if there is none."""
        made = cls(folder / "tls.pem", folder / "tls.key")
        if not made.path.exists():
            subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
            key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(made.key)]
            argv = ["openssl", "req", "-x509", *key, *subject, "-out", str(made.path)]
            subprocess.run(argv, check=True, capture_output=True)
        return made


class Registry:
    """One registry, at a new address with every start; stopped when the block ends.

    skopeo remembers, in a place that is the machine's, which blobs it has seen at an address: that is not to help or hinder
    the next run, whose registry is another one.
    """

    def __init__(self, folder: Path, certificate: Certificate | None = None) -> None:
        self._folder = folder
        self._certificate = certificate
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def restart(self, content: Path | None) -> None:
        """Start with what is in the store `content`, or empty."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        if content is None:
            self._folder.mkdir(parents=True)
        else:
            _clone(content, self._folder)
        self.start()

    def start(self) -> None:
        """Start on what is in the folder, and wait until it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        with self._config.open("w") as file:
            json.dump(self._settings(), file)  # JSON is YAML
        with self._log.open("wb") as access, self._folder.with_suffix(".err").open("wb") as errors:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=access,
                stderr=errors,
                env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
                start_new_session=True,
            )
        self._seen = 0
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"docker-registry: {self._folder.with_suffix('.err').read_text()[-500:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def forget(self) -> None:
        """Count from here."""
        self._seen = self._log.stat().st_size

    def traffic(self, blob_sizes: Mapping[str, int]) -> Traffic:
        """What was asked since `forget`."""
        with self._log.open() as file:
            file.seek(self._seen)
            return traffic(file.read(), blob_sizes)

    @property
    def _config(self) -> Path:
        return self._folder.with_suffix(".json")

    @property
    def _log(self) -> Path:
        return self._folder.with_suffix(".access")

    def _settings(self) -> dict[str, Any]:
        http: dict[str, Any] = {"addr": self.host, "secret": "bench"}
        if self._certificate:
            http["tls"] = {"certificate": str(self._certificate.path), "key": str(self._certificate.key)}
        return {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self._folder), "maxthreads": 1000},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": http,
        }


@dataclass(frozen=True, slots=True)
class Fixture:
    """A registry's store with one set of images in it, and what they are."""

    store: Path
    images: tuple[tuple[str, str, str], ...]
    """Repository, tag, digest."""
    blob_sizes: Mapping[str, int]


def fixture(folder: Path, name: str, generation: int) -> Fixture:
    """The set, made in `folder` unless it is there. A generation is pushed over the one before it."""
    store, about = folder / f"{name}-{generation}", folder / f"{name}-{generation}.about"
    if not about.exists():
        sys.stderr.write(f"making the set {name}, generation {generation} …\n")
        before = fixture(folder, name, generation - 1).store if generation else None
        with _filling(folder / "filling", before) as registry:
            options = ["--set", name, "--gen", str(generation), "--out", str(folder / "about")]
            argv = [sys.executable, "-m", "tests.bench.fixture", "--registry", registry.host, *options]
            subprocess.run(argv, check=True)
            registry.stop()
            shutil.rmtree(store, ignore_errors=True)
            (folder / "filling").rename(store)
        (folder / "about").rename(about)
    found = json.loads(about.read_text())
    images = tuple((image["repo"], image["tag"], image["digest"]) for image in found["images"])
    return Fixture(store, images, found["blob_sizes"])


@contextlib.contextmanager
def _filling(folder: Path, before: Path | None) -> Iterator[Registry]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Registry(folder) as registry:
        registry.restart(before)
        yield registry


def _clone(store: Path, target: Path) -> None:
    """A store of its own that shares the blobs' bytes: a registry never writes to a blob that it has, only to links."""
    for path in sorted(store.rglob("*")):
        copy = target / path.relative_to(store)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif path.name == "data":
            copy.hardlink_to(path)
        else:
            shutil.copyfile(path, copy)
