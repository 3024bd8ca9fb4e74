"""What each error code means, why it happens and what to do: the table behind GET /help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exhaust.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Help:
    """What the page says of a code or a question.

    Attributes:
        means: one sentence.
        why: the usual causes, the most frequent first.
        do: what to do, in the order in which to try it.
    """

    means: str
    why: tuple[str, ...]
    do: tuple[str, ...]


_ASK_OPERATORS: Final = (
    "If that does not help, ask the operators; tell them the X-Request-ID of the answer, and no license key."
)

ERROR_HELP: Final[dict[ErrorCode, Help]] = {
    ErrorCode.INVALID_DATA_ERROR: Help(
        "Something in the call is not as this operation takes it.",
        (
            "A field of the body, a header or a query parameter is misspelt, missing, too long or of another type.",
            "The body is not JSON (413, 415), or came too slowly (408).",
            "The same Idempotency-Key came with another body (422).",
            "The request is in a state that does not allow this, for example it has ended already (409).",
        ),
        (
            "Read errmsg: it names each wrong place.",
            "Send Accept: application/problem+json to get all violations as a list, each with a JSON pointer.",
            "Compare the call with the page /docs.",
        ),
    ),
    ErrorCode.INVALID_DATE: Help(
        "A date is no day that can be asked for.",
        (
            "It is not written as YYYY-MM-DD, or is no day of the calendar.",
            "The last day is today or later: a day can be asked for when it is over, in the time zone of the platform.",
            "The first day comes after the last one.",
        ),
        ("Ask for days up to yesterday (UTC, unless the operators say otherwise).", "Write dates as 2026-11-01."),
    ),
    ErrorCode.DATE_RANGE_TOO_LARGE: Help(
        "The range has more than 31 days.",
        ("Both ends count: 2026-10-01 to 2026-10-31 is 31 days.",),
        (
            "Split the range into requests of at most 31 days each.",
            "The command `exhaust get` splits long ranges by itself.",
        ),
    ),
    ErrorCode.MISSING_PARTNERID: Help(
        "The call names no partner.",
        ("request/partnerid is absent, null or blank.",),
        ("Send the plain id of the partner for whom you ask, such as org.example.partner.maple.",),
    ),
    ErrorCode.MISSING_USERNAME: Help(
        "The call does not say who asks.",
        ("request/username is absent, null or blank.",),
        ("Send the name of the person or the job that asks; it stands in lists and in the audit.",),
    ),
    ErrorCode.LOGIN_FAILED: Help(
        "The license key or token is not accepted.",
        (
            "The key is mistyped, cut off, or of another installation.",
            "It was revoked, or its time is over.",
            "The token is expired, for another audience, or of an issuer that is not known here.",
            "The key stands where this operation does not read it: POST reads request/licenseKey, GET reads X-API-Key.",
        ),
        (
            "Send the key exactly as it was shown when it was made, without quotes or blanks.",
            "Register a key of another name, and ask the operators for the grants; a lost key cannot be shown again.",
            "Get a new token from its issuer.",
        ),
    ),
    ErrorCode.AUTHORIZATION_FAILED: Help(
        "The license key is valid, but has no grant for this.",
        (
            "Nobody has granted it the resource, or the grant is for another dataset, has expired or was withdrawn.",
            "The resource is written as a plain id, where the first 32 hex digits of its SHA-1 are wanted.",
            "The dataset or the resource is misspelt: an unknown resource is answered like one without a grant.",
        ),
        (
            "Check the ids. The resource of a partner or channel is: printf %s ID | sha1sum | cut -c 1-32",
            "Ask the operators for a grant; tell them the client, the name of the key, and the plain id.",
        ),
    ),
    ErrorCode.INVALID_REQUESTID: Help(
        "There is no such request for this license key.",
        (
            "The id is mistyped, or is no UUID.",
            "The request was made with another key, whose grants this one does not have.",
            "It has ended so long ago that its record was removed.",
        ),
        (
            "Look the id up in the list of the partner's requests.",
            "Submit the request again: days that exist are not built again.",
        ),
    ),
    ErrorCode.INTERNAL_ERROR: Help(
        "Something went wrong on our side.",
        ("A defect of ours. It stands in our log.",),
        ("Try once more.", _ASK_OPERATORS),
    ),
    ErrorCode.NOT_FOUND: Help(
        "There is no such address.",
        ("The path is misspelt, or has a part too many or too few.", "The operation is for operators alone."),
        ("Look the path up on the page /docs, which lists every operation.",),
    ),
    ErrorCode.METHOD_NOT_ALLOWED: Help(
        "The address exists, but not with this HTTP method.",
        ("For example GET where POST is wanted.",),
        ("Use a method that the header Allow of the answer names.",),
    ),
    ErrorCode.NOT_COMPLETE: Help(
        "The download of this request is not there yet.",
        ("The request is in progress: it waits, its days are being built, or they are being joined.",),
        (
            "Wait as many seconds as Retry-After says, then call again.",
            "Wait for the end of the request: read its status with ?wait=30, or its stream of events.",
        ),
    ),
    ErrorCode.REQUEST_FAILED: Help(
        "The request has failed or was cancelled, so there is no whole download of it.",
        ("A day could not be made; the status says which, and why.", "Somebody cancelled the request."),
        (
            "Take its finished days with ?part=finished, if there are any.",
            "Try it again (POST …/retry); only the days that are missing are built.",
            "Submit a cancelled request anew.",
        ),
    ),
    ErrorCode.EXPIRED: Help(
        "The download was there and has been removed.",
        ("Downloads are kept for some days only; expiresat in the status says until when.",),
        ("Submit the same request again.",),
    ),
    ErrorCode.RATE_LIMITED: Help(
        "That was too much for now.",
        (
            "The license key or the address made too many calls in a minute.",
            "Too many of the key's waiting status calls, lists or downloads are at work at once.",
            "What may be built for the key in a day (UTC) has been.",
        ),
        (
            "Wait as many seconds as Retry-After says, then call again.",
            "Ask for a status with ?wait=30 in place of many short calls.",
            "Ask the operators when the limits are too low for your work.",
        ),
    ),
    ErrorCode.SERVICE_UNAVAILABLE: Help(
        "Something that is needed does not answer now, or the archive of a waiting download is not ready yet.",
        (
            "A server behind this one is away or starts again.",
            "A download by v1 or v3 takes longer than a call may last; the work goes on.",
            "If a request failed with it: a service did not answer for so long that the request was given up.",
        ),
        (
            "Wait as many seconds as Retry-After says, then call again: what was finished meanwhile is found.",
            "Of a failed request: retry it, or submit it again.",
        ),
    ),
    ErrorCode.SOURCE_OBJECT_UNREADABLE: Help(
        "Raw telemetry of a requested day is damaged.",
        ("A stored file of that day is cut off, is no gzip, or fails its checksum.",),
        (
            "Take the other days: partialurl of the status is a download of all that are finished.",
            "Ask the operators to repair the day that error/day names, then retry the request.",
        ),
    ),
    ErrorCode.SOURCE_OBJECT_CHANGED: Help(
        "Raw telemetry of a requested day changed while it was read.",
        ("Late data of that day arrived in that moment.",),
        ("Retry the request, or submit it again, some minutes later.",),
    ),
    ErrorCode.LIMIT_EXCEEDED: Help(
        "Raw telemetry of a requested day is larger than may be exported.",
        ("A stored file, or a line of it, passes a limit that protects the platform.",),
        (
            "Take the other days: partialurl of the status is a download of all that are finished.",
            "Ask the operators about the day that error/day names; to submit again changes nothing.",
        ),
    ),
    ErrorCode.NO_PROGRESS: Help(
        "The request made no progress in several attempts, and was given up.",
        ("The workers that build archives were away, or were stopped again and again.",),
        ("Retry the request, or submit it again: days that are finished are not built again.", _ASK_OPERATORS),
    ),
    ErrorCode.CANCELLED: Help(
        "Somebody cancelled the request.",
        ("You, somebody else who may read it, or an operator.",),
        ("Submit it again if it is wanted after all.",),
    ),
}

# Questions that no error asks, by their anchor.
TOPICS: Final[dict[str, tuple[str, Help]]] = {
    "expired-link": (
        "The download link has expired",
        Help(
            "A link in an answer is good for a limited time, an hour unless the operators chose otherwise.",
            ("The store that the link leads to answers in words of its own, mostly 403 with XML, and says no more.",),
            (
                "Read the status of the request again: each read signs a new link to the same file.",
                "Ask the new link for what is missing: Range with If-Range, as `exhaust get` does.",
                "If the status says expired: true, the file was removed; submit the request again.",
            ),
        ),
    ),
}
