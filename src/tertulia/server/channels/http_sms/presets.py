"""Settings of known providers, without what is yours: credentials and secrets.

UNVERIFIED: which of their codes is which of ours, and what their limits are (gateways 8.3). The settings ``codes`` and
``statuses`` of a gateway grow by what an account holder knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tertulia.server.domain.channels import MEDIA_OF_PHONES

from .numbers import Spelling
from .proving import Proof
from .vocabulary import MOST_FILES

_BANDWIDTH: Final[Mapping[str, Any]] = {
    # Credentials: user, password, account_id, application_id.
    "base_url": "https://messaging.bandwidth.com/api/v2",
    "path": "/users/{account_id}/messages",
    "basic": "{user}:{password}",
    "json": {
        "to": ["{to}"],
        "from": "{from}",
        "text": "{text}",
        "media": "{media_urls}",
        "applicationId": "{application_id}",
        "tag": "{sid}",
    },
    "group_json": {
        "to": "{group_list}",
        "from": "{from}",
        "text": "{text}",
        "media": "{media_urls}",
        "applicationId": "{application_id}",
        "tag": "{sid}",
    },
    "group_size": 10,
    "text_chars": 2048,
    "media_types": tuple(sorted(MEDIA_OF_PHONES)),
    "id_path": "id",
    "segments_path": "segmentCount",
    "code_path": "type",
    "proof": Proof.BASIC,
    "events_path": "[]",
    "message_when": {"type": ("message-received",)},
    "message": {
        "id": "message.id",
        "sender": "message.from",
        "recipient": "message.owner | to",
        "others": "message.to[]",
        "text": "message.text",
        "media_url": "message.media[]",
    },
    "report_when": {"message.direction": ("out",)},
    "report": {"id": "message.id", "status": "type", "code": "errorCode", "each": "to", "recipient": "each"},
    "statuses": {
        "message-sending": "sent",
        "message-delivered": "delivered",
        "message-failed": "undelivered",
    },
    "codes": {
        "4301": 30008,
        "4302": 21211,
        "4401": 30007,
        "4404": 30007,
        "4405": 30005,
        "4406": 21610,
        "4407": 30007,
        "4432": 30004,
        "4470": 30007,
        "4481": 30007,
        "4700": 30005,
        "4720": 30005,
        "4730": 30003,
        "4740": 30003,
        "4750": 30007,
        "4770": 30007,
        "4780": 30003,
        "5600": 30008,
        "9902": 30003,
    },
    "fetch_authorized": True,
}

_INFOBIP: Final[Mapping[str, Any]] = {
    # Credentials: api_key. base_url is your own: https://….api.infobip.com
    "path": "/sms/2/text/advanced",
    "headers": {"Authorization": "App {api_key}", "Accept": "application/json"},
    "json": {
        "messages": [
            {
                "from": "{from}",
                "destinations": [{"to": "{to}", "messageId": "{sid}"}],
                "text": "{text}",
                "notifyUrl": "{callback}",
                "notifyContentType": "application/json",
                "validityPeriod": "{valid_min}",
            }
        ]
    },
    "number_format": Spelling.DIGITS,
    "accepted_when": {"messages[0].status.groupName": ("PENDING", "DELIVERED")},
    "id_path": "messages[].messageId",
    "segments_path": "messages[0].smsCount",
    "code_path": "messages[0].status.name | requestError.serviceException.messageId",
    "events_path": "results[]",
    "message_when": {"from": ("*",), "text": ("*",)},
    "message": {"id": "messageId", "sender": "from", "recipient": "to", "text": "text"},
    "report_when": {"status.groupName": ("*",)},
    "report": {"id": "messageId", "status": "status.groupName", "code": "error.name"},
    "statuses": {
        "DELIVERED": "delivered",
        "UNDELIVERABLE": "undelivered",
        "EXPIRED": "undelivered",
        "REJECTED": "failed",
    },
    "codes": {
        "REJECTED_DESTINATION": 21211,
        "REJECTED_SENDER": 21212,
        "REJECTED_NOT_ENOUGH_CREDITS": 30002,
        "EC_ABSENT_SUBSCRIBER": 30003,
        "EC_ABSENT_SUBSCRIBER_SM": 30003,
        "EC_UNKNOWN_SUBSCRIBER": 30005,
        "EC_ILLEGAL_SUBSCRIBER": 30005,
        "EC_CALL_BARRED": 30004,
        "EC_USER_OPTED_OUT": 21610,
    },
    "check_path": "/account/1/balance",
}

_PLIVO: Final[Mapping[str, Any]] = {
    # Credentials: auth_id, auth_token.
    "base_url": "https://api.plivo.com/v1",
    "path": "/Account/{auth_id}/Message/",
    "basic": "{auth_id}:{auth_token}",
    "json": {"src": "{from}", "dst": "{to}", "text": "{text}", "url": "{callback}", "method": "POST"},
    "media_json": {
        "src": "{from}",
        "dst": "{to}",
        "text": "{text}",
        "type": "mms",
        "media_urls": "{media_urls}",
        "url": "{callback}",
        "method": "POST",
    },
    "media_types": tuple(sorted(MEDIA_OF_PHONES)),
    "number_format": Spelling.DIGITS,
    "id_path": "message_uuid[0]",
    "code_path": "error_code",
    "message": {
        "id": "MessageUUID",
        "sender": "From",
        "recipient": "To",
        "text": "Text",
        "media_url": " + ".join(f"Media{number}" for number in range(MOST_FILES)),
    },
    "report": {"id": "MessageUUID", "status": "Status", "code": "ErrorCode"},
    "statuses": {
        "sent": "sent",
        "delivered": "delivered",
        "read": "read",
        "undelivered": "undelivered",
        "failed": "failed",
        "rejected": "failed",
    },
    "codes": {
        "10": 21211,
        "20": 30003,
        "30": 30003,
        "40": 21211,
        "50": 30008,
        "60": 30003,
        "70": 30003,
        "80": 30005,
        "90": 30006,
        "100": 21610,
        "110": 30007,
        "200": 21610,
        "300": 30008,
        "450": 30007,
    },
    "check_path": "/Account/{auth_id}/",
    "fetch_authorized": True,
}

_SINCH: Final[Mapping[str, Any]] = {
    # Credentials: plan_id, token.
    "base_url": "https://us.sms.api.sinch.com/xms/v1",
    "path": "/{plan_id}/batches",
    "headers": {"Authorization": "Bearer {token}"},
    "json": {
        "from": "{from}",
        "to": ["{to}"],
        "body": "{text}",
        "delivery_report": "per_recipient",
        "callback_url": "{callback}",
        "client_reference": "{sid}",
    },
    "media_json": {
        "type": "mt_media",
        "from": "{from}",
        "to": ["{to}"],
        "body": {"url": "{media_url}", "message": "{text}"},
        "delivery_report": "per_recipient",
        "callback_url": "{callback}",
        "client_reference": "{sid}",
    },
    "media_types": tuple(sorted(MEDIA_OF_PHONES)),
    "number_format": Spelling.DIGITS,
    "id_path": "id",
    "code_path": "code",
    "message_when": {"type": ("mo_text", "mo_media")},
    "message": {
        "id": "id",
        "sender": "from",
        "recipient": "to",
        "text": "body.message | body",
        "subject": "body.subject",
        "media_url": "body.media[].url",
        "media_type": "body.media[].content_type",
    },
    "report_when": {"type": ("recipient_delivery_report_sms", "recipient_delivery_report_mms")},
    "report": {"id": "batch_id", "status": "status", "code": "code"},
    "statuses": {
        "Dispatched": "sent",
        "Delivered": "delivered",
        "Rejected": "undelivered",
        "Failed": "undelivered",
        "Expired": "undelivered",
        "Deleted": "undelivered",
        "Aborted": "failed",
        "Cancelled": "failed",
        "Unknown": "undelivered",
    },
    "codes": {
        "402": 30003,
        "403": 30007,
        "404": 30005,
        "405": 30008,
        "406": 30003,
        "407": 30003,
        "408": 30008,
        "411": 30001,
        "412": 30006,
    },
    "check_path": "/{plan_id}/batches",
}

_AFRICAS_TALKING: Final[Mapping[str, Any]] = {
    # Credentials: username, api_key.
    "base_url": "https://api.africastalking.com/version1",
    "path": "/messaging",
    "headers": {"apiKey": "{api_key}", "Accept": "application/json"},
    "form": {"username": "{username}", "to": "{to}", "message": "{text}", "from": "{from}"},
    "accepted_when": {"SMSMessageData.Recipients[0].statusCode": ("100", "101", "102")},
    "id_path": "SMSMessageData.Recipients[].messageId",
    "code_path": "SMSMessageData.Recipients[0].statusCode",
    "codes": {
        "402": 21212,
        "403": 21211,
        "404": 21614,
        "406": 21610,
        "407": 30005,
        "409": 30004,
        "UserInBlackList": 21610,
        "DoNotDisturbRejection": 30004,
        "InvalidPhoneNumber": 21211,
        "UserDoesNotExist": 30005,
        "AbsentSubscriber": 30003,
        "UserNotAvailable": 30003,
    },
    "retry_codes": ("405", "500", "501"),
    "message": {"id": "id", "sender": "from", "recipient": "to", "text": "text"},
    "report": {"id": "id", "status": "status", "code": "failureReason"},
    "statuses": {
        "Sent": "sent",
        "Submitted": "sent",
        "Buffered": "sent",
        "Success": "delivered",
        "Rejected": "undelivered",
        "Failed": "undelivered",
        "AbsentSubscriber": "undelivered",
        "Expired": "undelivered",
    },
}

_ANDROID: Final[Mapping[str, Any]] = {
    # Credentials: user, password. For a telephone in your own network: base_url http://192.0.2.7:8080, path /message.
    "base_url": "https://api.sms-gate.app/3rdparty/v1",
    "path": "/messages",
    "basic": "{user}:{password}",
    "json": {
        "id": "{sid}",
        "textMessage": {"text": "{text}"},
        "phoneNumbers": ["{to}"],
        "ttl": "{valid_s}",
        "withDeliveryReport": True,
    },
    "id_is_ours": True,
    "proof": Proof.HMAC,
    "proof_name": "X-Signature",
    "timestamp_name": "X-Timestamp",
    "signed": "{body}{timestamp}",
    "message_when": {"event": ("sms:received",)},
    "message": {
        "id": "id",
        "sender": "payload.sender | payload.phoneNumber",
        "recipient": "payload.recipient",
        "text": "payload.message",
    },
    "report_when": {"event": ("sms:sent", "sms:delivered", "sms:failed")},
    "report": {"id": "payload.messageId", "status": "event"},
    "statuses": {"sms:sent": "sent", "sms:delivered": "delivered", "sms:failed": "failed"},
}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "africastalking": _AFRICAS_TALKING,
    "android-sms-gateway": _ANDROID,
    "bandwidth": _BANDWIDTH,
    "infobip": _INFOBIP,
    "plivo": _PLIVO,
    "sinch": _SINCH,
}
