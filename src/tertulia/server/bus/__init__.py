"""What nodes tell each other. Nothing here is the only copy of anything (architecture 6).

* ``base``: publications, and the protocol of a bus
* ``inprocess``: the bus of a single node
"""
