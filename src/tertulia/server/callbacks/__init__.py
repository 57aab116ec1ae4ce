"""Where the providers of channels reach us: they call ``/callbacks/GW…``, or a channel holds a connection to them.

* ``queues``: places that are waited for
* ``face``: requests, whose channel reads them; what they bring is kept before they are answered
* ``inbox``: what connections bring, kept the same way
"""
