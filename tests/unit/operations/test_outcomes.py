"""How a run ends by what became of its images."""

from __future__ import annotations

import pytest

from toolkit.errors import AccessDenied, SeedingIncomplete, ToolkitError
from toolkit.operations.outcomes import raise_if_incomplete
from toolkit.report import Report, SeedOutcome, SeedStatus


@pytest.mark.parametrize(
    ("codes", "kind", "code"),
    [
        (["destination.denied"], AccessDenied, "destination.denied"),
        (["destination.denied", "source.credential_unusable"], AccessDenied, "destination.denied"),
        (["source.unauthorized"], AccessDenied, "source.unauthorized"),
        (["destination.denied", "source.connection_failed"], SeedingIncomplete, "seed.incomplete"),
        (["source.connection_failed"], SeedingIncomplete, "seed.incomplete"),
    ],
)
def test_a_run_that_lacks_nothing_but_rights_need_not_be_tried_again(
    codes: list[str], kind: type[ToolkitError], code: str
) -> None:
    done = SeedOutcome("a:1", SeedStatus.COPIED, "s", "d")
    failed = [
        SeedOutcome(f"b:{code}", SeedStatus.FAILED, "s", "d", error_code=code, error_message="no") for code in codes
    ]
    with pytest.raises(kind) as ended:
        raise_if_incomplete(Report((done, *failed), 1.0))
    assert ended.value.code == code
