"""moto's Service Quotas, completed: it knows those of VPC only, and lists none.

moto's own class is changed, in the server process only. Codes and values are AWS's: those of ECR are in its user guide,
those of CodeBuild in listings that people published of their accounts. Each test account has room for some builds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.servicequotas import exceptions, responses

QUOTAS: Mapping[str, tuple[tuple[str, str, float], ...]] = {
    "ecr": (
        ("Registered repositories", "L-CFEB8E8D", 100_000),
        ("Images per repository", "L-03A36CE1", 100_000),
        ("Rate of PutImage requests", "L-AD52DFB2", 10),
        ("Rate of InitiateLayerUpload requests", "L-95B28F8D", 100),
        ("Rate of CompleteLayerUpload requests", "L-44194860", 100),
        ("Rate of UploadLayerPart requests", "L-A1670B10", 500),
    ),
    "codebuild": (
        ("Concurrently running builds for Linux/Small environment", "L-9D07B6EF", 60),
        ("Concurrently running builds for Linux/Medium environment", "L-2DC20C30", 60),
        ("Concurrently running builds for Linux/Large environment", "L-4DDC4A99", 60),
        ("Concurrently running builds for Linux/XLarge environment", "L-04E5CA62", 1),
        ("Concurrently running builds for Linux/2XLarge environment", "L-0397D009", 0),
        ("Concurrently running builds for ARM/Small environment", "L-5ED1D25B", 60),
        ("Concurrently running builds for ARM/Large environment", "L-596BEAB4", 60),
        ("Concurrently running builds for Linux GPU Small environment", "L-F1FE1B52", 0),
        ("Concurrently running builds for Linux GPU Large environment", "L-D906BEE7", 0),
    ),
}
"""By service: name, code and value."""


def complete_quotas() -> None:
    """Change moto's class."""
    responses.ServiceQuotasResponse.list_service_quotas = _list_service_quotas


def _list_service_quotas(response: Any) -> Any:
    service = json.loads(response.body)["ServiceCode"]
    if service not in QUOTAS:
        raise exceptions.NoSuchResource
    quotas = [
        {"ServiceCode": service, "QuotaName": n, "QuotaCode": c, "Value": float(v)} for n, c, v in QUOTAS[service]
    ]
    return ActionResult({"Quotas": quotas})
