"""The five views of entities that clients follow (architecture 6, realtime 9 and 11).

A view is derived, never stored: the same pure rendering serves snapshots, replay and live events, so they cannot
disagree. Reading order:

* ``views``: what every view is; maps and lists
* ``document``, ``messages``, ``roster``, ``memberships``, ``user_info``: one view each
* ``catalogue``: from a name to the view, if the caller may see it
* ``reads``: opening objects and paging through items
"""
