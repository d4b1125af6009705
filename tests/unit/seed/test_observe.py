"""Looking at both sides, and leaving it early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

LEAVES_EARLY = """
import threading
from tests.support.fake_services import desired
from toolkit.oci.document_cache import DocumentCache
from toolkit.seed.observe import Observer

class Silent:
    asked = threading.Event()

    def head_manifest(self, ref):
        self.asked.set()
        threading.Event().wait()

upstream = Silent()
observer = Observer(upstream, None, lambda event: None, cache=DocumentCache())
with observer.start(desired("one", "two").images, frozenset()):
    assert upstream.asked.wait(20)
    raise SystemExit(5)
"""


def test_ends_while_a_registry_does_not_respond() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVES_EARLY], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 5
