"""What AWS would let a role do: the rights that each call needs, and whether the policies of the role grant them.

A session of a role that exists in the sandbox's IAM has the rights of its identity policies. All other credentials may
do everything. moto's own check compares no resources and denies every statement with a condition, so it cannot be used.
The rights are those of AWS's Service Authorization Reference, with the ones that AWS checks in the same call: tags,
a passed role, a key. Not simulated: policies of resources, organisations and sessions, and boundaries as a limit.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape  # writes, reads nothing

from moto.ecr.models import ecr_backends
from moto.iam import models as iam_models
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_S3_ACTIONS = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
_S3_BUCKET_READS = {
    "location": "GetBucketLocation",
    "versioning": "GetBucketVersioning",
    "encryption": "GetEncryptionConfiguration",
}
_S3_BUCKET_ACTIONS = {"GET": "ListBucket", "HEAD": "ListBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}
_OF_THE_REGISTRY = frozenset(
    {"GetAuthorizationToken", "DescribeRegistry", "PutReplicationConfiguration", "StartReplicationBackfill"}
)
# The registry's requests as ECR checks them: method, end of the path, actions.
_REGISTRY_ACTIONS = tuple(
    (method, re.compile(rf"/v2/(?P<repository>.+){tail}"), actions)
    for method, tail, actions in (
        ("POST", r"/blobs/uploads/?", ("InitiateLayerUpload",)),
        ("PATCH", r"/blobs/uploads/[^/]+", ("UploadLayerPart",)),
        ("PUT", r"/blobs/uploads/[^/]+", ("UploadLayerPart", "CompleteLayerUpload")),
        ("HEAD", r"/blobs/[^/]+", ("BatchCheckLayerAvailability",)),
        ("GET", r"/blobs/[^/]+", ("GetDownloadUrlForLayer",)),
        ("PUT", r"/manifests/[^/]+", ("PutImage",)),
        ("HEAD", r"/manifests/[^/]+", ("BatchGetImage",)),
        ("GET", r"/manifests/[^/]+", ("BatchGetImage",)),
        ("GET", r"/referrers/[^/]+", ("ListImageReferrers",)),
        ("GET", r"/tags/list", ("ListImages",)),
    )
)


@dataclass(frozen=True, slots=True)
class Right:
    """An action on a resource; `context` has the condition keys of the request."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Principal:
    """The session of a role, and the documents of the role's policies."""

    arn: str
    policies: Sequence[Mapping[str, Any]]

    def lacks(self, rights: Iterable[Right]) -> str | None:
        """AWS's sentence about the first of `rights` that the policies do not grant; None if they grant all."""
        for right in rights:
            if not allows(self.policies, right):
                return (
                    f"User: {self.arn} is not authorized to perform: {right.action} on resource: {right.resource} "
                    f"because no identity-based policy allows the {right.action} action"
                )
        return None


@dataclass(frozen=True, slots=True)
class Call:
    """A signed call to AWS: `action` is the API's operation, or the HTTP method of a request to S3."""

    key: str
    region: str
    service: str
    action: str
    parameters: Mapping[str, Any]
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def read_call(environ: WSGIEnvironment) -> Call:
    """The call in a request; without a signature, its key, region and service are empty. The body can be read again."""
    scope = _SCOPE.search(str(environ.get("HTTP_AUTHORIZATION", "")))
    key, region, service = scope.groups() if scope else ("", "", "")
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    is_json = service == "scheduler" and environ["REQUEST_METHOD"] in ("POST", "PUT")
    is_form = str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")
    action, parameters = str(environ["REQUEST_METHOD"]), dict(parse_qsl(environ.get("QUERY_STRING", ""), True))
    if target or is_form or is_json:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        parameters = (
            json.loads(body or b"{}") if target or is_json else dict(parse_qsl(body.decode(errors="replace"), True))
        )
        action = target.rpartition(".")[2] or ("" if is_json else parameters.get("Action", "")) or action
    encryption = environ.get("HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID", "")
    return Call(key, region, service, action, parameters, unquote(environ["PATH_INFO"]), {"kms-key": str(encryption)})


def rights_of(call: Call, account_id: str, world: World) -> Iterator[Right]:
    """The rights that AWS wants for `call` in the account."""
    asked, name = call.parameters, f"{call.service}:{call.action}"
    arn = f"arn:{world.partition(call.region)}:{call.service}:{call.region}:{account_id}:"
    iam = f"arn:{world.partition(call.region)}:iam::{account_id}:"
    match call.service:
        case "ecr":
            yield from _ecr(call, arn, world)
        case "ecr-public":
            yield Right(name, "*")
            yield Right("sts:GetServiceBearerToken", "*", {"sts:AWSServiceName": "ecr-public.amazonaws.com"})
        case "codebuild":
            # A build and a batch are named after their project: `project:uuid`, or an ARN that ends so.
            ids = [*asked.get("ids", ()), *filter(None, [asked.get("id")])]
            names = [one.rpartition("/")[2].partition(":")[0] for one in ids]
            for project in names or asked.get("names") or [asked.get("projectName") or asked.get("name")]:
                is_one = project is not None
                yield Right(name, f"{arn}project/{project.rpartition(':project/')[2]}" if is_one else "*")
            roles = [asked.get("serviceRole"), asked.get("buildBatchConfig", {}).get("serviceRole")]
            for role in dict.fromkeys(filter(None, roles)):
                yield Right("iam:PassRole", role, {"iam:PassedToService": "codebuild.amazonaws.com"})
        case "iam":
            role = f"{iam}role/{asked['RoleName']}" if "RoleName" in asked else "*"
            boundary = asked.get("PermissionsBoundary") or world.boundary(account_id, asked.get("RoleName", ""))
            yield Right(name, role, {"iam:PermissionsBoundary": boundary} if boundary else {})
            if call.action == "CreateRole" and any(parameter.startswith("Tags.") for parameter in asked):
                yield Right("iam:TagRole", role)
        case "logs":
            tagged = asked.get("resourceArn", "").partition(":log-group:")[2]
            # Actions on tags are checked against the log group, the others against its streams, and a list against
            # no group in particular, also if it asks for a prefix.
            group = f"{arn}log-group:{tagged or asked.get('logGroupName', '')}"
            yield Right(name, group if tagged else f"{group}:log-stream:{asked.get('logStreamName', '')}")
            if call.action == "CreateLogGroup" and asked.get("tags"):
                yield Right("logs:TagResource", group)
        case "secretsmanager":
            yield Right(name, asked.get("SecretId", "*"))
        case "dynamodb":
            yield Right(name, f"{arn}table/{asked.get('TableName', '*')}")
        case "s3":
            yield from _s3(call, account_id, world)
        case "events" if call.action == "PutEvents":
            for source in dict.fromkeys(entry["Source"] for entry in asked["Entries"]):
                yield Right(name, f"{arn}event-bus/default", {"events:source": source})
        case "events" | "monitoring" | "scheduler" | "sns" | "sqs":
            yield from _tellers(call, arn)
        case "sts" if call.action == "AssumeRole":
            yield Right(name, asked["RoleArn"])
        case "sts":
            return  # GetCallerIdentity is allowed to everybody
        case _:
            yield Right(name, "*")


_SCHEDULER_ACTIONS = {
    "POST": "CreateSchedule",
    "GET": "GetSchedule",
    "PUT": "UpdateSchedule",
    "DELETE": "DeleteSchedule",
}


def _tellers(call: Call, arn: str) -> Iterator[Right]:
    """Services that tell of something: each has resources of one kind, by name or ARN, which may come with tags."""
    asked, service, action = call.parameters, call.service, call.action
    tagged = asked.get("ResourceARN") or asked.get("ResourceArn") or asked.get("TopicArn")
    has_tags = bool(asked.get("Tags") or asked.get("tags")) or any(key.startswith("Tags.") for key in asked)
    match service:
        case "events":
            resource = f"{arn}rule/{asked.get('Rule') or asked.get('Name', '*')}"
            roles = [target.get("RoleArn") for target in asked.get("Targets", ())]
        case "monitoring":
            service, roles = "cloudwatch", []
            # boto3 sends JSON, and Terraform's provider a form.
            alarm = asked.get("AlarmName") or asked.get("AlarmNames.member.1") or asked.get("AlarmNames", ["*"])[0]
            resource = f"{arn.replace(':monitoring:', ':cloudwatch:')}alarm:{alarm}"
        case "scheduler":
            action = _SCHEDULER_ACTIONS.get(action, action)
            resource = f"{arn}schedule/default/{call.path.rpartition('/')[2]}"
            roles = [asked.get("Target", {}).get("RoleArn")]
        case "sqs":
            resource = f"{arn}{asked.get('QueueName') or asked.get('QueueUrl', '*').rpartition('/')[2]}"
            roles = []
        case _:
            resource, roles = f"{arn}{asked.get('Name', '*')}", []
    yield Right(f"{service}:{action}", tagged or resource)
    if has_tags and action.startswith(("Create", "Put")):
        yield Right(f"{service}:{'TagQueue' if service == 'sqs' else 'TagResource'}", tagged or resource)
    for role in filter(None, roles):
        yield Right("iam:PassRole", role, {"iam:PassedToService": f"{service}.amazonaws.com"})


def _ecr(call: Call, arn: str, world: World) -> Iterator[Right]:
    asked, name = call.parameters, f"ecr:{call.action}"
    if call.action in _OF_THE_REGISTRY:
        yield Right(name, "*")
        return
    tagged = asked.get("resourceArn", "").partition(":repository/")[2]
    names = asked.get("repositoryNames") or [asked.get("repositoryName") or tagged or "*"]
    for repository in names:
        yield Right(name, f"{arn}repository/{repository}")
    via = {"kms:ViaService": f"ecr.{call.region}.amazonaws.com"}
    if call.action == "CreateRepository":
        if asked.get("tags"):
            yield Right("ecr:TagResource", f"{arn}repository/{names[0]}")
        if key := asked.get("encryptionConfiguration", {}).get("kmsKey"):
            yield from (Right(f"kms:{action}", key, via) for action in ("DescribeKey", "CreateGrant"))
    if call.action == "DeleteRepository" and (key := world.repository_key(arn.split(":")[4], call.region, names[0])):
        yield Right("kms:RetireGrant", key, via)


def _s3(call: Call, account_id: str, world: World) -> Iterator[Right]:
    bucket, _, key = call.path.strip("/").partition("/")
    arn = f"arn:{world.partition(call.region)}:s3:::{bucket}"
    if not key:
        about = (right for part, right in _S3_BUCKET_READS.items() if call.action == "GET" and part in call.parameters)
        action = next(about, _S3_BUCKET_ACTIONS.get(call.action, call.action))
        yield Right(f"s3:{action}", arn, {"s3:prefix": call.parameters.get("prefix", "")})
        return
    exists, encrypted_with = world.s3_object(account_id, bucket, key)
    if not exists and call.action in ("GET", "HEAD"):
        yield Right("s3:ListBucket", arn)  # without it AWS answers 403 for a key that does not exist
    yield Right(f"s3:{_S3_ACTIONS.get(call.action, call.action)}", f"{arn}/{key}")
    via = {"kms:ViaService": f"s3.{call.region}.amazonaws.com"}
    if call.action == "PUT" and (kms_key := call.headers["kms-key"]):
        yield Right("kms:GenerateDataKey", kms_key, via)
    if call.action == "GET" and encrypted_with:
        yield Right("kms:Decrypt", encrypted_with, via)


def registry_rights(method: str, path: str, registry: str) -> Iterator[Right]:
    """The rights for a request to ECR's registry; `registry` is the beginning of its repositories' ARNs."""
    for wanted, pattern, actions in _REGISTRY_ACTIONS:
        found = pattern.fullmatch(path)
        if method == wanted and found:
            yield from (Right(f"ecr:{action}", f"{registry}{found['repository']}") for action in actions)
            return


def allows(policies: Iterable[Mapping[str, Any]], right: Right) -> bool:
    """Whether a statement of `policies` allows `right` and none denies it."""
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _listed(policy["Statement"])
        if _concerns(statement, right)
    }
    return effects == {"Allow"}


def _concerns(statement: Mapping[str, Any], right: Right) -> bool:
    return (
        any(_like(pattern.lower(), right.action.lower()) for pattern in _listed(statement["Action"]))
        and any(_like(pattern, right.resource) for pattern in _listed(statement.get("Resource", "*")))
        and all(
            _holds(operator, _listed(patterns), right.context.get(key))
            for operator, keys in statement.get("Condition", {}).items()
            for key, patterns in keys.items()
        )
    )


def _holds(operator: str, patterns: Sequence[str], value: str | None) -> bool:
    if value is None:
        return operator.endswith("IfExists")
    compare = {"StringEquals": str.__eq__, "StringLike": _like, "ArnLike": _like}[operator.removesuffix("IfExists")]
    return any(compare(pattern, value) for pattern in patterns)


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


class World:
    """What moto knows: the roles of sessions, and what the rights of a call depend on besides the call."""

    def account_of(self, key: str) -> str:
        """The account that an access key belongs to."""
        return str(iam_models.get_account_id_from(key))

    def principal(self, key: str) -> Principal | None:
        """The role whose session has this access key; None for other keys, and for a role that does not exist."""
        account_id = self.account_of(key)
        for partition, backend in tuple(iam_models.iam_backends[account_id].items()):
            known = backend.access_keys.get(key)
            session = sts_backends[account_id][partition].get_assumed_role_from_access_key(key)
            role = next((role for role in backend.roles.values() if known and role.arn == known.role_arn), None)
            if role and session:
                documents = [*role.policies.values(), *(policy.document for policy in role.managed_policies.values())]
                return Principal(session.arn, [json.loads(d) if isinstance(d, str) else d for d in documents])
        return None

    def partition(self, region: str) -> str:
        """The AWS partition of a region."""
        return str(get_partition(region))

    def boundary(self, account_id: str, role: str) -> str | None:
        """The permissions boundary of a role."""
        for backend in iam_models.iam_backends[account_id].values():
            for found in tuple(backend.roles.values()):
                if found.name == role:
                    return found.permissions_boundary_arn or None
        return None

    def repository_key(self, account_id: str, region: str, name: str) -> str | None:
        """The KMS key of a repository."""
        repository = ecr_backends[account_id][region].repositories.get(name)
        return repository.encryption_configuration.get("kmsKey") if repository else None

    def s3_object(self, account_id: str, bucket: str, key: str) -> tuple[bool, str | None]:
        """Whether an object exists, and the ARN of its KMS key."""
        for backend in s3_backends[account_id].values():
            found = backend.buckets.get(bucket)
            stored = found.keys.get(key) if found else None
            if stored is not None:
                return True, stored.kms_key_id
        return False, None


def refusal(call: Call, message: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """AWS's response to a call that it refuses, as the protocol of the service has it: status, headers, body."""
    if call.service in ("s3", "iam", "sts", "sns", "monitoring"):
        code = f"<Code>AccessDenied</Code><Message>{escape(message)}</Message>"
        body = (
            f"<Error>{code}</Error>"
            if call.service == "s3"
            else (f"<ErrorResponse><Error><Type>Sender</Type>{code}</Error></ErrorResponse>")
        )
        status, kind = "403 Forbidden", "application/xml"
    else:
        body = json.dumps({"__type": "AccessDeniedException", "message": message, "Message": message})
        status, kind = "400 Bad Request", "application/x-amz-json-1.1"
    is_empty = call.service == "s3" and call.action == "HEAD"
    data = b"" if is_empty else body.encode()
    return status, [("Content-Type", kind), ("Content-Length", str(len(data)))], data
