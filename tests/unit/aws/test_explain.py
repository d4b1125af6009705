"""Every row of the table that turns botocore's failures into ours."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from toolkit.aws.explain import explain, explained
from toolkit.errors import AccessDenied, Refused


def client_error(code: str, message: str = "because") -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": code, "Message": message}}, "DescribeRepositories")


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (client_error("ExpiredToken"), AccessDenied, "aws.credentials_expired"),
        (client_error("ExpiredTokenException"), AccessDenied, "aws.credentials_expired"),
        (client_error("RequestExpired"), AccessDenied, "aws.credentials_expired"),
        (client_error("InvalidClientTokenId"), AccessDenied, "aws.credentials_invalid"),
        (client_error("UnrecognizedClientException"), AccessDenied, "aws.credentials_invalid"),
        (client_error("SignatureDoesNotMatch"), AccessDenied, "aws.credentials_invalid"),
        (client_error("AuthFailure"), AccessDenied, "aws.credentials_invalid"),
        (client_error("AccessDenied"), AccessDenied, "aws.access_denied"),
        (client_error("AccessDeniedException"), AccessDenied, "aws.access_denied"),
        (client_error("UnauthorizedOperation"), AccessDenied, "aws.access_denied"),
        (client_error("OptInRequired"), AccessDenied, "aws.access_denied"),
        (client_error("ServerException"), Refused, "aws.unavailable"),
        (client_error("ThrottlingException"), Refused, "aws.unavailable"),
        (client_error("NoSuchBucket"), Refused, "aws.no_bucket"),
        (client_error("RepositoryAlreadyExistsException"), Refused, "aws.request_failed"),
        (boto.NoCredentialsError(), AccessDenied, "aws.no_credentials"),
        (boto.PartialCredentialsError(provider="env", cred_var="x"), AccessDenied, "aws.no_credentials"),
        (boto.ProfileNotFound(profile="prod"), AccessDenied, "aws.no_profile"),
        (boto.UnauthorizedSSOTokenError(), AccessDenied, "aws.credentials_expired"),
        (boto.TokenRetrievalError(provider="sso", error_msg="late"), AccessDenied, "aws.credentials_expired"),
        (boto.LoginRefreshRequired(), AccessDenied, "aws.credentials_expired"),
        (boto.LoginTokenLoadError(error_msg="late"), AccessDenied, "aws.credentials_expired"),
        (boto.LoginInsufficientPermissions(), AccessDenied, "aws.access_denied"),
        (boto.CredentialRetrievalError(provider="process", error_msg="x"), AccessDenied, "aws.no_credentials"),
        (boto.InvalidConfigError(error_msg="no such source_profile"), AccessDenied, "aws.no_credentials"),
        (boto.InfiniteLoopConfigError(source_profile="a", visited_profiles=["a"]), AccessDenied, "aws.no_credentials"),
        (boto.ConfigParseError(path="config"), AccessDenied, "aws.no_credentials"),
        (boto.ConfigNotFound(path="config"), AccessDenied, "aws.no_credentials"),
        (boto.EndpointConnectionError(endpoint_url="https://x"), Refused, "aws.unreachable"),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), Refused, "aws.unreachable"),
        (boto.SSLError(endpoint_url="https://x", error="self-signed"), Refused, "aws.certificate_untrusted"),
        (boto.NoRegionError(), Refused, "aws.request_failed"),
        (ResponseParserError("no XML"), Refused, "aws.not_aws"),
    ],
)
def test_names_the_cause(
    error: boto.BotoCoreError | boto.ClientError | ResponseParserError, kind: type, code: str
) -> None:
    ours = explain(error)
    assert type(ours) is kind
    assert ours.code == code


def test_keeps_the_action_and_the_words_of_aws() -> None:
    ours = explain(client_error("AccessDeniedException", "User x is not authorized"))
    assert "`DescribeRepositories`" in ours.message
    assert "User x is not authorized" in ours.message
    assert ours.hint


def test_the_block_translates() -> None:
    with pytest.raises(AccessDenied), explained():
        raise client_error("AccessDenied")


def test_names_the_half_that_is_missing_of_a_credential() -> None:
    ours = explain(boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"))
    assert "`AWS_SECRET_ACCESS_KEY`" in ours.message


def test_the_block_translates_an_answer_that_is_not_aws() -> None:
    with pytest.raises(Refused), explained():
        raise ResponseParserError("no XML")
