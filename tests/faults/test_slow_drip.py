"""A source that sends next to nothing, for ever: the rest is asked for anew, in the same upload."""

from __future__ import annotations

import itertools
from dataclasses import replace

from tests.support.clocks import FakeTime
from tests.support.fault_injection import Dripped
from tests.support.made_images import image
from tests.support.two_registries import Play
from toolkit.oci.transport import Transport
from toolkit.report import SeedStatus


def test_resumes_a_download_that_hardly_goes_on(play: Play) -> None:
    hours = itertools.count(step=3600.0)
    far = replace(play, transport=Transport(clock=lambda: next(hours), sleep=FakeTime().sleep, proxies={}))
    requests = far.requests({"lib/a:v1": image([b"layer" * 20])})
    far.source.server.strike = lambda asked: Dripped() if asked.kind == "GET blob" and asked.number <= 2 else None
    [outcome] = far.seed(requests, jobs=1)
    assert outcome.status is SeedStatus.COPIED
    assert far.source.server.count("GET blob") > 2
    assert far.destination.damage() == []
