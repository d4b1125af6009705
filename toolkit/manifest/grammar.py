"""What a single text of the manifest may look like: one annotated type each, with the sentence for those that do not.

AWS refuses most of these late and in its own words, some it accepts and then nothing works, and Terraform's provider
checks few, so they are checked here, before anything runs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from toolkit.manifest.tag_pattern import check_tag_pattern
from toolkit.manifest.tag_versions import VersionRange
from toolkit.manifest.terraform_grammar import check_extra_file, check_extra_files, check_provider_version
from toolkit.oci.alternatives import Alternative
from toolkit.oci.credential_variables import LIST, NEVER, PREFIX
from toolkit.oci.descriptor import Platform
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.errors import InvalidEndpoints, OciError
from toolkit.oci.reference import Reference, without_credential

REPOSITORY_NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
"""ECR's own."""
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"

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
    """Makes of `"all"` or a list what would be a union, whose faults are reported once for every alternative."""

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


def _tag_regex(text: str) -> str:
    return _parsed(check_tag_pattern, text)


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
RegistryHost = Annotated[str, AfterValidator(_registry_host)]
AlternativeText = Annotated[str, AfterValidator(_alternative)]
ReferenceText = Annotated[str, AfterValidator(_reference)]
PlatformText = Annotated[str, AfterValidator(_platform)]
Platforms = Annotated[Literal["all"] | tuple[str, ...], _Platforms()]
TagText = Annotated[
    str,
    Grammar(TAG, "is not an image tag: letters, digits, `_`, `.` and `-`, at most 128, no `.` or `-` first"),
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
        "is nobody who can be let in: give a 12-digit account id or the ARN of an IAM principal, without wildcards",
    ),
]
PrincipalOrAll = Annotated[
    str,
    Grammar(
        rf"\*|{_PRINCIPAL}",
        "is no principal: give a 12-digit account id, the ARN of an IAM principal without wildcards, or `*` for all",
    ),
]
ServicePrincipal = Annotated[
    str,
    Grammar(
        r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?", "is no AWS service, such as `codebuild.amazonaws.com`"
    ),
]
OrganizationId = Annotated[
    str, Grammar(r"o-[a-z0-9]{10,32}", "is not the id of an organisation, such as `o-a1b2c3d4e5`")
]
KmsKeyArn = Annotated[
    str,
    Grammar(
        rf"{_ARN}:kms:[a-z0-9-]+:{_ACCOUNT}:key/[A-Za-z0-9-]+",
        "is not the ARN of a KMS key (`arn:aws:kms:…:key/…`; ECR answers with it whatever alias was given)",
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
ResourceTagKey = Annotated[str, AfterValidator(_tag_key)]
ResourceTagValue = Annotated[str, AfterValidator(_tag_value)]
