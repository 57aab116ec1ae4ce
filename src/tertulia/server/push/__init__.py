"""Push services: how a device is reached by the one that its kind belongs to (gateways 8.8 to 8.10).

Each turns a batch of pushes into calls and their answers into outcomes; what follows from an outcome is decided
elsewhere.

* ``service``: what all of them promise
* ``answers``: what their answers have in common
* ``payloads``: what is sent, as each service wants it
* ``apns``: Apple's, with ``provider_tokens`` and ``apns_answers``
* ``fcm``: Google's, with ``service_accounts``, ``access_tokens`` and ``fcm_answers``
* ``webpush``: those of browsers, with ``vapid`` and ``refusals``
* ``usable``: whether a credential can send at all
* ``keys``: private keys, measured before they are read
* ``services``: which one serves which kind
"""
