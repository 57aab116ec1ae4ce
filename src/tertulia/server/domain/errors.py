"""The families of failure, and the catalogue of codes (rest 14, semantics A).

::

    TertuliaError(code, status, message)
    ├── InvalidRequest      400   the caller must change the request
    ├── Unauthenticated     401   who are you?
    ├── Forbidden           403   known, and not allowed
    ├── NotFound            404   absent, or not visible to this caller: same answer
    ├── NotSupported        405   this method, here
    ├── TooSlow             408   the request did not come in time
    ├── Conflict            409   the state does not allow it
    ├── TooLarge            413   more bytes than we read
    ├── TooMany             429   a limit of rate
    ├── Internal            500   our fault
    └── Unavailable         503   a part we need is away; safe to repeat

A failure is raised from its row: ``raise UNIQUE_NAME_TAKEN()``, with a message of its own where one helps more than the
general sentence: ``raise TOO_LONG_NAME("FriendlyName has 300 characters, 256 are allowed")``.
"""

from __future__ import annotations

from typing import ClassVar, Final


class TertuliaError(Exception):
    """Something a caller can be told: a code, an HTTP status, a sentence."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, code: int, message: str, *, addressed: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.addressed = addressed
        """What is missing is what the request's URL names, not something in a parameter."""


class InvalidRequest(TertuliaError):
    status = 400


class Unauthenticated(TertuliaError):
    status = 401


class Forbidden(TertuliaError):
    status = 403


class NotFound(TertuliaError):
    status = 404


class NotSupported(TertuliaError):
    status = 405


class TooSlow(TertuliaError):
    status = 408
    retryable = True


class Conflict(TertuliaError):
    status = 409


class TooLarge(TertuliaError):
    status = 413


class TooMany(TertuliaError):
    status = 429
    retryable = True
    retry_after_s: int = 1
    """When to come back: whole seconds, at least 1 (HTTP: ``Retry-After``)."""


class Internal(TertuliaError):
    status = 500


class Unavailable(TertuliaError):
    status = 503
    retryable = True


class Row:
    """One code of the catalogue; calling it makes the exception."""

    __slots__ = ("addressed", "code", "family", "remedy", "text")

    def __init__(
        self, code: int, family: type[TertuliaError], text: str, remedy: str, *, addressed: bool = False
    ) -> None:
        self.code, self.family, self.text, self.remedy, self.addressed = code, family, text, remedy, addressed
        CATALOGUE.append(self)

    def __call__(self, message: str | None = None) -> TertuliaError:
        return self.family(self.code, message or self.text, addressed=self.addressed)


CATALOGUE: Final[list[Row]] = []
"""All rows, for the reference page and its test."""


def too_many(row: Row, wait_us: int = 0) -> TooMany:
    """The refusal of this row, with when it may be asked for again."""
    refusal = TooMany(row.code, row.text)
    refusal.retry_after_s = max(1, -(-wait_us // 1_000_000))
    return refusal


# General
BAD_PARAMETER = Row(20001, InvalidRequest, "Invalid parameter", "Correct the parameter that the message names.")
UNAUTHENTICATED = Row(
    20003, Unauthenticated, "Authenticate", "Send the account SID with its auth token, or an API key with its secret."
)
METHOD_NOT_SUPPORTED = Row(
    20004,
    NotSupported,
    "The requested resource does not support the attempted HTTP method",
    "Use a method the resource has.",
)
ACCOUNT_SUSPENDED = Row(
    20005, Forbidden, "Account is suspended", "Ask who runs the installation: `tertulia accounts reinstate`."
)
LINK_REFUSED = Row(
    20006,
    Forbidden,
    "The temporary URL has expired or is not valid",
    "Ask for a fresh one; it is good for a few minutes.",
)
ACCESS_DENIED = Row(20006, Forbidden, "Access denied", "This is not open to clients.")
SERVICE_NOT_PERMITTED = Row(
    20403,
    Forbidden,
    "The service of the token is not available to this account",
    "Mint the token for a service of the account.",
)
RESOURCE_NOT_FOUND = Row(20404, NotFound, "The requested resource was not found", "Check the URL.", addressed=True)
RECEIPT_NOT_FOUND = Row(20404, NotFound, "Delivery receipt not found", "Check the SID.", addressed=True)
CONTENT_UNKNOWN = Row(20404, NotFound, "Content not found", "Name a content template of the account.")
UPLOAD_TOO_SLOW = Row(
    20408,
    TooSlow,
    "The upload did not come in time",
    "Send it again; see media.idle_timeout_s, media.upload_timeout_s.",
)
CONFLICT = Row(20409, Conflict, "Conflicting modification", "Read and repeat.")
STATE_FORBIDS = Row(20409, Conflict, "The state of the resource does not allow this", "See the message.")
BODY_TOO_LARGE = Row(
    20413, TooLarge, "The request body is too large", "Send less; the limit is server.body_limit_bytes."
)
TOO_MANY_REQUESTS = Row(20429, TooMany, "Too many requests", "Wait and repeat.")
INTERNAL = Row(20500, Internal, "Internal server error", "Report it with the request id of the answer.")
UNAVAILABLE = Row(20503, Unavailable, "The service is unavailable for the moment", "Repeat the request.")

TOO_MANY_SESSIONS = Row(51202, TooMany, "Too many requests", "Clients come back by themselves; see limits.connections.")

# Access tokens are judged by ``wire.tokens``, which knows no catalogue; these rows are for who looks a code up.
for _code, _text, _remedy in (
    (20101, "Access token is missing or unreadable", "Send the token as it was minted."),
    (20102, "Access token has a header of another kind", "HS256, HS384 or HS512; cty `twilio-fpa;v=1` or none."),
    (20103, "Access token is of no live API key", "Sign with an API key of the account; `tertulia keys list`."),
    (20104, "Access token has expired", "Fetch a new token and update the client with it."),
    (20105, "Access token is not valid yet", "Set the clock of the machine that signs; 30 seconds are forgiven."),
    (20106, "Access token lacks an identity or a chat grant", "Add both; an identity that users may have."),
    (20107, "Access token has a wrong signature", "Sign with the secret of the API key that `iss` names."),
    (20156, "Access token has no usable expiry, or lives too short", "At least 180 seconds: tokens.min_ttl_s."),
    (20157, "Access token lives too long", "At most 24 hours: tokens.max_ttl_s."),
):
    Row(_code, Unauthenticated, _text, _remedy)

# Services, users, roles
NAME_MISSING = Row(50000, InvalidRequest, "FriendlyName is missing", "Send FriendlyName.")
BEING_DELETED = Row(50002, Conflict, "The resource is being deleted", "It is going away.")
NAME_TOO_LONG = Row(50003, InvalidRequest, "FriendlyName is too long", "Shorten it.")
UNIQUE_NAME_TOO_LONG = Row(50004, InvalidRequest, "UniqueName is too long", "At most 256 characters.")
BAD_WEBHOOK_PARAMETER = Row(50054, InvalidRequest, "Invalid webhook parameter", "See the message.")
BAD_WEBHOOK_METHOD = Row(50055, InvalidRequest, "Invalid webhook method", "Use GET or POST.")
HOOK_REJECTED = Row(
    50056, Forbidden, "Webhook disabled processing of command", "The receiver of the pre-action webhook said no."
)
TEMPLATE_TOO_LONG = Row(50058, InvalidRequest, "Notification template is too long", "At most 1024 characters.")
SOUND_TOO_LONG = Row(50059, InvalidRequest, "Notification sound is too long", "At most 256 characters.")
BAD_RETRY_COUNT = Row(50065, InvalidRequest, "Invalid retry count of a webhook", "0 to 3.")
BAD_PRE_URL = Row(50077, InvalidRequest, "Invalid pre-action webhook URL", "Send an absolute http or https URL.")
BAD_POST_URL = Row(50078, InvalidRequest, "Invalid post-action webhook URL", "Send an absolute http or https URL.")
SERVICE_UNKNOWN = Row(50050, NotFound, "Service not found", "Name a service of the account.")
CONVERSATION_BUSY = Row(
    50063, TooMany, "Too many actions per second in the conversation", "Wait as long as Retry-After says, and repeat."
)
SERVICE_BUSY = Row(
    50074, TooMany, "Too many actions per second in the service", "Wait as long as Retry-After says, and repeat."
)
ROLE_UNKNOWN = Row(50100, NotFound, "Role not found", "Name a role of the service.")
ROLE_MISSING = Row(50103, InvalidRequest, "Role SID is missing", "Send a role SID.")
PERMISSION_UNKNOWN = Row(
    50104, InvalidRequest, "Permission not found", "Use the permissions that a role of this type may hold."
)
ROLE_TYPE = Row(50105, InvalidRequest, "Invalid role type", "Use a role of the type that is asked for.")
NOT_PERMITTED = Row(
    50107,
    Forbidden,
    "User not authorized for command",
    "Give the user a role with the permission that the message names.",
)
USER_NOT_FOUND = Row(50200, NotFound, "User not found", "Check the identity.", addressed=True)
USER_EXISTS = Row(50201, Conflict, "User already exists", "Update the user there is.")
IDENTITY_RESERVED = Row(50203, InvalidRequest, "Identity is reserved", "Use another identity.")
IDENTITY_MISSING = Row(50204, InvalidRequest, "Identity or messaging binding address is missing", "Send one of them.")
MAY_NOT_SET_ROLE = Row(50205, Forbidden, "User may not set a role", "Set roles by REST.")
IDENTITY_LIKE_SID = Row(50206, InvalidRequest, "Identity looks like a SID", "Use an identity of another form.")
IDENTITY_TOO_LONG = Row(50207, InvalidRequest, "Identity is too long", "At most 256 characters.")
BINDING_TYPE_UNKNOWN = Row(50209, InvalidRequest, "Invalid binding type", "apn, gcm, fcm, webpush or twilsock.")
LEVEL_UNKNOWN = Row(50210, InvalidRequest, "Invalid notification level", "default or muted.")
IDENTITY_WITH_ADDRESS = Row(
    50211,
    InvalidRequest,
    "Identity is not allowed for a participant on a channel",
    "Send either an identity or an address.",
)
USER_CONFLICT = Row(50213, Conflict, "Conflicting modification of the user", "Read and repeat.")
TOO_MANY_CONVERSATIONS = Row(
    50214,
    Forbidden,
    "User is a participant of too many conversations",
    "A user has at most 1000 conversations that are not closed.",
)

# Conversations
ATTRIBUTES_TOO_LONG = Row(50303, InvalidRequest, "Attributes are too long", "Shorten them.")
ATTRIBUTES_NOT_JSON = Row(
    50304, InvalidRequest, "Attributes are not valid JSON", "Send a JSON text of 64 levels at most."
)
BAD_DATE_CREATED = Row(
    50308, InvalidRequest, "DateCreated is not an RFC 3339 date", "For instance 2026-01-02T03:04:05Z."
)
BAD_DATE_UPDATED = Row(
    50309, InvalidRequest, "DateUpdated is not an RFC 3339 date", "For instance 2026-01-02T03:04:05Z."
)
AUTHOR_TOO_LONG = Row(50310, InvalidRequest, "Author is too long", "At most 256 characters.")
MESSAGING_SERVICE_MALFORMED = Row(
    50341, InvalidRequest, "Messaging service SID is malformed", "MG and 32 hexadecimal digits."
)
CONVERSATION_NOT_FOUND = Row(50350, NotFound, "Conversation not found", "Check the SID or unique name.", addressed=True)
UNIQUE_NAME_TAKEN = Row(
    50353, Conflict, "Conversation with provided unique name already exists", "Use another unique name."
)
WEBHOOK_NOT_FOUND = Row(50360, NotFound, "Webhook not found", "Check the SID.", addressed=True)
TOO_MANY_WEBHOOKS = Row(
    50361, Forbidden, "Too many webhooks in the conversation", "At most five; remove one that is no longer needed."
)
TOO_MANY_TRIGGERS = Row(50362, Forbidden, "Too many triggers", "At most five keywords.")
BAD_WEBHOOK_TARGET = Row(50364, InvalidRequest, "Invalid webhook target", "webhook, trigger or studio.")
BAD_WEBHOOK_FILTER = Row(50365, InvalidRequest, "Invalid webhook filter", "Name post-action events of a conversation.")
BAD_WEBHOOK_TRIGGER = Row(50366, InvalidRequest, "Invalid webhook trigger", "A keyword has 1 to 248 characters.")
BAD_FLOW_SID = Row(50367, InvalidRequest, "Invalid flow SID", "FW and 32 hexadecimal digits.")
MISSING_WEBHOOK_TARGET = Row(50368, InvalidRequest, "Webhook target is missing", "webhook, trigger or studio.")
MISSING_WEBHOOK_URL = Row(50369, InvalidRequest, "Webhook URL is missing", "Send Configuration.Url.")
MISSING_WEBHOOK_FILTER = Row(50370, InvalidRequest, "Webhook filter is missing", "Send Configuration.Filters.")
MISSING_WEBHOOK_TRIGGER = Row(50371, InvalidRequest, "Webhook trigger is missing", "Send Configuration.Triggers.")
WEBHOOK_URL_TOO_LONG = Row(50372, InvalidRequest, "Webhook URL is too long", "At most 512 characters.")
STATE_EMPTY = Row(50374, InvalidRequest, "State is empty", "active, inactive or closed.")
INACTIVE_TIMER_SHORT = Row(50375, InvalidRequest, "Inactive timer is too short", "At least one minute.")
CLOSED_TIMER_SHORT = Row(50376, InvalidRequest, "Closed timer is too short", "At least ten minutes.")
CONVERSATION_CLOSED = Row(
    50377, InvalidRequest, "Conversation is closed", "A closed conversation can only be read and deleted."
)
STATE_UNKNOWN = Row(50378, InvalidRequest, "Unknown conversation state", "active, inactive or closed.")
INACTIVE_TIMER_FORMAT = Row(50379, InvalidRequest, "Inactive timer is no ISO 8601 duration", "For instance PT15M.")
CLOSED_TIMER_FORMAT = Row(50380, InvalidRequest, "Closed timer is no ISO 8601 duration", "For instance P1D.")
CREATED_CLOSED = Row(
    50384, InvalidRequest, "A conversation cannot be created as closed", "Create it as active or inactive."
)
STILL_INITIALIZING = Row(50386, Conflict, "Conversation is still initializing", "Wait until it is active.")
UNIQUE_NAME_LIKE_SID = Row(
    50390, InvalidRequest, "UniqueName looks like a conversation SID", "Use a unique name of another form."
)
CONVERSATION_CONFLICT = Row(50391, Conflict, "Conflicting modification of the conversation", "Read and repeat.")
END_BEFORE_START = Row(50396, InvalidRequest, "EndDate is before StartDate", "Swap them.")

# Participants
BAD_ADDRESS = Row(50407, InvalidRequest, "Address is malformed", "E.164, or channel:address.")
BAD_PROXY_ADDRESS = Row(50408, InvalidRequest, "Proxy address is malformed", "E.164, or channel:address.")
ADDRESS_IS_PROXY = Row(
    50409, InvalidRequest, "Address and proxy address are equal", "They are the two ends of a conversation."
)
ADDRESS_EMPTY = Row(50411, InvalidRequest, "Address is empty", "Send an address.")
PROXY_EMPTY = Row(50412, InvalidRequest, "Proxy address is empty", "Send a proxy address.")
PROXY_NOT_OURS = Row(
    50413,
    InvalidRequest,
    "The account may not use this proxy address",
    "Use one of its senders: `tertulia channels list` shows them.",
)
CHANNELS_DIFFER = Row(
    50414, InvalidRequest, "Address and proxy address are of different channels", "Use addresses of one channel."
)
NO_WHATSAPP_SENDER = Row(
    50415,
    InvalidRequest,
    "The proxy address is no WhatsApp sender",
    "Use a WhatsApp number that is a sender of the account.",
)
BINDING_TAKEN = Row(
    50416,
    Conflict,
    "A binding for this participant and proxy address already exists",
    "Close or leave the conversation that the message names.",
)
TOO_MANY_PARTICIPANTS = Row(50417, Forbidden, "Conversation has too many participants", "At most 1000.")
TOO_MANY_ON_CHANNELS = Row(50418, Forbidden, "Conversation has too many participants on channels", "At most 50.")
PARTICIPANT_CONFLICT = Row(50419, Conflict, "Conflicting modification of the participant", "Read and repeat.")
BINDING_FIELDS = Row(
    50420, InvalidRequest, "Binding parameters do not suit the type of the binding", "Name and level belong to e-mail."
)
BAD_READ_INDEX = Row(50421, InvalidRequest, "LastReadMessageIndex is malformed", "A message index, or null.")
BAD_MEMBER = Row(
    50424,
    InvalidRequest,
    "Participant is no JSON object of a participant",
    'For instance {"identity": "ana"}, or a messaging_binding with address and proxy_address.',
)
MEMBER_BINDING_TAKEN = Row(
    50425,
    Conflict,
    "A binding for this participant and proxy address already exists",
    "Close or leave the conversation that the message names.",
)
TOO_MANY_MEMBERS = Row(50426, InvalidRequest, "Too many participants in one request", "At most 10; add others later.")
SETUP_FAILED = Row(
    50427,
    InvalidRequest,
    "The participants could not be added; the conversation was closed",
    "Stands in the log. Look at what it says, and create the conversation anew.",
)
NOT_A_PARTICIPANT = Row(50430, Forbidden, "User is not a participant of the conversation", "Join it first.")
PARTICIPANT_NOT_FOUND = Row(50432, NotFound, "Participant not found", "Check the SID or identity.", addressed=True)
PARTICIPANT_EXISTS = Row(50433, Conflict, "Participant already exists", "Update the participant there is.")
GROUP_WITHOUT_PROJECTED = Row(
    50434,
    InvalidRequest,
    "A chat participant of a group text needs a projected address",
    "Send MessagingBinding.ProjectedAddress.",
)
GROUP_REFUSED = Row(
    50435, InvalidRequest, "Group text cannot be set up", "Only +1 long codes take part in group texting."
)
GROUP_TOO_LARGE = Row(50436, Forbidden, "Group text has too many participants", "At most 10.")
GROUP_MEMBER_TWICE = Row(50437, Conflict, "Address is in the group text already", "An address takes part once.")
GROUP_EXISTS = Row(
    50438,
    Conflict,
    "Group MMS with given participant list already exists",
    "Use the conversation that the message names.",
)
PROJECTED_NOT_OURS = Row(
    50439,
    InvalidRequest,
    "The account may not use this projected address",
    "Use one of its senders: `tertulia channels list` shows them.",
)
NO_PROXY_TO_REMOVE = Row(50440, InvalidRequest, "Participant has no proxy address to remove", "Leave it out.")
PROXY_NEEDS_ADDRESS = Row(
    50441,
    InvalidRequest,
    "A proxy address can only be added to a participant with an address",
    "Add the participant anew.",
)
NO_PROJECTED_TO_REMOVE = Row(50442, InvalidRequest, "Participant has no projected address to remove", "Leave it out.")
PROJECTED_NEEDS_CHAT = Row(
    50443,
    InvalidRequest,
    "A projected address cannot be added to a participant with an address",
    "It stands for a chat user.",
)
IDENTITY_NOT_ADDABLE = Row(
    50444,
    InvalidRequest,
    "An identity can only be added to a participant with a projected address and no identity",
    "Add the participant anew.",
)
IDENTITY_AND_ADDRESS = Row(50451, InvalidRequest, "Give either Identity or Address, not both", "Send exactly one.")

# Messages
MESSAGE_NOT_FOUND = Row(50500, NotFound, "Message not found", "Check the SID.", addressed=True)
BODY_MISSING = Row(50503, InvalidRequest, "Message has no body, media or content", "Send one of them.")
BODY_TOO_LONG = Row(50504, InvalidRequest, "Message body is too long", "At most 32 KiB.")
MEDIA_MISSING = Row(50506, InvalidRequest, "Media SID is missing", "Send a media SID.")
MEDIA_UNKNOWN = Row(50507, NotFound, "Media not found", "Upload the media first.")
MEDIA_USED = Row(50508, Conflict, "Media belongs to a message already", "Upload it again.")
MEDIA_BODY = Row(
    50509, InvalidRequest, "Body of a media message cannot change", "Leave Body out, or send a new message."
)
MEDIA_MALFORMED = Row(50510, InvalidRequest, "Media SID is malformed", "ME and 32 hexadecimal digits.")
MEDIA_TYPE = Row(50511, InvalidRequest, "Media of this type is not allowed here", "Send another type.")
MEDIA_SIZE = Row(
    50512, InvalidRequest, "Media is too large, or there is too much of it", "At most 150 MiB and 10 files."
)
GROUP_AUTHOR = Row(50513, InvalidRequest, "Author is not in the group text", "Use a participant's identity or address.")
MESSAGE_CONFLICT = Row(50514, Conflict, "Conflicting modification of the message", "Read and repeat.")
CONTENT_MALFORMED = Row(50526, InvalidRequest, "Content SID is malformed", "HX and 32 hexadecimal digits.")
VARIABLES_NOT_JSON = Row(50527, InvalidRequest, "ContentVariables are no JSON object", "Send a JSON object of texts.")
VARIABLES_WITHOUT_CONTENT = Row(50528, InvalidRequest, "ContentVariables need a ContentSid", "Send ContentSid.")
VARIABLES_TOO_LONG = Row(50529, InvalidRequest, "ContentVariables are too long", "Send less.")
VARIABLE_KEY = Row(50540, InvalidRequest, "A key of ContentVariables is too long", "At most 16 characters.")
VARIABLE_VALUE = Row(
    50541, InvalidRequest, "A value of ContentVariables is no text or too long", "At most 256 characters."
)
CONTENT_TYPE_UNSUPPORTED = Row(
    50542,
    InvalidRequest,
    "Content type is not supported in conversations",
    "Give the template a type that conversations show, for instance twilio/text.",
)
CHANNEL_METADATA_NOT_FOUND = Row(
    50530, NotFound, "No channel metadata for this message", "Only channels that give metadata have it."
)

# Sync
SYNC_TOO_MANY = Row(54009, TooMany, "Rate limit exceeded", "Wait and repeat; the official SDK does by itself.")
SYNC_READ_ONLY = Row(
    54007, Forbidden, "Sync objects cannot be written by clients", "Use the commands of the client API."
)
DOCUMENT_NOT_FOUND = Row(54100, NotFound, "Document not found", "It does not exist or is not visible.")
LIST_NOT_FOUND = Row(54150, NotFound, "List not found", "It does not exist or is not visible.")
MAP_NOT_FOUND = Row(54200, NotFound, "Map not found", "It does not exist or is not visible.")
