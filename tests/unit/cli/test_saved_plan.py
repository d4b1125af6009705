from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.toolkit_run import Toolkit
from toolkit.cli.saved_plan import read_plan
from toolkit.errors import Refused

MANIFEST = "version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n"


@pytest.mark.parametrize("place", [".", "/", "images.yaml/plan.json", "absent/plan.json"])
def test_a_place_that_takes_no_plan_is_refused_before_planning(tmp_path: Path, place: str) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    done = Toolkit(tmp_path).run("plan", "--out", place, "--terraform-bin", "/bin/false").expect(7)
    assert f"the plan cannot be written to `{place}`: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plan_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("[" * 100_000)
    with pytest.raises(Refused, match="it is no JSON"):
        read_plan(tmp_path / "plan.json", tmp_path / "images.yaml", tmp_path)
