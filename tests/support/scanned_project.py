"""A small checkout with one of everything that a scan reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FILES: Mapping[str, str] = {
    "images.yaml": """\
version: 1
name: shop
aws: {region: eu-west-1}
images:
  - nginx:1.16 # the web
  - {source: node, tags: ["20"], platforms: [linux/amd64, linux/arm64]}
  - docker/dockerfile:1
""",
    "web/Dockerfile": f"""\
# syntax=docker/dockerfile:1
ARG NGINX=1.16
ARG NODE
FROM --platform=$BUILDPLATFORM node:${{NODE}} AS build
RUN --mount=type=bind,from=alpine:3.20,target=/tools ls
FROM nginx:$NGINX
COPY --from=build /out /srv
COPY --from=busybox:1@sha256:{"a" * 64} /bin/sh /bin/sh
""",
    "api/Dockerfile": "ARG PYTHON\nFROM python:${PYTHON}-slim\nRUN ls\nONBUILD COPY --from=quay.io/acme/tools:2 /a /b\n",
    "broken/Dockerfile": "FROM nginx:1.16\nRUNN ls\n",
    "compose.yaml": """\
services:
  web:
    image: web
    build: {context: web, args: {NODE: "20"}, platforms: [linux/amd64, linux/arm64]}
  db: {image: "postgres:${POSTGRES:-16}"}
""",
    "docker-bake.json": '{\n "target": {\n  "web": {"context": "web", "args": {"NODE": "20"}, "pull": true}\n }\n}\n',
    "buildspec.yml": """\
version: 0.2
phases:
  pre_build:
    commands:
      - docker pull $ACCOUNT.dkr.ecr.eu-west-1.amazonaws.com/web:latest || true
  build:
    commands:
      - |
        DOCKER_BUILDKIT=0 docker build -t web --build-arg NODE=20 web
        docker run --rm web ls
      - make release
""",
    "node_modules/x/Dockerfile": "FROM nobody:1\n",
    "README.md": "FROM nobody:1\n",
}


def write_project(folder: Path, files: Mapping[str, str] = FILES) -> Path:
    """`folder` with `files` in it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
