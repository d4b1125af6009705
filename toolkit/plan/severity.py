"""How severe a finding of ECR's scan is."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """ECR's words, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFORMATIONAL = "informational"
    UNDEFINED = "undefined"
