"""The same candles by other stream processors, each in an environment of its own.

They hold other versions of libraries back than ours, so each has its requirements (``NAME.in``)
and its lock: ``uv pip compile --universal --generate-hashes --no-emit-index-url --no-annotate
--no-header --python-version 3.11 NAME.in -o NAME.lock``. A module here is run by the Python of
its environment, ``-m deploy.bench.peers.NAME SERVERS SOURCE TARGET COUNT``: it reads so many trades
from one topic, writes the candles that close to another, and prints one line of JSON, a ``Span``.
"""

PEERS = ("quixstreams", "bytewax")
