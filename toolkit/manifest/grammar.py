"""What a single text of the manifest may look like: an annotated type for each, with the sentence for a fault.

AWS refuses most of these late and in its own words, it accepts some of them and then nothing works, and Terraform's
provider checks few. So they are checked here, before anything runs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from toolkit.manifest.tag_pattern import check_tag_extract, check_tag_pattern
from toolkit.manifest.tag_versions import VersionRange
from toolkit.oci.alternatives import Alternative
from toolkit.oci.credential_variables import LIST, NEVER, PREFIX
from toolkit.oci.descriptor import Platform
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.errors import InvalidEndpoints, OciError
from toolkit.oci.public_keys import read_public_keys
from toolkit.oci.reference import Reference, without_credential


class Spec(BaseModel):
    """A mapping of the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


PROVIDER_VERSIONS = ">= 5.80, < 7"
"""The versions of the AWS provider that the modules are made for."""

REFRESH = "refresh"
"""The name of the CodeBuild project that refreshes, after the manifest's."""

OWN_FILES = frozenset(
    {"main.tf", "outputs.tf", "imports.tf", "let_go.tf", "replicas.tf", "left_regions.tf", "base-images.json"}
)
"""File names that are reserved for the root module."""

_BOUND = re.compile(r"(?P<operator>=|!=|>=|<=|>|<|~>)?\s*(?P<version>\d+(\.\d+){0,2})")
_NUMBERS = tuple[int, ...]


def check_provider_version(text: str) -> str:
    """`text` itself; ValueError with a sentence unless a supported version meets the constraint."""
    low: _NUMBERS = (5, 80, 0)
    high: _NUMBERS = (7, 0, 0)
    for part in text.split(","):
        bound = _BOUND.fullmatch(part.strip())
        if bound is None:
            raise ValueError(f"`{text}` is not a version such as `5.100.0`, or a constraint such as `>= 6.8, < 7`")
        given = tuple(map(int, bound["version"].split(".")))
        version = (*given, 0, 0)[:3]
        after = (*version, 1)  # just above it
        match bound["operator"]:
            case None | "=":
                low, high = max(low, version), min(high, after)
            case ">=":
                low = max(low, version)
            case ">":
                low = max(low, after)
            case "<":
                high = min(high, version)
            case "<=":
                high = min(high, after)
            case "~>":
                kept = given[:-1] or given
                low, high = max(low, version), min(high, (*kept[:-1], kept[-1] + 1, 0, 0)[:3])
    if low >= high:
        raise ValueError(f"`{text}` allows no version of the AWS provider within `{PROVIDER_VERSIONS}`")
    return text


def check_extra_file(text: str) -> str:
    """`text` itself; ValueError with a sentence unless it is a path to a file that may stand beside ours."""
    parts = text.split("/")
    if "\\" in text or not text.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"`{text}` is not a path below the manifest's folder, such as `terraform/alarms.tf`")
    name = parts[-1]
    if name.startswith("."):
        raise ValueError(f"`{text}` is a hidden file, which Terraform does not read")
    if is_override(name):
        raise ValueError(f"`{text}` would override what `toolkit` writes")
    if name in OWN_FILES or re.fullmatch(r"replicas-.+\.json", name):
        raise ValueError(f"`{text}` would take the place of the `{name}` that `toolkit` writes")
    return text


def check_day(text: str) -> str:
    """`text` itself; ValueError with a sentence unless it is a day such as 2027-03-31."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError(f"{quoted(text)} is not a day, such as `2027-03-31`")
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"`{text}` is no day of the calendar") from error
    return text


def end_of_day(text: str) -> datetime:
    """The end, in UTC, of a day that `check_day` takes."""
    return datetime.combine(date.fromisoformat(text), time(tzinfo=UTC)) + timedelta(days=1)


def duration_of(text: str) -> timedelta:
    """The time that a `Duration` says."""
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[text[-1]]
    return timedelta(**{unit: int(text[:-1])})


def is_override(name: str) -> bool:
    """Whether Terraform merges a file of this name over others."""
    return re.fullmatch(r"(.*_)?override\.(tf|tofu)(\.json)?", name) is not None


def check_extra_files(paths: Sequence[str]) -> Sequence[str]:
    """`paths` themselves; ValueError with a sentence where two would have one name in the working directory."""
    names = [path.rpartition("/")[2] for path in paths]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise ValueError(f"two files are called `{name}`: they would be one in the working directory")
    return paths


REPOSITORY_NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
"""ECR's own rule."""
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
LONGEST_TAG = 128
TAG_PLACE = "{tag}"
"""Stands for the upstream's tag in a name for tags."""

_ARN = r"arn:aws[a-z-]*"
_ACCOUNT = r"[0-9]{12}"
_PRINCIPAL = (
    rf"{_ACCOUNT}|{_ARN}:iam::{_ACCOUNT}:(root|(user|role)/[A-Za-z0-9_+=,.@/-]+)"
    rf"|{_ARN}:sts::{_ACCOUNT}:(assumed-role|federated-user)/[A-Za-z0-9_+=,.@/-]+"
)


def quoted(text: str) -> str:
    """`text` in backticks, on one line, without a credential, cut where it is too long to read."""
    if not text:
        return "an empty text"
    text = without_credential(text)
    line = text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text
    return f"`{line if len(line) <= 120 else line[:119] + '…'}`"


def listed(words: Sequence[str], conjunction: str = "and") -> str:
    """Words in backticks as a sentence lists them."""
    shown = [f"`{word}`" for word in words]
    return f"{', '.join(shown[:-1])} {conjunction} {shown[-1]}" if len(shown) > 1 else shown[0]


def canonical_host(host: str) -> str:
    """The registry that `host` is a name of: `docker.io` for `index.docker.io`. ValueError if it is none."""
    try:
        reference = Reference.parse(f"{host}/a/b")
    except OciError:
        reference = None
    if reference is None or reference.repository != "a/b" or reference.tag or reference.digest:
        raise ValueError(f"{quoted(host)} is not the host of a registry, such as `docker.io`")
    return reference.registry


@dataclass(frozen=True, slots=True)
class Grammar:
    """A regular expression that a text has to match as a whole, and the predicate of the sentence otherwise.

    `echoes` is False where people paste secrets by mistake: the text is then not repeated.
    """

    pattern: str
    predicate: str
    echoes: bool = True

    def check(self, text: str) -> str:
        """`text` itself; ValueError with a sentence if it does not match."""
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"{quoted(text) if self.echoes else 'the text here'} {self.predicate}")
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}


def _reference(text: str) -> str:
    try:
        Reference.parse(text)
    except OciError as error:
        raise ValueError(_one_sentence(error)) from error
    return text


def _alternative(text: str) -> str:
    try:
        Alternative.parse(text)
    except OciError as error:
        raise ValueError(error.message) from error
    return text


def _registry_host(text: str) -> str:
    canonical_host(text)
    return text


def _platform(text: str) -> str:
    try:
        Platform.parse(text)
    except OciError as error:
        raise ValueError(_one_sentence(error)) from error
    return text


def _one_sentence(error: OciError) -> str:
    """An issue has no room for a hint of its own."""
    hint = f"; {error.hint[:1].lower()}{error.hint[1:].rstrip('.')}" if error.hint else ""
    return f"{error.message}{hint}"


class _Platforms:
    """Validates `"all"` or a list without a union, which would report a fault once for each alternative."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        items = handler.generate_schema(Annotated[tuple[PlatformText, ...], Field(strict=False, min_length=1)])
        return core_schema.no_info_wrap_validator_function(self._read, items)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        array = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {"anyOf": [{"const": "all"}, array]}

    @staticmethod
    def _read(value: object, handler: core_schema.ValidatorFunctionWrapHandler) -> object:
        if value == "all":
            return value
        if isinstance(value, str):
            raise ValueError(f"must be `all` or a list of platforms: write `[{value}]`")
        if isinstance(value, list) and "all" in value:
            raise ValueError("`all` stands alone: write `platforms: all`")
        return handler(value)


def _endpoint(text: str) -> str:
    """Not repeated in the sentence: it may carry a password."""
    try:
        Endpoints((("registry", text),))
    except InvalidEndpoints as error:
        form = "`https://mirror.example.com`, without user, `?` and `#`"
        raise ValueError(f"must be the address where the registry is served, such as {form}") from error
    return text


def _public_keys(text: str) -> str:
    read_public_keys(text)
    return text


def _tag_regex(text: str) -> str:
    return _parsed(check_tag_pattern, text)


def _tag_extract(text: str) -> str:
    return _parsed(check_tag_extract, text)


def _version_range(text: str) -> str:
    return _parsed(VersionRange.parse, text)


def _parsed(parse: Callable[[str], object], text: str) -> str:
    try:
        parse(text)
    except ValueError as error:
        raise ValueError(f"{quoted(text)} {error}") from error
    return text


def _tag_characters(text: str) -> str:
    """AWS: letters, numbers and spaces of any script, and a few signs."""
    for character in text:
        if character not in "_.:/=+-@" and unicodedata.category(character)[0] not in "LNZ":
            raise ValueError(f"{quoted(text)} has a character that AWS does not allow in resource tags: {character!r}")
    return text


def _tag_key(text: str) -> str:
    if not 1 <= len(text) <= 128:
        raise ValueError(f"{quoted(text)} is not a resource tag's key: these have 1 to 128 characters")
    if text.lower().startswith(("aws:", "toolkit:")):
        raise ValueError(f"{quoted(text)} is reserved: keys with `aws:` are AWS's, those with `toolkit:` are ours")
    return _tag_characters(text)


def _tag_value(text: str) -> str:
    if len(text) > 256:
        raise ValueError("is too long: a resource tag's value has at most 256 characters")
    return _tag_characters(text)


Name = Annotated[
    str,
    Grammar(
        r"(?=.{2,40}$)[a-z][a-z0-9]*(-[a-z0-9]+)*",
        "is not a name: 2 to 40 lower-case letters and digits, single hyphens between them, a letter first",
    ),
]
BuildName = Annotated[
    str,
    Grammar(
        r"(?=.{2,100}$)[a-z][a-z0-9]*(-[a-z0-9]+)*",
        "is not a name: 2 to 100 lower-case letters and digits, single hyphens between them, a letter first",
    ),
]
Duration = Annotated[
    str,
    Grammar(
        r"[0-9]{1,4}[smhdw]", "is not a time such as `3d` or `12h`: a whole number, then `s`, `m`, `h`, `d` or `w`"
    ),
]
Reason = Annotated[str, Grammar(r"[\s\S]*\w[\s\S]*", "says no reason")]
DigestText = Annotated[str, Grammar(r"sha256:[a-f0-9]{64}", "is not a digest: `sha256:` and 64 digits from 0 to f")]
LockObjectUrl = Annotated[
    str,
    Grammar(
        r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9_.-][A-Za-z0-9_./-]{0,1023}",
        "is not the address of an object in S3, such as `s3://acme-base-images/images.lock.yaml`",
    ),
]
WheelObjectUrl = Annotated[
    str,
    Grammar(
        r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([A-Za-z0-9_.-]+/)*[A-Za-z0-9_.+!]+(-[A-Za-z0-9_.+!]+){4,5}\.whl",
        "is not the address of a wheel in S3, such as `s3://acme-tools/base_image_toolkit-1.0-py3-none-any.whl`",
    ),
]
WheelSum = Annotated[str, Grammar(r"[a-f0-9]{64}", "is not a SHA-256: 64 digits from 0 to f")]
ObjectFolder = Annotated[
    str,
    Grammar(
        r"(?=.{1,900}$)(?!(.*/)?\.\.?(/|$))[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*",
        "is not a folder in a bucket: letters, digits, `.`, `_` and `-`, `/` between parts other than `.` and `..`",
    ),
]
_CRON_FIELD = r"[0-9A-Z*?/,L#W-]+"
ScheduleText = Annotated[
    str,
    Grammar(
        rf"rate\(([2-9]|[1-9][0-9]+) (minute|hour|day)s\)|rate\(1 (minute|hour|day)\)"
        rf"|cron\((?=(\S+ ){{2}}(\? \S+ [^?\s]+|[^?\s]+ \S+ \?) )({_CRON_FIELD} ){{5}}{_CRON_FIELD}\)",
        "is not a schedule such as `rate(1 day)`, `rate(12 hours)` or `cron(0 4 * * ? *)`; the parts of `cron` are "
        "minutes, hours, day of the month, month, day of the week and year, and one of the two days is `?`",
    ),
]
SnsTopicArn = Annotated[
    str,
    Grammar(
        rf"{_ARN}:sns:[a-z0-9-]+:{_ACCOUNT}:[A-Za-z0-9_-]{{1,256}}",
        "is not the ARN of an SNS topic (`arn:aws:sns:…`), other than a FIFO topic",
    ),
]
ToolImage = Annotated[
    str,
    Grammar(
        rf"{_ACCOUNT}\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.[a-z.]+/{REPOSITORY_NAME}(:{TAG}|@sha256:[a-f0-9]{{64}})",
        "is not an image in ECR with a tag or a digest, such as "
        "`123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools/base-image-toolkit:1.0`",
    ),
]
RegistryHost = Annotated[str, AfterValidator(_registry_host)]
AlternativeText = Annotated[str, AfterValidator(_alternative)]
ReferenceText = Annotated[str, AfterValidator(_reference)]
PlatformText = Annotated[str, AfterValidator(_platform)]
Platforms = Annotated[Literal["all"] | tuple[str, ...], _Platforms()]
TagText = Annotated[
    str,
    Grammar(TAG, "is not an image tag: letters, digits, `_`, `.` and `-`, at most 128, no `.` or `-` first"),
]
TagName = Annotated[
    str,
    Grammar(
        r"(?=.{1,128}$)(?![.-])[A-Za-z0-9_.-]*(\{tag\}[A-Za-z0-9_.-]*)?",
        "is not a name for tags: letters, digits, `_`, `.` and `-`, at most 128, no `.` or `-` first, and `{tag}` once "
        "at most, for the upstream's tag",
    ),
]
TagExclusion = Annotated[
    str,
    Grammar(
        r"(?=.{1,128}$)[A-Za-z0-9._-]*(\*[A-Za-z0-9._-]*){0,2}",
        "is not a name of image tags that ECR can exclude: letters, digits, `_`, `.` and `-`, at most 128, and `*` for "
        "any text at most twice",
    ),
]
TagGlob = Annotated[
    str,
    Grammar(
        r"[A-Za-z0-9_.*?\[\]!-]{1,128}",
        "is not a pattern of image tags: letters, digits, `_`, `.` and `-`, with `*`, `?` and `[…]` for any of them",
    ),
]
TagSuffix = Annotated[
    str,
    Grammar(
        r"[A-Za-z0-9_.*?\[\]!][A-Za-z0-9_.*?\[\]!-]{0,126}",
        "is not a suffix: write what follows the version without the `-` between them, such as `alpine` or `alpine*`",
    ),
]
TagRegex = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_tag_regex)]
TagExtract = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_tag_extract)]
VersionRangeText = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_version_range)]
RepositoryName = Annotated[
    str,
    Grammar(
        REPOSITORY_NAME,
        "is not a repository name that ECR accepts: lower-case letters and digits, single `.`, `_` or `-` between "
        "them, `/` between the parts",
    ),
]
AdoptPattern = Annotated[
    str,
    Grammar(
        r"[a-z0-9._/*?\[\]!-]+",
        "is not a pattern of names: lower-case letters, digits, `.`, `_`, `-` and `/`, with `*`, `?` and `[…]` for any",
    ),
]
Prefix = Annotated[
    str,
    Grammar(
        f"({REPOSITORY_NAME})?",
        "is not a prefix of repository names that ECR accepts: lower-case letters and digits, single `.`, `_` or `-` "
        "between them, no `/` at the ends",
    ),
]
Region = Annotated[
    str, Grammar(r"[a-z]{2,5}(-[a-z]+){1,3}-[0-9]{1,2}", "is not an AWS region, such as `ap-northeast-1`")
]
AccountId = Annotated[str, Grammar(_ACCOUNT, "is not an AWS account id: these have 12 digits")]
Principal = Annotated[
    str,
    Grammar(
        _PRINCIPAL,
        "is not a principal: give a 12-digit account id or the ARN of an IAM principal, without wildcards",
    ),
]
PrincipalOrAll = Annotated[
    str,
    Grammar(
        rf"\*|{_PRINCIPAL}",
        "is not a principal: give a 12-digit account id, the ARN of an IAM principal without wildcards, or `*` for all",
    ),
]
ServicePrincipal = Annotated[
    str,
    Grammar(
        r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?", "is not an AWS service, such as `codebuild.amazonaws.com`"
    ),
]
OrganizationId = Annotated[
    str, Grammar(r"o-[a-z0-9]{10,32}", "is not the id of an organisation, such as `o-a1b2c3d4e5`")
]
KmsKeyArn = Annotated[
    str,
    Grammar(
        rf"{_ARN}:kms:[a-z0-9-]+:{_ACCOUNT}:key/[A-Za-z0-9-]+",
        "is not the ARN of a KMS key (`arn:aws:kms:…:key/…`; ECR reports the ARN even if an alias was given)",
    ),
]
SecretArn = Annotated[
    str,
    Grammar(
        rf"{_ARN}:secretsmanager:[a-z0-9-]+:{_ACCOUNT}:secret:[A-Za-z0-9/_+=.@-]+",
        "is not the ARN of a Secrets Manager secret",
        echoes=False,
    ),
]
CredentialVariableName = Annotated[
    str,
    Grammar(
        rf"(?!{'|'.join(NEVER)})[A-Za-z_][A-Za-z0-9_]*",
        f"is not the name of a variable for registries: `{PREFIX}…`, or one that the environment lists in `{LIST}`; "
        f"never {', '.join(f'`{start}…`' for start in NEVER)}",
        echoes=False,
    ),
]
EnvironmentVariableName = Annotated[
    str,
    Grammar(
        r"(?!CODEBUILD_|AWS_ACCESS_KEY_ID$|AWS_SECRET_ACCESS_KEY$|TOOLKIT_ECR_REGISTRY$)[A-Za-z_][A-Za-z0-9_]*",
        "cannot be set for a build: letters, digits and `_`; `CODEBUILD_…` is AWS's, `TOOLKIT_ECR_REGISTRY` ours, "
        "and keys come from the role",
    ),
]
SourcePath = Annotated[
    str,
    Grammar(
        r"(?!/)(?!(.*/)?\.\.?(/|$))[^\x00-\x1f\x7f]+",
        "is not the path of a file in the source: relative, without `.` and `..`",
    ),
]
BucketName = Annotated[str, Grammar(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "is not the name of an S3 bucket")]
StateKey = Annotated[
    str, Grammar(r"[^/\s]([^\n\r]{0,1022}[^/\s])?", "is not the key of an object: it has no `/` or space at the ends")
]
WorkspaceName = Annotated[str, Grammar(r"[A-Za-z0-9_.-]{1,90}", "is not the name of a Terraform workspace")]
ProviderVersion = Annotated[str, AfterValidator(check_provider_version)]
ExtraFiles = Annotated[tuple[Annotated[str, AfterValidator(check_extra_file)], ...], AfterValidator(check_extra_files)]
TableName = Annotated[str, Grammar(r"[A-Za-z0-9_.-]{3,255}", "is not the name of a DynamoDB table")]
EndpointUrl = Annotated[str, AfterValidator(_endpoint)]
PublicKeys = Annotated[str, AfterValidator(_public_keys)]
PredicateType = Annotated[
    str,
    Grammar(
        r"[a-z][a-z0-9+.-]*:[!-~]{1,512}",
        "is not the type of an attestation: a URI, such as `https://slsa.dev/provenance/v1`",
        echoes=False,
    ),
]
ResourceTagKey = Annotated[str, AfterValidator(_tag_key)]
ResourceTagValue = Annotated[str, AfterValidator(_tag_value)]


MIRROR = "mirror:"
"""Prefix of an environment image that the manifest mirrors."""

_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"

WEBHOOK_EVENTS = (
    *("PUSH", "PULL_REQUEST_CREATED", "PULL_REQUEST_UPDATED", "PULL_REQUEST_CLOSED", "PULL_REQUEST_REOPENED"),
    *("PULL_REQUEST_MERGED", "RELEASED", "PRERELEASED", "WORKFLOW_JOB_QUEUED"),
)
"""CodeBuild's events; not every Git host has all of them."""


def _environment_image(text: str) -> str:
    if not text.startswith(MIRROR):
        return text
    name = text.removeprefix(MIRROR)
    try:
        reference = Reference.parse(name)
    except OciError as error:
        raise ValueError(f"after `{MIRROR}` there is no image: {error.message}") from error
    if reference.digest is not None:
        raise ValueError(f"{quoted(name)} has a digest: name its tag, and pin the digest in `images`")
    return text


def _regional(service: str, resource: str) -> str:
    return rf"{_ARN}:{service}:[a-z0-9-]+:{_ACCOUNT}:{resource}"


EnvironmentImage = Annotated[str, Grammar(r"\S+", "is not the name of an image"), AfterValidator(_environment_image)]
ConnectionArn = Annotated[
    str,
    Grammar(
        _regional("(codeconnections|codestar-connections)", r"connection/[A-Za-z0-9-]+"),
        "is not the ARN of a connection (`arn:aws:codeconnections:…:connection/…`)",
    ),
]
BucketAndPrefix = Annotated[
    str,
    Grammar(rf"{_BUCKET}/[^/\s][^\n\r]*", "is not `bucket/prefix`"),
]
FolderPath = Annotated[
    str, Grammar(r"[^/\s]([^\n\r]*[^/\s])?", "is not a path in a bucket: it has no `/` or space at the ends")
]
ArtifactName = Annotated[str, Grammar(r"/|[^\s/][^\n\r]*", "is not the name of an artifact")]
BuildspecPath = Annotated[
    str,
    Grammar(
        r"(?!/)(?!(.*/)?\.\.(/|$))\S+\.ya?ml",
        "is not the path of a buildspec in the source, such as `ci/buildspec.yml`",
    ),
]
UploadPath = Annotated[str, Field(min_length=1)]
VpcId = Annotated[str, Grammar(r"vpc-[0-9a-f]{8,17}", "is not the id of a VPC (`vpc-…`)")]
SubnetId = Annotated[str, Grammar(r"subnet-[0-9a-f]{8,17}", "is not the id of a subnet (`subnet-…`)")]
SecurityGroupId = Annotated[str, Grammar(r"sg-[0-9a-f]{8,17}", "is not the id of a security group (`sg-…`)")]
ParameterName = Annotated[
    str,
    Grammar(
        r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,14}",
        "is not the name of a parameter, such as `/web/license`",
        echoes=False,
    ),
]
_SECRET = _regional("secretsmanager", "secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}")
WholeSecretArn = Annotated[
    str,
    Grammar(
        _SECRET,
        "is not the whole ARN of a Secrets Manager secret, which ends in a hyphen and six characters",
        echoes=False,
    ),
]
SecretName = Annotated[
    str,
    Grammar(
        rf"([A-Za-z0-9/_+=.@-]+|{_SECRET})(:[^:\s]*){{0,3}}",
        "is not the name or whole ARN of a secret, with `:<JSON key>:<stage>:<version>` behind it at most",
        echoes=False,
    ),
]
FleetArn = Annotated[
    str,
    Grammar(
        _regional("codebuild", r"fleet/[A-Za-z0-9_:-]+"), "is not the ARN of a fleet (`arn:aws:codebuild:…:fleet/…`)"
    ),
]
PipelineName = Annotated[
    str,
    Grammar(r"[A-Za-z0-9.@_-]{1,100}", "is not the name of a pipeline: 1 to 100 letters, digits, `.`, `@`, `_`, `-`"),
]
PolicyAction = Annotated[
    str, Grammar(r"[a-z0-9-]+:[A-Za-z0-9*?]+", "is not an action of IAM, such as `s3:GetObject` or `s3:Get*`")
]
PolicyResource = Annotated[
    str, Grammar(rf"\*|({_ARN}|arn:\*):\S+", "is not an ARN, such as `arn:aws:s3:::bucket/*`, and not `*`")
]
StatementId = Annotated[str, Grammar(r"[A-Za-z0-9]{1,64}", "is not the id of a statement: letters and digits only")]
RoleArn = Annotated[
    str,
    Grammar(rf"{_ARN}:iam::{_ACCOUNT}:role/[A-Za-z0-9_+=,.@/-]+", "is not the ARN of a role (`arn:aws:iam::…:role/…`)"),
]
ProfileName = Annotated[str, Grammar(r"[^\s\[\]][^\n\r\[\]]{0,127}", "is not the name of an AWS profile")]
PolicyArn = Annotated[
    str,
    Grammar(rf"{_ARN}:iam::({_ACCOUNT}|aws):policy/\S+", "is not the ARN of an IAM policy (`arn:aws:iam::…:policy/…`)"),
]
