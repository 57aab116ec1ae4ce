"""Measures the real server from outside, as clients use it: ``python -m bench`` (docs/performance.md).

Reading order:

* ``__main__``: the command line; runs scenarios, prints one JSON line for each
* ``measure``: what a scenario reports, and the marks it is held against
* ``machine``: the facts of this machine that numbers depend on
* ``server``: the server as a process of its own, its processor time and memory
* ``rest``: account requests over pipelined connections
* ``client``: one realtime client, as fast as it can be; ``crowd``: people, rooms, and the SDK's way of logging in
* ``fanout``, ``pairs``, ``history``, ``idle``, ``start``, ``storm``, ``slow``: the scenarios
* ``floor``: what the machine allows at best
"""
