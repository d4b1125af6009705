"""The sets of images that are copied: what they are named, which layers they share, how big those are."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

KIB, MIB = 1024, 1024 * 1024
Layers = list[tuple[str, int]]

# Sizes in bytes of the layers of the public images that these are named for.
_BASES = {
    "debian-slim": [29_130_000],
    "alpine": [3_640_000],
    "buildpack": [48_480_000, 24_060_000, 64_390_000],
    "ubuntu": [29_720_000],
    "distroless": [104_000, 14_600, 685_000, 317, 386, 216, 161, 123_000, 1_980_000],
    "debian-python": [29_130_000, 3_330_000, 13_700_000],
    "debian-node": [29_130_000, 3_310, 42_600_000, 1_720_000],
    "alpine-go": [3_640_000, 299_000, 71_200_000],
}
_FIRST_LAYER_OF = {"debian-python": "debian-slim", "debian-node": "debian-slim", "alpine-go": "alpine"}

# Name, tag, base, kind, number of own layers, size class.
_LIB = [
    ("nginx", "1.27", "debian-slim", "idx", 6, "s"),
    ("python", "3.12-slim", "debian-python", "idx", 2, "s"),
    ("node", "22-slim", "debian-node", "idx", 2, "s"),
    ("postgres", "16", "debian-slim", "idx", 11, "m"),
    ("redis", "7", "debian-slim", "idx", 6, "s"),
    ("alpine", "3.20", "alpine", "idx", 2, "t"),
    ("golang", "1.22-alpine", "alpine-go", "idx", 3, "t"),
    ("traefik", "3.1", "alpine", "idx", 3, "m"),
    ("static", "nonroot", "distroless", "idx", 2, "t"),
    ("memcached", "1.6", "debian-slim", "idx", 5, "t"),
    ("grafana", "11.1.0", "alpine", "s2", 9, "m"),
    ("prometheus", "2.53.1", "distroless", "s2", 3, "m"),
    ("jenkins", "lts", "debian-slim", "s2", 11, "l"),
    ("airflow", "2.9.2", "debian-python", "s2", 9, "l"),
    ("sonarqube", "10.6", "ubuntu", "s2", 7, "l"),
    ("fluentbit", "3.1", "distroless", "s2", 3, "m"),
    ("strapi", "4.25", "debian-node", "s2", 6, "m"),
    ("fastapi", "0.111", "debian-python", "s2", 5, "m"),
    ("kafka", "3.7", "ubuntu", "s2", 8, "m"),
    ("toolbox", "v1", "buildpack", "s2", 4, "m"),
]
# The legacy empty layer stands more than once in one image.
_WITH_EMPTY_LAYERS = ("kafka", "jenkins")
_REBUILT = "python"

# A size class is weights of tiny, small, medium and large layers.
_CLASSES = {"t": (8, 3, 1, 0), "s": (6, 2, 3, 0), "m": (5, 2, 3, 1), "l": (3, 2, 3, 3)}
_BOUNDS = {"t": (160, 6 * KIB), "s": (8 * KIB, 900 * KIB), "m": (MIB, 16 * MIB), "l": (18 * MIB, 80 * MIB)}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: `idx` is an OCI index with an attestation a platform, `s2` a Docker schema 2 manifest.

    Layers are key and payload size, by platform.
    """

    repository: str
    tag: str
    kind: Literal["idx", "s2"]
    platforms: dict[str, Layers]


def recipes(name: str, seed: str, generation: int) -> list[Recipe]:
    """The images of the set; generation 1 of `lib` has one of them rebuilt, under the same tag."""
    return SETS[name](seed, generation)


def _lib(seed: str, generation: int) -> list[Recipe]:
    images = []
    for name, tag, base, kind, own, size_class in _LIB:
        rng = random.Random(f"{seed}/{name}")
        sizes = [_draw(rng, size_class) for _ in range(own)]
        platforms: dict[str, Layers] = {}
        for platform in ["amd64", "arm64"] if kind == "idx" else ["amd64"]:
            owners = [_FIRST_LAYER_OF.get(base, base), *[base] * len(_BASES[base])]
            layers = [(f"{seed}/{owners[i]}/{platform}/{i}", size) for i, size in enumerate(_BASES[base])]
            # arm64 differs a little in size, as it does in reality.
            own_sizes = sizes if platform == "amd64" else [max(160, int(size * 0.97)) for size in sizes]
            layers += [(f"{seed}/{name}/{platform}/{i}", size) for i, size in enumerate(own_sizes)]
            if name in _WITH_EMPTY_LAYERS:
                layers.insert(2, (f"{seed}/empty", 0))
                layers.append((f"{seed}/empty", 0))
            if generation and name == _REBUILT:
                layers.append((f"{seed}/{name}/{platform}/gen{generation}", 2_400_000))
            platforms[platform] = layers
        images.append(Recipe(name, tag, "idx" if kind == "idx" else "s2", platforms))
    return images


def _dedup(seed: str, generation: int) -> list[Recipe]:
    images = []
    for n in range(1, 21):
        rng = random.Random(f"{seed}/app{n}")
        layers = [(f"{seed}/dedup/base/{i}", size) for i, size in enumerate([29_130_000, 64_390_000, 80_000_000])]
        layers += [(f"{seed}/dedup/app{n}/{i}", _draw(rng, "t")) for i in range(3)]
        images.append(Recipe(f"app{n:02d}", "v1", "s2", {"amd64": layers}))
    return images


def _tiny(seed: str, generation: int) -> list[Recipe]:
    images = []
    for n in range(1, 21):
        rng = random.Random(f"{seed}/tiny{n}")
        layers = [(f"{seed}/tiny/base/{i}", size) for i, size in enumerate([40_000, 3_000])]
        layers += [(f"{seed}/tiny/{n}/{i}", _draw(rng, "t") % 60_000 + 160) for i in range(2)]
        platforms = ["amd64", "arm64"] if n % 2 else ["amd64"]
        of_platform = {p: [(f"{key}/{p}", size) for key, size in layers] for p in platforms}
        images.append(Recipe(f"tiny{n:02d}", "v1", "idx" if n % 2 else "s2", of_platform))
    return images


def _thousand(seed: str, generation: int) -> list[Recipe]:
    layers = [(f"{seed}/thousand/base", 3_000)]
    return [
        Recipe(f"repo{n:03d}", f"v{tag}", "s2", {"amd64": [*layers, (f"{seed}/thousand/{n}/{tag}", 300)]})
        for n in range(1, 201)
        for tag in range(1, 6)
    ]


def _big(seed: str, generation: int) -> list[Recipe]:
    return [Recipe(f"big{n}", "v1", "s2", {"amd64": [(f"{seed}/big/{n}", 300_000_000)]}) for n in range(1, 5)]


def _draw(rng: random.Random, size_class: str) -> int:
    """A size, log-uniform inside the bounds that its class draws: a long tail towards the top."""
    low, high = _BOUNDS[rng.choices("tsml", _CLASSES[size_class])[0]]
    return int(math.exp(rng.uniform(math.log(low), math.log(high))))


SETS: dict[str, Callable[[str, int], list[Recipe]]] = {
    "lib": _lib,
    "dedup": _dedup,
    "tiny": _tiny,
    "thousand": _thousand,
    "big": _big,
}
