"""What Kafka refuses is text in one line that names the topic and what to do."""

from __future__ import annotations

from aiokafka import errors

from tests.each import each
from tokentide_jobs.io.kafka.refusal import refusal


@each(
    ("error", "words"),
    [
        (errors.UnknownTopicOrPartitionError(), "there is no topic t: `tokentide topics` makes it"),
        (errors.MessageSizeTooLargeError("9\n9"), "larger than topic t takes: set its max.message"),
        (errors.TopicAuthorizationFailedError(), "this account may not write to topic t: allow it"),
        (errors.KafkaTimeoutError(), "topic t did not acknowledge in time"),
        (TimeoutError(), "topic t did not acknowledge in time"),
        (errors.NotEnoughReplicasError("x\ny"), "topic t: [Error 19] NotEnoughReplicasError: x y"),
        (OSError("no route"), "topic t: OSError no route"),
    ],
)  # fmt: skip
def test_one_line_names_topic_and_remedy(error: Exception, words: str) -> None:
    text = refusal(error, "t")
    assert words in text
    assert "\n" not in text
    assert type(error).__name__ in text
