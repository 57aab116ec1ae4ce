"""Meta's Graph API, as far as WhatsApp and Messenger share it (gateways 8.4, 8.5).

In reading order: ``codes`` (what its errors mean for us, one table), ``client`` (calls to it, and their answers as
values or as the exceptions of a channel), ``files`` (files sent to it and fetched from it), ``callbacks`` (requests
that prove to come from it), ``bounded`` (what of them is kept), ``checking`` (whether it believes us).
"""
