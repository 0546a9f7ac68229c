"""What AWS refuses, as one message each: what happened, the value, what to do next."""

import re

from conf.errors import CloudError
from conf.s3 import EXPIRED, LOG_IN, error_code

_REFUSED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403"}
_UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidAccessKeyId"}
_NONE = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}
_SILENT = {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"}
_FULL = {"ServiceQuotaExceededException", "LimitExceededException", "LimitExceeded", "VcpuLimitExceeded"}
_BUSY = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown"}
_ACTION = re.compile(r"not authorized to perform:? ([\w-]+:\w+)")


def explain(error: Exception, service: str, operation: str, region: str) -> CloudError:
    """One message for whatever boto3 met, with the code that AWS gives it."""
    code = error_code(error)
    what = f"{service} {operation} in {region}"
    said = " ".join(str(error).split())
    if code in _NONE:
        message = (
            "No AWS credentials were found. Set AWS_PROFILE, give --aws-profile, or run `aws configure`. "
            "--dry-run needs none."
        )
    elif code in EXPIRED:
        message = f"The AWS credentials have expired ({code}). {LOG_IN}"
    elif code in _UNKNOWN:
        message = (
            f"AWS does not know these credentials ({code}). Look at AWS_PROFILE and `aws sts get-caller-identity`."
        )
    elif code in _REFUSED:
        message = f"These credentials may not do {_action(said, service, operation)}: {said} Ask for that right."
    elif code in _FULL:
        message = f"A quota of the account is used up ({what}): {said} Ask for more in Service Quotas, or use less."
    elif code in _BUSY:
        message = f"AWS asks to slow down ({what}). Wait a minute and run this again: it goes on where it was."
    elif code in _SILENT:
        message = f"No answer from {what}. Is this machine on the network, and does {region} have that service?"
    elif code == "ParamValidationError":
        message = f"AWS does not take what {what} was given: {said}"
    else:
        message = f"{what} failed: {said}"
    return CloudError(message, code)


def _action(said: str, service: str, operation: str) -> str:
    """The right that is missing, as AWS names it; where it does not, what was asked."""
    found = _ACTION.search(said)
    return found[1] if found else f"{service}:{''.join(word.title() for word in operation.split('_'))}"
