"""From the host's queue to the broker: buffer, encoding, frames, the background thread, Kafka.

`buffer` is all that the host's threads touch; everything behind it runs on the background thread.
Invariant: every event that was offered is delivered, dropped and counted, or still queued.
"""
