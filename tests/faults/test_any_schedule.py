"""Whatever goes wrong, wherever and however often: no tag without its content, and a clean run finishes the work.

Over HTTP, between two stand-ins. A failure names the number of its schedule: `play_all(stage, range(NUMBER, NUMBER + 1), …)` plays it again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from email.utils import formatdate
from itertools import product
from pathlib import Path

import pytest

from tests.support.answer_changes import (
    garbled,
    misnamed,
    no_location,
    overlong,
    relative_location,
    runs_on,
    truncated,
)
from tests.support.certificates import self_signed
from tests.support.clocks import FakeTime
from tests.support.fault_injection import (
    IN_REQUEST,
    STAGES,
    Asked,
    Broken,
    Changed,
    Dripped,
    Fault,
    FaultyServer,
    Refused,
    Strike,
)
from tests.support.made_images import MadeImage, image, index
from tests.support.two_registries import (
    Elsewhere,
    Login,
    Play,
    Storage,
    TokenServer,
    idle_server,
    open_side,
    quick_transport,
)
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.transport import Transport
from toolkit.report import SeedStatus

LAYERS = [b"", b"{}", *(bytes([65 + n]) * (7**n) for n in range(1, 5))]
# More than what a socket holds, and many chunks: such a body is still on its way when the answer comes.
LARGE = random.Random(0).randbytes(3 * 2**20 + 1)

CHANGES = {
    "GET manifest": [truncated, overlong, garbled, misnamed],
    "GET blob": [truncated, overlong, garbled, misnamed],
    "HEAD tag": [misnamed],
    "HEAD manifest": [misnamed],
    "PUT tag": [misnamed],
    "PUT manifest": [misnamed],
    "POST upload": [relative_location, no_location],
}
REFUSALS = [
    Refused(400, "UNKNOWN"),
    Refused(401, "UNAUTHORIZED"),
    Refused(403, "DENIED"),
    Refused(404, "NAME_UNKNOWN"),
    Refused(404),
    Refused(404, "BLOB_UPLOAD_UNKNOWN"),
    Refused(405, "UNSUPPORTED"),
    Refused(429, "TOOMANYREQUESTS", {"Retry-After": "7"}),
    Refused(429, headers={"Retry-After": formatdate(1_000_100, usegmt=True)}),
    Refused(500),
    Refused(502),
    Refused(503, "UNAVAILABLE", {"Retry-After": "3"}),
    Refused(307, headers={"Location": "/nowhere"}),
]
EARLY = [Refused(500, early=True), Refused(400, "UNKNOWN", early=True)]
BROKEN = [Broken(stage, halfway) for stage, halfway in product(STAGES, (False, True))]


def faults_of(asked: Asked) -> list[Fault]:
    """All that may befall this request."""
    faults: list[Fault] = [
        *REFUSALS,
        Dripped(50),
        Changed(runs_on),
        *(Changed(change) for change in CHANGES.get(asked.kind, ())),
    ]
    has_body = asked.length > 1
    faults += [fault for fault in BROKEN if has_body or fault.stage != IN_REQUEST]
    return faults + EARLY if has_body else faults


@dataclass
class Schedule:
    """A work, its circumstances and its faults, all drawn from one number.

    One in twenty has a layer of several megabytes, one in five is behind TLS, and one in five has its source's blobs on
    another host.
    """

    number: int

    def __post_init__(self) -> None:
        self.dice = random.Random(self.number)
        self.chance = self.dice.choice([0.03, 0.1, 0.3, 0.7])
        names = self.dice.sample(
            [f"lib/{a}:v{n}" for a, n in product("abc", (1, 2))], self.dice.choice([1, 1, 2, 2, 3])
        )
        self.has_large = self.dice.random() < 0.05
        self.images = {name: self.made() for name in names}
        self.rules = self.dice.choice(["", "", "mutable", "immutable"])
        self.links = self.dice.choice(["all", "referred", "none"])
        self.trusts = self.dice.random() < 0.7
        self.wants_token = self.dice.random() < 0.3
        self.is_secure = self.dice.random() < 0.2
        self.stores_elsewhere = self.dice.random() < 0.2
        self.jobs = self.dice.randint(1, 4)
        self.options = {"trusts_tag": self.dice.random() < 0.5}
        before = self.dice.choice(["nothing", "nothing", "older", "parts"])
        self.before = "parts" if before == "older" and self.rules == "immutable" else before
        if self.before == "nothing" and self.dice.random() < 0.3:
            self.options["destination_is_new"] = True

    def made(self) -> MadeImage:
        def single() -> MadeImage:
            layers = [*self.dice.choices(LAYERS, k=self.dice.randint(1, 3)), *([LARGE] if self.has_large else [])]
            return image(layers, self.dice.choice(["linux/amd64", "linux/arm64"]))

        def multiple() -> MadeImage:
            return index(*(("linux/amd64", single()) for _ in range(self.dice.randint(1, 2))))

        def nested() -> MadeImage:
            return index(("", multiple()), ("", single()))

        return self.dice.choice([single, single, multiple, nested])()

    def strike(self, token: TokenServer | None, time: FakeTime) -> Strike:
        def fault(asked: Asked) -> Fault | None:
            if self.dice.random() >= self.chance:
                return None
            if token is not None and self.dice.random() < 0.2:
                token.valid.clear()
                time.now += 400
                return None
            return self.dice.choice(faults_of(asked))

        return fault


@dataclass
class Stage:
    """What outlives a schedule: the source, its storage and the destination, in the clear and behind TLS."""

    plain: Sequence[FaultyServer]
    secure: Sequence[FaultyServer]
    time: FakeTime
    transport: Transport

    def play(self, schedule: Schedule, folder: Path) -> None:
        source, storage, destination = self.secure if schedule.is_secure else self.plain
        play = Play(
            open_side(source, folder / "source"),
            open_side(
                destination,
                folder / "destination",
                ecr=schedule.rules,
                links=schedule.links,
                trusts=schedule.trusts,
            ),
            self.time,
            self.transport,
            endpoints=Endpoints(tuple((server.host, server.url) for server in (source, destination))),
        )
        requests = play.requests(schedule.images, **schedule.options)
        for key, made in schedule.images.items():
            path, _, tag = key.partition(":")
            if schedule.before == "older":
                play.destination.keep(image([b"old", key.encode()]), path, tag)
            elif schedule.before == "parts" and schedule.dice.random() < 0.5:
                play.destination.keep(made, path)
        serving = play.source.app
        if schedule.stores_elsewhere:
            storage.restart(Storage(play.source.app))
            serving = Elsewhere(serving, storage.url)
        token = None
        if schedule.wants_token:
            token = TokenServer(play.destination.app)
            token.realm = f"{destination.url}/token"
            destination.restart(token)
            serving = other = TokenServer(serving)
            other.realm = f"{source.url}/token"
            play.login = Login(source.host, destination.host)
        source.restart(serving)
        wanted = {one.key: str(one.source.digest) for one in requests}
        before = play.destination.tags()

        source.strike = storage.strike = schedule.strike(None, self.time)
        destination.strike = schedule.strike(token, self.time)
        outcomes = play.seed(requests, jobs=schedule.jobs)
        after = play.destination.tags()
        assert play.destination.damage() == []
        assert all(digest in (wanted[key], before.get(key)) for key, digest in after.items())
        for outcome in outcomes:
            assert outcome.status in (SeedStatus.COPIED, SeedStatus.UNCHANGED, SeedStatus.FAILED)
            assert outcome.error_code or after[outcome.key] == wanted[outcome.key]

        for server in (source, storage, destination):
            server.restart()
        self.time.now += 11  # a host that was lost is asked again after ten seconds
        schedule.options.pop("destination_is_new", None)
        again = play.seed(play.requests(schedule.images, **schedule.options), jobs=schedule.jobs)
        assert [outcome.error_message for outcome in again] == [None] * len(requests)
        assert play.destination.tags() == wanted
        assert play.destination.damage() == []


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    time = FakeTime()
    with ExitStack() as stack:
        tls, certificate = self_signed(tmp_path_factory.mktemp("tls"))
        plain, secure = ([stack.enter_context(idle_server(one)) for _ in range(3)] for one in (None, tls))
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("SSL_CERT_FILE", str(certificate))
        yield Stage(plain, secure, time, quick_transport(time, attempts=3))


def play_all(stage: Stage, numbers: range, folder: Path) -> None:
    for number in numbers:
        schedule = Schedule(number)
        try:
            stage.play(schedule, folder / str(number))
        except AssertionError as error:
            error.add_note(f"schedule {number}: {schedule}")
            raise


def test_survives_twenty_schedules_of_faults(stage: Stage, tmp_path: Path) -> None:
    play_all(stage, range(20), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(20, 2020, 250))
def test_survives_two_thousand_schedules_of_faults(stage: Stage, tmp_path: Path, first: int) -> None:
    play_all(stage, range(first, first + 250), tmp_path)
