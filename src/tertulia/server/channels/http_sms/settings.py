"""What is set for a provider with an HTTP API: the requests it wants, the answers it gives, the callbacks it makes.

``docs/channels/http-sms.md`` explains them by example. What is set for a named provider (``telnyx``, ``vonage``,
``kannel``) is turned into these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from tertulia.server.outgoing.targets import OURS
from tertulia.server.settings.units import BYTES, SECONDS, SECRET

from ..masking import HEADERS, NAMED, TEMPLATE
from . import paths
from .numbers import Spelling
from .proving import Digest, Encoding, Proof, is_public_key
from .templates import in_text, words
from .vocabulary import MESSAGE_FIELDS, MESSAGE_WORDS, REPORT_FIELDS, STATUSES, is_our_code

Template = Annotated[str, Meta(max_length=4000)]
Templates = dict[Annotated[str, Meta(max_length=200)], Template]
Path = Annotated[str, Meta(max_length=400)]
Conditions = dict[Path, tuple[str, ...]]
BaseUrl = Annotated[
    str,
    Meta(
        description="Where the provider's API is: scheme and host, perhaps the beginning of a path.",
        pattern=r"^(?=[\x21-\x7e]*\Z)(https?://[^/?#@\s{}]+(/[^?#@\s{}]*)?)?\Z",
        max_length=300,
    ),
]
AnswerTime = Annotated[
    float,
    Meta(
        description="How long an answer is waited for. A message without one has failed with an unknown outcome.",
        gt=0,
        le=25,
        extra=SECONDS,
    ),
]
HeedsKeywords = Annotated[
    bool, Meta(description="STOP, START and HELP are ours to heed. Off: the provider does it, or nobody.")
]
CountryCode = Annotated[
    str,
    Meta(
        description="What belongs before numbers that come in with a zero in front, as `49`.",
        pattern=r"^([1-9][0-9]{0,3})?\Z",
    ),
]
SmartEncoding = Annotated[
    bool,
    Meta(description="Curly quotes, long dashes and odd spaces are sent as plain ones: an SMS then holds 160, not 70."),
]
Codes = Annotated[
    dict[str, int],
    Meta(description='Our error codes for the provider\'s, as `{"40300": 21610}`; they go before the built-in ones.'),
]
TextChars = Annotated[int, Meta(description="Longest text that is sent.", ge=1, le=10_000)]
MediaBytes = Annotated[int, Meta(description="Largest file, each way.", ge=0, le=100 << 20, extra=BYTES)]
MediaCount = Annotated[int, Meta(description="Files of one message.", ge=1, le=10)]
MediaTypes = Annotated[
    tuple[str, ...], Meta(description="Content types of the files that the provider takes; `*/*` stands for all.")
]

_METHOD: Final = r"^(GET|POST|PUT)\Z"
_PATH: Final = r"^(?=[\x21-\x7e]*\Z)(/[^?#\s]*)?\Z"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_HEADER_VALUE: Final = re.compile(r"([\x21-\x7e\xa1-\xff]([\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa1-\xff])?)?")
_CREDENTIAL: Final = r"^[a-z][a-z0-9_]*\Z"
_NONE: Final[Mapping[str, Any]] = {}


class HttpSmsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One account with one provider. Printed without what it holds."""

    preset: Annotated[
        str,
        Meta(description="A provider whose settings are known; what is set beside it goes before, and tables grow."),
    ] = ""
    credentials: Annotated[
        dict[Annotated[str, Meta(pattern=_CREDENTIAL)], str],
        Meta(
            description='What the provider knows you by, as `{"token": "…"}`: templates name them, as `{token}`.',
            extra=SECRET,
        ),
    ] = {}

    # The request.
    base_url: BaseUrl = ""
    method: Annotated[str, Meta(description="`GET`, `POST` or `PUT`.", pattern=_METHOD)] = "POST"
    path: Annotated[Template, Meta(description="What follows the base URL: a template.", pattern=_PATH)] = ""
    query: Annotated[Templates, Meta(description="Fields of the query, a template each.", extra=NAMED)] = {}
    headers: Annotated[
        Templates, Meta(description="Headers, templates that name nothing but credentials.", extra=HEADERS)
    ] = {}
    basic: Annotated[
        Template, Meta(description="For HTTP Basic: a template of credentials, as `{user}:{password}`.", extra=TEMPLATE)
    ] = ""
    json: Annotated[dict[str, Any], Meta(description="The body as JSON whose strings are templates.", extra=NAMED)] = {}
    form: Annotated[Templates, Meta(description="The body as a form, in place of JSON.", extra=NAMED)] = {}
    media_path: Annotated[Template, Meta(description="`path` of messages with files.", pattern=_PATH)] = ""
    media_json: Annotated[dict[str, Any], Meta(description="`json` of messages with files.", extra=NAMED)] = {}
    media_form: Annotated[Templates, Meta(description="`form` of messages with files.", extra=NAMED)] = {}
    group_path: Annotated[Template, Meta(description="`path` of messages to several people.", pattern=_PATH)] = ""
    group_json: Annotated[
        dict[str, Any],
        Meta(description="`json` of messages to several people; without it there are none.", extra=NAMED),
    ] = {}
    group_size: Annotated[int, Meta(description="Most recipients of a group message.", ge=1, le=50)] = 8
    number_format: Annotated[
        Spelling | None,
        Meta(description="How numbers go out: `plus` (the usual), `digits`, or `zeros`."),
    ] = None
    country_code: CountryCode = ""
    our_number: Annotated[
        str, Meta(description="The number that messages came to, where the provider does not say.", max_length=40)
    ] = ""
    smart_encoding: SmartEncoding = False
    text_chars: TextChars = 1600
    media_types: MediaTypes = ()
    media_bytes: MediaBytes = 5 << 20
    media_count: MediaCount = 1
    heeds_keywords: HeedsKeywords = True
    answer_s: AnswerTime = 15.0

    # The answer.
    accepted_when: Annotated[
        Conditions,
        Meta(description="What an answer of 2xx has to say, as a list of values for each path; else it is a refusal."),
    ] = {}
    id_path: Annotated[
        Path, Meta(description="Where the provider's name for the message is; `text` in plain ones.")
    ] = ""
    id_after: Annotated[
        str, Meta(description="In an answer of plain words: the name is the word that follows these.", max_length=100)
    ] = ""
    id_is_ours: Annotated[bool, Meta(description="Reports name the message as we do: by `{sid}`.")] = False
    segments_path: Annotated[Path, Meta(description="Where the number of segments is.")] = ""
    code_path: Annotated[Path, Meta(description="Where an error code is, in answers.")] = ""
    codes: Codes = {}
    retry_codes: Annotated[
        tuple[str, ...], Meta(description="The provider's error codes after which a message is tried again.")
    ] = ()
    alarm_statuses: Annotated[
        tuple[Annotated[int, Meta(ge=300, le=499)], ...],
        Meta(
            description="Answers that mean that no message can be sent until somebody mends it, where no known error"
            " code says more."
        ),
    ] = (401, 402, 403)

    # Callbacks.
    proof: Annotated[
        Proof,
        Meta(
            description="What proves that a callback comes from the provider: `path` or `query` (the secret stands"
            " there), `header`, `basic`, `hmac`, `ed25519`, `jwt`."
        ),
    ] = Proof.PATH
    callback_secret: Annotated[
        str, Meta(description="The secret that callbacks prove to know. Without it none is heard.", extra=SECRET)
    ] = ""
    callback_user: Annotated[str, Meta(description="The user name, with `basic`.", max_length=200)] = ""
    public_key: Annotated[str, Meta(description="The provider's key, with `ed25519`, in base64.", max_length=200)] = ""
    proof_name: Annotated[
        str,
        Meta(description="The query field, or the header, that the proof is in.", pattern=r"^[A-Za-z0-9_-]*\Z"),
    ] = ""
    proof_prefix: Annotated[str, Meta(description="What stands before it, as `sha256=`.", max_length=50)] = ""
    proof_digest: Annotated[Digest, Meta(description="With `hmac`: `sha256`, `sha1` or `sha512`.")] = Digest.SHA256
    proof_encoding: Annotated[Encoding, Meta(description="With `hmac`: `hex` or `base64`.")] = Encoding.HEX
    signed: Annotated[
        str, Meta(description="What is signed: a template of `{body}`, `{timestamp}`, `{url}`.", max_length=200)
    ] = "{body}"
    timestamp_name: Annotated[
        str, Meta(description="The header with the time of a callback.", pattern=r"^[A-Za-z0-9_-]*\Z")
    ] = ""
    replay_s: Annotated[
        int,
        Meta(description="A callback whose time is further away is a replay.", ge=10, le=86_400, extra=SECONDS),
    ] = 300
    events_path: Annotated[Path, Meta(description="Where the events of a callback are; empty: it is one itself.")] = ""
    message_when: Annotated[
        Conditions, Meta(description="What makes an event a message. Without it, the path that ends in `/inbound`.")
    ] = {}
    message: Annotated[
        dict[str, Path],
        Meta(description="Where a message has its `" + "`, `".join(MESSAGE_FIELDS) + "`: a path each."),
    ] = {}
    report_when: Annotated[
        Conditions, Meta(description="What makes an event a report. Without it, the path that ends in `/status`.")
    ] = {}
    report: Annotated[
        dict[str, Path],
        Meta(
            description="Where a report has its `" + "`, `".join(REPORT_FIELDS) + "`; `each` leads to the parts of an"
            " event that are a report each, whose paths begin with `each.`."
        ),
    ] = {}
    statuses: Annotated[
        dict[str, str],
        Meta(description="What the provider's states are here: `" + "`, `".join(STATUSES) + "`. Others say nothing."),
    ] = {}
    fetch_authorized: Annotated[
        bool, Meta(description="Files at the API's own host are fetched with our credentials.")
    ] = False
    reply_body: Annotated[str, Meta(description="What callbacks are answered.", max_length=1000)] = ""
    reply_type: Annotated[str, Meta(description="And what that is.", pattern=r"^[a-z]+/[a-z0-9.+-]+\Z")] = "text/plain"

    # The check.
    check_path: Annotated[
        Template, Meta(description="A page that shows who believes us, and sends nothing.", pattern=_PATH)
    ] = ""

    def __post_init__(self) -> None:
        if self.preset:
            resolved(self)
            return
        for name in _required(self):
            raise ValueError(f"{name} is missing")
        _check_words(self)
        _check_headers(self)
        _check_paths(self)
        _check_tables(self)
        if self.proof is Proof.ED25519 and not is_public_key(self.public_key):
            raise ValueError("public_key: expected 32 bytes in base64")

    def __repr__(self) -> str:
        return f"HttpSmsSettings({self.preset or self.base_url}, ***)"


def resolved(settings: HttpSmsSettings) -> HttpSmsSettings:
    """The settings with those of their preset where they say nothing themselves. Raises ``ValueError``."""
    if not settings.preset:
        return settings
    from .presets import PRESETS

    known = PRESETS.get(settings.preset)
    if known is None:
        raise ValueError(f"preset: there is none called {settings.preset!r}; there are {', '.join(sorted(PRESETS))}")
    return HttpSmsSettings(**{**known, **_said(settings, known), "preset": ""})


def _said(settings: HttpSmsSettings, known: Mapping[str, Any]) -> dict[str, Any]:
    """What is set beside the preset."""
    said: dict[str, Any] = {}
    for field in msgspec.structs.fields(HttpSmsSettings):
        value = getattr(settings, field.name)
        usual = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        if value == usual:
            continue
        grows = isinstance(value, dict) and field.name not in WHOLE
        said[field.name] = {**known.get(field.name, {}), **value} if grows else value
    return said


WHOLE: Final = ("json", "media_json", "group_json")
"""Tables that take the place of a preset's; others grow by what is set."""


def _required(settings: HttpSmsSettings) -> Iterator[str]:
    if not settings.base_url:
        yield "base_url"
    if not (settings.path or settings.query or settings.json or settings.form):
        yield "json"
    if settings.proof is Proof.BASIC and not settings.callback_user:
        yield "callback_user"
    if settings.proof in (Proof.HMAC, Proof.HEADER) and not settings.proof_name:
        yield "proof_name"
    if settings.proof is Proof.ED25519 and not settings.timestamp_name:
        yield "timestamp_name"


def _check_words(settings: HttpSmsSettings) -> None:
    templates = (settings.query, settings.json, settings.form, settings.media_json, settings.media_form)
    names_files = any(word in ("media_url", "media_urls") for template in templates for word in _words_of(template))
    if settings.media_types and not names_files:
        raise ValueError("media_types: no template says {media_url} or {media_urls}")
    credentials = settings.credentials.keys()
    shadowed = sorted(credentials & MESSAGE_WORDS)
    if shadowed:
        raise ValueError(f"credentials: {shadowed[0]} is a word of messages")
    for name in ("headers", "basic", "check_path"):
        _known_words(name, getattr(settings, name), credentials)
    for name in ("path", "query", "json", "form", *(f"media_{n}" for n in ("path", "json", "form"))):
        _known_words(name, getattr(settings, name), credentials | MESSAGE_WORDS)
    for name in ("group_path", "group_json"):
        _known_words(name, getattr(settings, name), credentials | MESSAGE_WORDS)
    _known_words("signed", settings.signed, {"body", "timestamp", "url"})


def _words_of(template: Any) -> list[str]:
    try:
        return list(words(template))
    except ValueError:
        return []  # who looks at each by its name says so


def _known_words(name: str, template: Any, known: Any) -> None:
    try:
        unknown = [word for word in words(template) if word not in known]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if unknown:
        said = f"nothing is called {{{unknown[0]}}}" if _NAME.fullmatch(unknown[0]) else "what braces hold is no word"
        there = ", ".join(f"{{{word}}}" for word in sorted(known)) or "none, as there are no credentials"
        raise ValueError(f"{name}: {said}; words there are {there}; {{{{ and }}}} are braces")


def _check_headers(settings: HttpSmsSettings) -> None:
    """What no request could be sent with. Names are said, values are not."""
    for name, template in settings.headers.items():
        if not _HEADER.fullmatch(name):
            raise ValueError("headers: a name has characters that no header has")
        if name.lower() in OURS:
            raise ValueError(f"headers: {name} follows from the request itself")
        if not _HEADER_VALUE.fullmatch(in_text(template, settings.credentials)):
            raise ValueError(f"headers: {name} has characters that cannot be sent, or ends with a space")


def _check_paths(settings: HttpSmsSettings) -> None:
    for name in ("id_path", "segments_path", "code_path", "events_path"):
        paths.compiled(getattr(settings, name))
    for table in (settings.accepted_when, settings.message_when, settings.report_when):
        for path in table:
            paths.compiled(path)
    for fields, known, name in (
        (settings.message, MESSAGE_FIELDS, "message"),
        (settings.report, REPORT_FIELDS, "report"),
    ):
        for field, path in fields.items():
            if field not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {field!r}")
            paths.compiled(path)


def _check_tables(settings: HttpSmsSettings) -> None:
    if not all(one in STATUSES for one in settings.statuses.values()):
        raise ValueError(f"statuses: expected {', '.join(STATUSES)} for each")
    if not all(is_our_code(code) for code in settings.codes.values()):
        raise ValueError("codes: expected error codes of five digits at most")
    if any(not value.isprintable() for value in settings.credentials.values()):
        raise ValueError("credentials: one has characters that cannot be sent")
