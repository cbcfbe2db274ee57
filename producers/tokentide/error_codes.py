"""The error codes that may leave a service: those that providers document, and numbers.

What stands where a code is expected may be anything: a provider's message, or a text that a host
put into an exception of its own. Only words of this closed list are passed on; the kind of failure
(`error_type`) is reported for all.
"""

from __future__ import annotations

import re
from typing import Final

from tokentide._contract import CODE_PATTERN

__all__ = ["is_code", "known_code"]

_CODE: Final = re.compile(CODE_PATTERN.removesuffix("$") + r"\Z", re.ASCII)

_DIGITS: Final = 6

_OPENAI: Final = """
account_deactivated bad_request billing_hard_limit_reached billing_not_active bio bio_policy
content_filter content_policy_violation context_length_exceeded context_window_exceeded
conversation_locked cyber cyber_policy deactivated_workspace duplicate_item empty_array
empty_image_file empty_string engine_overloaded failed_to_download_image
image_content_policy_violation image_file_not_found image_file_too_large image_parse_error
image_too_large image_too_small
insufficient_permissions insufficient_quota integer_above_max_value integer_below_min_value
internal_error internal_server_error invalid_api_key invalid_base64_image invalid_image
invalid_image_format invalid_image_mode invalid_image_url invalid_organization invalid_project
invalid_prompt invalid_request invalid_request_error invalid_type invalid_value ip_not_authorized
json_validate_failed max_tokens mismatched_organization mismatched_project
missing_required_parameter model_decommissioned model_not_available model_not_found
model_overloaded moderation_blocked not_found overloaded permission_denied
previous_response_not_found quota_exceeded rate_limit_exceeded requests response_cancelled
safety_violations server_error service_unavailable slow_down string_above_max_length
string_below_min_length timeout tokens tool_use_failed unknown_parameter unknown_url
unsupported_country_region_territory unsupported_image_media_type unsupported_model
unsupported_parameter unsupported_value user_error vector_store_timeout
DeploymentNotFound InternalServerError OperationNotSupported PermissionDenied RateLimitReached
ResponsibleAIPolicyViolation Unauthorized UserByokError
"""
_ANTHROPIC: Final = """
api_error authentication_error billing_error credit_balance_too_low invalid_request_error
not_found_error overloaded_error permission_error rate_limit_error request_too_large timeout_error
bio cyber csam violent_extremism self_harm weapons
"""
_GOOGLE: Final = """
ABORTED ALREADY_EXISTS CANCELLED DATA_LOSS DEADLINE_EXCEEDED FAILED_PRECONDITION INTERNAL
INVALID_ARGUMENT NOT_FOUND OUT_OF_RANGE PERMISSION_DENIED RESOURCE_EXHAUSTED UNAUTHENTICATED
UNAVAILABLE UNIMPLEMENTED UNKNOWN
"""
_AMAZON: Final = """
AccessDenied AccessDeniedException ConflictException ExpiredToken ExpiredTokenException
IncompleteSignature InternalFailure InternalServerError InternalServerException
InvalidClientTokenId InvalidSignatureException MissingAuthenticationToken ModelErrorException
ModelNotReadyException ModelStreamErrorException ModelTimeoutException NotAuthorized OptInRequired
RequestExpired RequestTimeout RequestTimeoutException ResourceNotFoundException
ServiceQuotaExceededException ServiceUnavailable ServiceUnavailableException
SignatureDoesNotMatch Throttling ThrottlingException TooManyRequestsException
UnrecognizedClientException ValidationError ValidationException
internalServerException modelStreamErrorException modelTimeoutException
serviceUnavailableException throttlingException validationException
"""
_OTHERS: Final = """
insufficient_balance invalid_model invalid_request_prompt service_tier_capacity_exceeded
unauthorized forbidden invalid-argument resource-exhausted permission-denied not-found unavailable
request_rate_limited tokens_rate_limited throttling_error unprocessable_entity
context_length_exceeded_error content_filter_error connection_error
"""

_KNOWN: Final = frozenset(" ".join((_OPENAI, _ANTHROPIC, _GOOGLE, _AMAZON, _OTHERS)).split())


def is_code(text: str) -> bool:
    """Return whether a text has the shape of a code, a word or the name of a class."""
    return _CODE.match(text) is not None


def known_code(code: str) -> str:
    """Return a code that may leave: a documented one or a short number; else ""."""
    is_number = len(code) <= _DIGITS and code.isascii() and code.isdecimal()
    return code if is_number or code in _KNOWN else ""
