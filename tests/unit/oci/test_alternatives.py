"""Alternatives save pulls and can do no harm: whatever is wrong with one, the upstream has the last word."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.support.made_images import MadeImage, image, index, store, whole
from tests.support.memory_registry import Call, Cut, Ended, Fault, Garbled, MemoryRegistry, Overlong
from toolkit.oci.alternatives import Alternative, AlternativeSources
from toolkit.oci.copy import CopyRequest
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document
from toolkit.oci.errors import (
    ConnectionFailed,
    CredentialUnusable,
    Denied,
    InvalidReference,
    NotFound,
    OciError,
    RegistryError,
    TooManyRequests,
    Unauthorized,
)
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.report import SeedOutcome, SeedStatus
from toolkit.seed.seeder import Seeder

HUB, OTHER, TARGET = "docker.io", "public.ecr.aws", "target.test"
NGINX = Repository(HUB, "library/nginx")
THERE = Repository(OTHER, "docker/library/nginx")
TEXT = "public.ecr.aws/docker/library"


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        (TEXT, "library/nginx", "public.ecr.aws/docker/library/nginx"),
        (TEXT, "grafana/grafana", None),
        ("mirror.test/library", "library/nginx", "mirror.test/library/nginx"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/docker-hub", "library/nginx", "docker-hub/library/nginx"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/docker-hub", "grafana/grafana", "docker-hub/grafana/grafana"),
        ("mirror.test:5000", "grafana/grafana", "mirror.test:5000/grafana/grafana"),
        ("mirror.test/my-library", "library/nginx", "mirror.test/my-library/library/nginx"),
        ("mirror.test/a", "x" * 254, None),
    ],
)
def test_the_path_comes_after_the_alternatives_own(text: str, path: str, place: str | None) -> None:
    found = Alternative.parse(text).place_of(Repository(HUB if "/" in path else "quay.io", path))
    assert found is None if place is None else str(found).endswith(place)
    assert str(Alternative.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "library",
        "docker/library",
        "public.ecr.aws/docker/library:1",
        "public.ecr.aws/docker/library/",
        f"public.ecr.aws/docker/library@{Digest.of(b'')}",
        "https://public.ecr.aws/docker/library",
        "public.ecr.aws/Docker",
        "public ecr",
        "docker.io/mirror",
        "registry-1.docker.io",
    ],
)
def test_what_is_no_registry_with_a_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        Alternative.parse(text)


class Case:
    """An image at Docker Hub, also at the alternative unless a test takes it away there."""

    def __init__(self, made: MadeImage | None = None, *, platforms: tuple[Platform, ...] | None = None) -> None:
        self.made = made or index(
            ("linux/amd64", image([b"base", b"amd"])), ("linux/arm64", image([b"base", b"arm"], "linux/arm64"))
        )
        self.registry = MemoryRegistry()
        source = store(self.registry, self.made, f"{HUB}/library/nginx:1")
        store(self.registry, self.made, f"{THERE}:1")
        self.request = CopyRequest("nginx", source, Reference.parse(f"{TARGET}/nginx:1"), Subset(platforms))
        self.given_up: list[tuple[str, OciError]] = []
        self.sources = AlternativeSources(
            self.registry,
            {HUB: [Alternative.parse(TEXT)]},
            lambda subject, error: self.given_up.append((subject, error)),
        )

    def fault(self, fault: Fault, operation: str = "", *, times: int = 10**6) -> None:
        left = [times]

        def faults(call: Call) -> Fault | None:
            if call.repository != THERE or (operation and call.operation != operation) or not left[0]:
                return None
            left[0] -= 1
            return fault

        self.registry.faults = faults

    def copy(self, *, jobs: int = 1) -> SeedOutcome:
        """The image is copied whole, whatever the alternative does."""
        [outcome] = Seeder(self.sources, self.registry, [].append, jobs=jobs).seed([self.request])
        assert outcome.status is SeedStatus.COPIED, outcome.error_message
        assert whole(self.registry, self.request.destination)
        return outcome

    def asked(self, operation: str, place: Repository) -> int:
        return sum(call.operation == operation and call.repository == place for call in self.registry.calls)


def http(kind: type[RegistryError], status: int, *codes: str) -> RegistryError:
    return kind("no", status=status, host=OTHER, error_codes=codes)


def test_what_the_alternative_has_is_not_asked_of_the_upstream() -> None:
    case = Case()
    case.copy()
    assert (case.asked("get_manifest", NGINX), case.asked("open_blob", NGINX)) == (0, 0)
    assert case.asked("get_manifest", THERE) == 3
    assert case.given_up == []


def test_a_tag_is_the_upstreams_matter_alone() -> None:
    case = Case()
    for ask in (case.sources.head_manifest, case.sources.get_manifest):
        ask(NGINX.with_tag("1"))  # type: ignore[operator]
    assert {call.repository for call in case.registry.calls} == {NGINX}


def test_without_alternatives_nobody_else_is_asked() -> None:
    case = Case()
    quay = store(case.registry, case.made, "quay.io/library/nginx:1")
    assert case.sources.get_manifest(quay).digest == case.made.digest
    assert case.sources.find(quay) is None
    assert {call.repository.registry for call in case.registry.calls} == {"quay.io"}


def test_a_child_that_the_alternative_lacks_comes_from_the_upstream() -> None:
    case = Case()
    lost = case.made.children[1]
    del case.registry.documents[THERE][lost.digest]
    case.copy()
    assert case.asked("get_manifest", NGINX) == 1
    own = [digest for digest in lost.blobs if digest not in case.made.children[0].blobs]
    opened = {
        call.subject for call in case.registry.calls if call.operation == "open_blob" and call.repository == THERE
    }
    assert not opened & {str(digest) for digest in own}, "nor is it asked for the blobs of what it lacks"


def test_a_blob_that_the_alternative_lacks_comes_from_the_upstream() -> None:
    case = Case()
    case.registry.blobs[THERE].pop(Digest.of(b"amd"))
    case.copy()
    assert (case.asked("get_manifest", NGINX), case.asked("open_blob", NGINX)) == (0, 1)


def test_an_alternative_without_the_repository_is_asked_once() -> None:
    case = Case()
    case.fault(http(NotFound, 404, "NAME_UNKNOWN"))
    case.copy(jobs=4)
    assert sum(call.repository == THERE for call in case.registry.calls) == 1
    assert case.given_up == []


def test_who_lacks_blob_after_blob_is_asked_no_more() -> None:
    case = Case(image([f"layer {number}".encode() for number in range(20)]))
    case.registry.blobs[THERE].clear()
    case.copy()
    assert case.asked("open_blob", THERE) == 3


@pytest.mark.parametrize(
    ("error", "subject"),
    [
        (http(Denied, 403), str(THERE)),
        (http(Unauthorized, 401), str(THERE)),
        (CredentialUnusable("no AWS credentials"), str(THERE)),
        (ConnectionFailed("down", host=OTHER), OTHER),
        (http(RegistryError, 503), OTHER),
        (TooManyRequests("slow down", host=OTHER), OTHER),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("operation", ["", "open_blob", "get_manifest"])
def test_one_that_is_closed_or_down_is_given_up_and_told_once(error: OciError, subject: str, operation: str) -> None:
    case = Case()
    case.fault(error, operation)
    case.copy()
    assert case.given_up == [(subject, error)]
    assert case.asked(operation or "get_manifest", THERE) == 1


def wrong_documents(case: Case) -> None:
    for digest in case.registry.documents[THERE]:
        case.registry.documents[THERE][digest] = image([b"something else"]).document


def wrong_types(case: Case) -> None:
    for digest, document in case.registry.documents[THERE].items():
        case.registry.documents[THERE][digest] = Document("text/html", document.raw)


@pytest.mark.parametrize("spoil", [wrong_documents, wrong_types])
def test_a_document_that_is_not_what_its_digest_says_is_not_believed(spoil: Callable[[Case], None]) -> None:
    case = Case()
    spoil(case)
    case.copy()
    assert case.asked("get_manifest", NGINX) == 3


@pytest.mark.parametrize("fault", [Garbled(), Cut(3), Ended(2), Overlong(), Cut(0)], ids=repr)
@pytest.mark.parametrize("jobs", [1, 4])
def test_wrong_and_broken_bytes_are_made_good_by_the_upstream(fault: Fault, jobs: int) -> None:
    case = Case()
    case.fault(fault, "open_blob")
    case.copy(jobs=jobs)
    assert case.asked("get_manifest", NGINX) == 0
    assert case.given_up == []


@pytest.mark.parametrize("fault", [Garbled(), Cut(3), Ended(2), Overlong(), http(NotFound, 404)], ids=repr)
def test_a_configuration_that_is_damaged_there_is_read_again(fault: Fault) -> None:
    case = Case(image([b"layer"]), platforms=(Platform("linux", "amd64"),))
    case.fault(fault, "open_blob")
    case.copy()


ANYTHING = (
    *(None,) * 8,
    *(Garbled(), Cut(3), Ended(2), Overlong()),
    *(http(NotFound, 404), http(NotFound, 404, "NAME_UNKNOWN"), http(Denied, 403), http(RegistryError, 500)),
    ConnectionFailed("down", host=OTHER),
)


@pytest.mark.parametrize("seed", range(100))
def test_no_mixture_of_faults_there_fails_an_image(seed: int) -> None:
    case = Case(platforms=(Platform("linux", "amd64"),) if seed % 2 else None)
    dice = random.Random(seed)
    case.registry.faults = lambda call: dice.choice(ANYTHING) if call.repository == THERE else None
    case.sources.find(case.request.source)
    case.copy(jobs=1 + seed % 4)


def test_the_first_of_two_that_has_it_delivers() -> None:
    case = Case()
    second = Repository("mirror.test", "library/nginx")
    store(case.registry, case.made, f"{second}:1")
    case.registry.documents[THERE].clear()
    case.registry.blobs[THERE].clear()
    case.sources = AlternativeSources(case.registry, {HUB: [Alternative.parse(TEXT), Alternative("mirror.test")]})
    case.copy()
    assert (case.asked("get_manifest", second), case.asked("get_manifest", NGINX)) == (3, 0)
    assert case.asked("open_blob", NGINX) == 0


def test_the_rest_of_a_broken_download_does_not_come_from_a_second_alternative() -> None:
    case = Case()
    second = Repository("mirror.test", "library/nginx")
    store(case.registry, case.made, f"{second}:1")
    case.sources = AlternativeSources(case.registry, {HUB: [Alternative.parse(TEXT), Alternative("mirror.test")]})
    case.fault(Cut(3), "open_blob")
    case.copy()
    assert case.asked("open_blob", second) == 0
    assert case.asked("open_blob", NGINX) > 0


def test_finding_costs_a_head_and_what_is_not_there_is_not_read() -> None:
    case = Case()
    assert case.sources.find(case.request.source) == THERE
    del case.registry.documents[THERE][case.made.digest]
    assert case.sources.find(case.request.source) is None
    assert {call.operation for call in case.registry.calls} == {"head_manifest"}
    case.copy()
    tops = [call for call in case.registry.calls if call.subject == str(case.made.digest) and call.repository == THERE]
    assert {call.operation for call in tops} == {"head_manifest"}


def test_what_the_upstream_lacks_too_is_not_found() -> None:
    case = Case()
    absent = NGINX.with_digest(Digest.of(b"nowhere"))
    with pytest.raises(NotFound) as error:
        case.sources.get_manifest(absent)
    assert error.value.host == HUB
