"""Channels to people who are not in the chat: SMS, WhatsApp, Messenger, e-mail (gateways 8).

``base`` is what all of them promise, ``registry`` knows which are installed, ``making`` makes one of a gateway,
``opening`` keeps those in use open, ``checking`` looks whether one works. Every adapter is a file, or a folder, beside
them. They import neither the engine nor storage: ``jobs`` sends through them,
``callbacks`` hears what they say.
"""
