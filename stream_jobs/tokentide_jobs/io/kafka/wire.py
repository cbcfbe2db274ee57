"""The two Kafka requests that aiokafka does not make: topic ids, and "is this broker serving?".

aiokafka has Metadata up to version 5; the id of a topic, which separates one incarnation of it from
the next, came with version 10. `TopicIdsRequest` is that version in aiokafka's own building blocks
and travels through its client. `is_serving` is one blocking exchange over a plain socket, for
start-up code that has no event loop.
"""

from __future__ import annotations

import socket
import struct
from io import BytesIO
from typing import ClassVar
from uuid import UUID

from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v1, MetadataResponse_v1
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

__all__ = ["NO_TOPIC_ID", "TopicIdsRequest", "TopicIdsResponse", "is_serving"]

NO_TOPIC_ID = UUID(int=0)
"""What a broker that knows no topic ids answers."""


class Uuid(AbstractType[UUID]):  # type: ignore[misc]  # aiokafka publishes no types
    """Sixteen bytes, most significant first."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        """Encode as 16 bytes."""
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        """Read one from the buffer."""
        return UUID(bytes=data.read(16))


class TopicIdsResponse(Response):  # type: ignore[misc]
    """Metadata response, version 10 (flexible)."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class TopicIdsRequestStruct(RequestStruct):  # type: ignore[misc]
    """Metadata request, version 10 (flexible)."""

    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = TopicIdsResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicIdsRequest(Request[TopicIdsRequestStruct]):  # type: ignore[misc]
    """Asks for the ids of named topics; never creates a topic by asking."""

    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[TopicIdsRequestStruct]) -> TopicIdsRequestStruct:
        """Build the request in the version agreed with the broker."""
        no_tags: dict[int, bytes] = {}
        topics = [(NO_TOPIC_ID, name, no_tags) for name in self._topics]
        return request_struct_class(topics, False, False, False, no_tags)


def is_serving(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Tell whether a broker answers here and counts itself as a live member of its cluster.

    A KRaft broker accepts connections before its controller lets it serve ("fenced"): until then
    its own metadata answer does not list it.
    """
    request = MetadataRequest_v1([])
    header = request.build_request_header(correlation_id=1, client_id="tokentide-probe")
    message = header.encode() + request.encode()
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(struct.pack(">i", len(message)) + message)
            (length,) = struct.unpack(">i", _read_exactly(connection, 4))
            answer = BytesIO(_read_exactly(connection, length))
    except OSError:
        return False
    request.parse_response_header(answer)
    metadata = MetadataResponse_v1.decode(answer)
    return any(broker[2] == port for broker in metadata.brokers)


def _read_exactly(connection: socket.socket, length: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < length:
        chunk = connection.recv(length - len(chunks))
        if not chunk:
            raise ConnectionError("the broker closed the connection")
        chunks += chunk
    return bytes(chunks)
