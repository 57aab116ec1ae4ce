"""Work that nobody waits for.

* ``worker``: what is owed to the outside world is performed, in order, at least once
* ``performing``: between the worker and those who know how to do a kind of job
* ``retry``: when a job that failed is tried again
* ``executing``: jobs that are one command of ours
* ``lifecycle``: what conversations, services and users cause by their coming and going; of it ``timers``,
  ``setting_up`` and ``sweeping`` are each a file
* ``retention``: what services do not keep is removed
* ``housekeeping``: what has outlived its use is trimmed, in small bites
* ``push``: devices are told; ``push_log``: for how long it is known what became of that
* ``unused_devices``: devices that nobody has used for a year are forgotten
"""
