"""A catalogue of what goes wrong between two registries: each fault on a whole run, over HTTP, by the usual engine.

After each: no tag whose content is not all there and right, and a clean run ends where the first one should have.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from itertools import product

import pytest

from tests.support.answer_changes import (
    absolute_location,
    garbled,
    misnamed,
    no_location,
    overlong,
    relative_location,
    runs_on,
    truncated,
)
from tests.support.clocks import FakeTime
from tests.support.fault_injection import (
    IN_REQUEST,
    ON_ARRIVAL,
    STAGES,
    Asked,
    Broken,
    Changed,
    Dripped,
    Fault,
    Refused,
)
from tests.support.made_images import image, index
from tests.support.two_registries import Play
from toolkit.report import SeedStatus

BASE = b"base" * 100
MULTIPLE = index(
    ("linux/amd64", image([BASE, b"", b"{}", b"a" * 40])), ("linux/arm64", image([BASE, b"arm" * 20], "linux/arm64"))
)
SINGLE = image([BASE, b"b" * 30])
NESTED = index(("", index(("linux/amd64", SINGLE))), ("", image([b"c" * 50], "linux/arm64")))
IMAGES = {"lib/a:v1": MULTIPLE, "lib/b:v1": SINGLE, "lib/c:v1": NESTED}

READS = ("GET manifest", "GET blob")
LOOKS = ("HEAD tag", "HEAD manifest", "HEAD blob")
WRITES = ("POST upload", "POST mount", "PUT upload", "PUT manifest", "PUT tag")
WITH_BODY = ("PUT upload", "PUT manifest", "PUT tag")
AT = dict.fromkeys(READS, "source") | dict.fromkeys((*LOOKS, *WRITES), "destination")
EVERY = tuple(AT)
ALWAYS = range(1, 10_000)


@dataclass(frozen=True)
class Case:
    """What befalls the requests `numbers` of a kind. `ends`: how, "copied" or the code of what fails because of it."""

    name: str
    kind: str
    fault: Fault
    numbers: range = range(1, 2)
    ends: str = "copied"

    def __str__(self) -> str:
        return f"{self.name}, {AT[self.kind]} {self.kind}"

    def strike(self, asked: Asked) -> Fault | None:
        return self.fault if asked.kind == self.kind and asked.number in self.numbers else None


PASSING = {
    "429 with seconds": Refused(429, "TOOMANYREQUESTS", {"Retry-After": "30"}),
    "429 with a date": Refused(429, "TOOMANYREQUESTS", {"Retry-After": formatdate(FakeTime().now + 30, usegmt=True)}),
    "500": Refused(500),
    "502": Refused(502),
    "503": Refused(503, "UNAVAILABLE"),
}
BROKEN = {
    f"{'half-closed' if halfway else 'reset'} {stage}": Broken(stage, halfway)
    for stage, halfway in product(STAGES, (False, True))
}

CASES = [
    *(Case(name, kind, fault, range(1, 3)) for name, fault in PASSING.items() for kind in EVERY),
    *(
        # Headers that end early look like all headers, and are asked for only once more.
        Case(name, kind, fault, range(1, 2 if name == "half-closed in the answer" else 3))
        for name, fault in BROKEN.items()
        for kind in (WITH_BODY if fault.stage == IN_REQUEST else EVERY)
    ),
    *(
        Case("429 without a word", kind, Refused(429), range(1, 4))
        for kind in ("GET manifest", "PUT upload", "PUT tag")
    ),
    *(
        Case("503 with seconds", kind, Refused(503, headers={"Retry-After": "20"}), range(1, 3))
        for kind in ("GET blob", "POST upload", "PUT upload")
    ),
    *(Case("503 for long", kind, Refused(503), ALWAYS, f"{AT[kind]}.registry_error") for kind in EVERY),
    *(Case("reset for ever", kind, Broken(ON_ARRIVAL), ALWAYS, f"{AT[kind]}.connection_failed") for kind in EVERY),
    *(Case("500 before the body", kind, Refused(500, early=True)) for kind in WITH_BODY),
    Case("400 before the body", "PUT upload", Refused(400, "UNKNOWN", early=True), ends="destination.bad_request"),
    # who is asking
    *(Case("403", kind, Refused(403, "DENIED"), ends="source.denied") for kind in READS),
    *(
        Case("403 on an existence check", kind, Refused(403, "DENIED"), ALWAYS)
        for kind in ("HEAD manifest", "HEAD blob")
    ),
    *(
        Case("403", kind, Refused(403, "DENIED"), ends="destination.denied")
        for kind in ("POST upload", "PUT upload", "PUT manifest", "PUT tag")
    ),
    *(Case("401 without a way in", kind, Refused(401, "UNAUTHORIZED"), ends="source.unauthorized") for kind in READS),
    # what is not there
    *(Case("404", kind, Refused(404, "MANIFEST_UNKNOWN"), ends="source.missing") for kind in READS),
    *(Case("404 then found", kind, Refused(404, "NAME_UNKNOWN"), range(1, 4)) for kind in (*LOOKS, *WRITES)),
    *(
        Case("404 for ever", kind, Refused(404, "NAME_UNKNOWN"), ALWAYS, "destination.repository_missing")
        for kind in ("POST upload", "PUT manifest", "PUT tag")
    ),
    *(
        Case("content not seen yet", kind, Refused(400, "MANIFEST_BLOB_UNKNOWN"), range(1, 4))
        for kind in ("PUT manifest", "PUT tag")
    ),
    Case("content never seen", "PUT tag", Refused(400, "MANIFEST_BLOB_UNKNOWN"), ALWAYS, "destination.bad_request"),
    *(Case("upload session lost", kind, Refused(404, "BLOB_UPLOAD_UNKNOWN"), range(1, 3)) for kind in ("PUT upload",)),
    # what comes
    *(Case("slow drip", kind, Dripped(), ALWAYS) for kind in EVERY),
    *(Case("truncated", kind, Changed(truncated)) for kind in READS),
    Case("truncated for ever", "GET manifest", Changed(truncated), ALWAYS, "source.digest_mismatch"),
    Case("truncated for ever", "GET blob", Changed(truncated), ALWAYS, "source.size_mismatch"),
    *(Case("over-long", kind, Changed(overlong)) for kind in READS),
    Case("over-long for ever", "GET manifest", Changed(overlong), ALWAYS, "source.digest_mismatch"),
    Case("over-long for ever", "GET blob", Changed(overlong), ALWAYS, "source.size_mismatch"),
    *(Case("more than was told", kind, Changed(runs_on), ALWAYS) for kind in EVERY),
    *(Case("wrong bytes", kind, Changed(garbled)) for kind in READS),
    *(Case("wrong bytes for ever", kind, Changed(garbled), ALWAYS, "source.digest_mismatch") for kind in READS),
    # what is said of it
    Case("wrong Docker-Content-Digest", "GET manifest", Changed(misnamed), ALWAYS),
    Case("wrong Docker-Content-Digest", "GET blob", Changed(misnamed), ALWAYS),
    Case("wrong Docker-Content-Digest", "HEAD tag", Changed(misnamed), ALWAYS, "destination.not_as_copied"),
    Case("wrong Docker-Content-Digest", "PUT manifest", Changed(misnamed), ALWAYS, "destination.digest_mismatch"),
    Case("wrong Docker-Content-Digest", "PUT tag", Changed(misnamed), ALWAYS, "destination.digest_mismatch"),
    Case("absolute Location", "POST upload", Changed(absolute_location), ALWAYS),
    Case("relative Location", "POST upload", Changed(relative_location), ALWAYS),
    Case("no Location", "POST upload", Changed(no_location), ALWAYS, "destination.request_refused"),
    # mounts
    *(
        Case(f"mount refused with {status}", "POST mount", Refused(status, code), ALWAYS)
        for status, code in (
            (400, "UNSUPPORTED"),
            (401, "UNAUTHORIZED"),
            (403, "DENIED"),
            (404, "NAME_UNKNOWN"),
            (405, "UNSUPPORTED"),
        )
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_survives_each_fault_of_the_catalogue(play: Play, case: Case) -> None:
    requests = play.requests(IMAGES)
    if case.kind == "HEAD manifest":  # asked for only where everything else is there
        for key, made in IMAGES.items():
            play.destination.keep(made, key.partition(":")[0])
    struck = play.source if AT[case.kind] == "source" else play.destination
    struck.server.strike = case.strike
    outcomes = play.seed(requests)
    assert struck.server.struck, "the fault never struck"
    assert {outcome.error_code for outcome in outcomes} - {None} == {case.ends} - {"copied"}, outcomes
    assert play.destination.damage() == []
    wanted = {one.key: str(one.source.digest) for one in requests}
    assert play.destination.tags().items() <= wanted.items()
    done = {outcome.key for outcome in outcomes if outcome.status is not SeedStatus.FAILED}
    assert done <= set(play.destination.tags())

    struck.server.restart()
    play.time.now += 11  # a host that was lost is asked again after ten seconds
    again = play.seed(requests)
    assert [outcome.error_message for outcome in again] == [None] * len(requests)
    assert play.destination.tags() == wanted
    assert play.destination.damage() == []
