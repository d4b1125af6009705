"""moto's CloudWatch Logs, completed so that the key of a log group can be changed and taken back."""

from __future__ import annotations

from typing import Any

from moto.logs import exceptions, responses


def complete_logs() -> None:
    """Change moto's classes."""
    responses.LogsResponse.associate_kms_key = _associate_kms_key
    responses.LogsResponse.disassociate_kms_key = _disassociate_kms_key


def _associate_kms_key(response: Any) -> str:
    _group(response).kms_key_id = response._get_param("kmsKeyId")
    return ""


def _disassociate_kms_key(response: Any) -> str:
    _group(response).kms_key_id = None
    return ""


def _group(response: Any) -> Any:
    group = response.logs_backend.groups.get(response._get_param("logGroupName"))
    if group is None:
        raise exceptions.ResourceNotFoundException
    return group
