"""The sandbox's one process: AWS, Docker Hub, the other public registries and ECR, each on a port of its own.

`toolkit.sandbox.process` starts it. It exits on SIGTERM, and by itself when its folder is removed. AWS's resources and
ECR's content exist only as long as the process. The upstreams' images and the pull counter stay on disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import threading
import urllib.request
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from toolkit.oci.reference import Reference
from toolkit.sandbox import aws
from toolkit.sandbox.access_control import World
from toolkit.sandbox.admin import LIMIT_PREVIEW, Admin, route
from toolkit.sandbox.docker_hub import DockerHubPolicy, PullCounter
from toolkit.sandbox.ecr import EcrApp, EcrPolicy, ecr_rights
from toolkit.sandbox.moto_builds import Builds
from toolkit.sandbox.moto_ecr import EcrTokens, MotoDocuments, age_images, ecr_references
from toolkit.sandbox.record import Record, is_recorded, sign_lock, write_record
from toolkit.sandbox.registry import RegistryApp
from toolkit.sandbox.replication import Replication
from toolkit.sandbox.serving import AccessLog, address_of, open_server, serve
from toolkit.sandbox.stock import Stock
from toolkit.sandbox.store import BlobStore

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# An account of the Docker Hub stand-in, to try a login.
DOCKER_HUB_ACCOUNT = ("sandbox", "sandbox")
_LOOK_SECONDS = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM. The starting process has locked the folder, and this process inherited the lock."""
    parser = argparse.ArgumentParser(prog="toolkit.sandbox.server")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--account-id", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--upstream-limit", type=int, required=True)
    options = parser.parse_args(arguments)
    gone = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: gone.set())
    folder: Path = options.folder
    sign_lock(folder)
    write_record(folder, start(folder, options.account_id, options.region, options.upstream_limit))
    while not gone.wait(_LOOK_SECONDS) and is_recorded(folder, os.getpid()):
        pass
    return 0


def start(folder: Path, account_id: str, region: str, upstream_limit: int) -> Record:
    """Start every stand-in, in threads; they accept requests when this returns."""
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # moto reads it at the first IAM call
    tokens = EcrTokens()
    shutil.rmtree(folder / "ecr", ignore_errors=True)
    blobs_of = cache(lambda owner, ecr_region: BlobStore(folder / "ecr" / owner / ecr_region))
    replication = Replication(blobs_of)
    aws_log = AccessLog(folder / "aws.access.jsonl").aws_call
    builds = Builds(folder)
    aws_app = aws.make_aws(account_id, tokens, aws_log, replication.backfill, builds)
    ecr_log = AccessLog(folder / "ecr.access.jsonl").registry_request

    def make_ecr(owner: str, ecr_region: str) -> RegistryApp:
        documents = MotoDocuments(owner, ecr_region, partial(replication.arrived, owner, ecr_region))
        blobs = blobs_of(owner, ecr_region)

        def log(request: Request, response: Response) -> None:
            ecr_log(request, response, ecr_rights(request, owner, ecr_region))

        return RegistryApp(blobs, documents, EcrPolicy(documents, blobs, owner), log)

    hub, hub_policy = _upstream(folder, "docker-hub", upstream_limit)
    hub.provide(Reference.parse(LIMIT_PREVIEW))
    others, others_policy = _upstream(folder, "upstream", None)
    held = partial(ecr_references, account_id)
    admin = Admin(hub, others, hub_policy, held, partial(age_images, account_id), builds.listed)
    servers = {
        "aws": open_server(aws_app, aws.AWS_HANDLER),
        "docker_hub": open_server(route(_app(folder, "docker-hub", hub, hub_policy), hub_policy, admin)),
        "upstream": open_server(route(_app(folder, "upstream", others, others_policy), others_policy, admin)),
        "ecr": open_server(EcrApp(tokens, make_ecr, ecr_log, World().principal)),
    }
    for server in servers.values():
        serve(server)
    endpoints = {f"{name}_endpoint": address_of(server) for name, server in servers.items()}
    _ask_aws(endpoints["aws_endpoint"])
    return Record(pid=os.getpid(), account_id=account_id, region=region, **endpoints)


def _ask_aws(endpoint: str) -> None:
    """Warm up moto with the first call of every AWS client: it loads the modules that most calls need."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(endpoint, b"Action=GetCallerIdentity&Version=2011-06-15", timeout=60) as response:
        response.read()


def _upstream(folder: Path, name: str, limit: int | None) -> tuple[Stock, DockerHubPolicy]:
    stock = Stock(folder / name)
    pulls = PullCounter(folder / f"{name}.pulls.json")
    accounts = dict([DOCKER_HUB_ACCOUNT]) if limit is not None else {}
    return stock, DockerHubPolicy(stock.documents.has_repository, pulls, limit, accounts)


def _app(folder: Path, name: str, stock: Stock, policy: DockerHubPolicy) -> WSGIApplication:
    log = AccessLog(folder / f"{name}.access.jsonl").registry_request
    return RegistryApp(stock.blobs, stock.documents, policy, log)


if __name__ == "__main__":
    raise SystemExit(main())
