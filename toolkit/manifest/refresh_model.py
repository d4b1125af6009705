"""The part of a manifest about keeping its images fresh from inside AWS."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from toolkit.manifest.grammar import (
    BucketName,
    Duration,
    ObjectFolder,
    ScheduleText,
    SnsTopicArn,
    Spec,
    ToolImage,
    WheelObjectUrl,
    WheelSum,
    duration_of,
)

_HOUR = timedelta(hours=1)
_LONGEST_SILENCE = timedelta(days=7)
"""CloudWatch: an alarm looks back 604,800 seconds at most, in periods of an hour."""
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = (
    ("minute", 0, 59, ""),
    ("hour", 0, 23, ""),
    ("day of the month", 1, 31, "L W LW"),
    ("month", 1, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"),
    ("day of the week", 1, 7, "SUN MON TUE WED THU FRI SAT L"),
    ("year", 1970, 2199, ""),
)
"""The fields of a `cron` schedule with their numbers and words. Steps (`/15`) and weeks (`#2`) are not checked."""


def _schedule(text: str) -> str:
    """Terraform's provider takes any text, and AWS refuses it after the rest is made."""
    if not text.startswith("cron("):
        return text
    for (field, low, high, words), value in zip(_CRON, text[5:-1].split(" "), strict=True):
        for part in re.findall(r"(?<![0-9/#])[0-9]+|[A-Z]+", value):
            if not (low <= int(part) <= high if part.isdigit() else part in words.split()):
                raise ValueError(f"`{text}` has no {field} `{part}`: {low} to {high}{words and f', {words}'}")
    return text


def _time_zone(text: str) -> str:
    """Not every machine has a database of time zones, and AWS refuses what it does not know either."""
    if not _is_known(text) and _is_known("Europe/London"):
        raise ValueError(f"`{text}` is no time zone, such as `UTC` or `Asia/Tokyo`")
    return text


def _is_known(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (KeyError, OSError, ValueError):  # `ZoneInfoNotFoundError` is a KeyError
        return False
    return True


def _silence(text: str) -> str:
    time = duration_of(text)
    if time % _HOUR or not _HOUR <= time <= _LONGEST_SILENCE:
        raise ValueError(f"`{text}` is no time that an alarm can wait for: whole hours, `1h` to `7d`")
    return text


def _at_least_a_day(text: str) -> str:
    if duration_of(text) < timedelta(days=1):
        raise ValueError(f"`{text}` is less than a day")
    return text


class ToolSpec(Spec):
    """Where the run inside AWS has `toolkit` from: an image in ECR, or a wheel in S3 with its hash."""

    image: ToolImage | None = Field(
        None,
        description="Image of the tool in ECR, with a tag or a digest.",
        examples=["123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools/base-image-toolkit:1.0"],
    )
    wheel: WheelObjectUrl | None = Field(
        None,
        description="Wheel of the tool in S3; its dependencies come from the package index.",
        examples=["s3://acme-tools/base_image_toolkit-1.0-py3-none-any.whl"],
    )
    sha256: WheelSum | None = Field(None, description="The wheel's SHA-256; another file is not installed.")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> ToolSpec:
        if (self.image is None) == (self.wheel is None):
            raise ValueError("must have either an `image` or a `wheel` with its `sha256`")
        if (self.wheel is None) != (self.sha256 is None):
            raise ValueError("needs `wheel` and `sha256` together")
        return self


class AlarmsSpec(Spec):
    """When somebody is told."""

    silent_for: Annotated[Duration, AfterValidator(_silence)] = Field(
        "2d", description="No refresh has succeeded for so long, `1h` to `7d`. Longer than the time between two runs."
    )
    behind: Annotated[Duration, AfterValidator(_at_least_a_day)] = Field(
        "7d", description="An image has waited for so long that upstream's digest is copied."
    )
    pulls_left: int = Field(20, ge=0, description="Fewer pulls than these are left at a registry after a refresh.")


class RefreshSpec(Spec):
    """A schedule in AWS that brings the images up to date: `toolkit refresh` in a CodeBuild project."""

    schedule: Annotated[ScheduleText, AfterValidator(_schedule)] = Field(
        description="When, in the syntax of EventBridge Scheduler.", examples=["cron(0 4 * * ? *)", "rate(1 day)"]
    )
    time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        "UTC", description="Time zone of a `cron` schedule.", examples=["Asia/Tokyo"]
    )
    bucket: BucketName = Field(description="Bucket for the applied manifest and for the runs; it has to exist.")
    prefix: ObjectFolder | None = Field(None, description="Folder in it; default: `<name>/refresh`.")
    tool: ToolSpec = Field(description="Where the run has `toolkit` from.")
    notify: SnsTopicArn | None = Field(
        None, description="ARN of the SNS topic for the alarms; default: a topic is made, without subscribers."
    )
    alarms: AlarmsSpec = Field(default_factory=AlarmsSpec, description="From when on its alarms are on.")

    @model_validator(mode="after")
    def _runs_before_the_alarm(self) -> RefreshSpec:
        if found := _RATE.fullmatch(self.schedule):
            between = timedelta(**{f"{found[2]}s": int(found[1])})
            if between >= duration_of(self.alarms.silent_for):
                raise ValueError(
                    f"runs at `{self.schedule}`, so that `alarms.silent_for: {self.alarms.silent_for}` tells of every "
                    "silence between two runs: make it longer"
                )
        return self
