"""Gives every partition of a topic to one worker of the group; the others stand by.

The owner of the partitions keeps them while it lives, so a standby that joins moves nothing.
"""

from __future__ import annotations

from aiokafka.cluster import ClusterMetadata
from faust.assignor.client_assignment import ClientAssignment
from faust.assignor.partition_assignor import (
    MemberAssignmentMapping,
    MemberMetadataMapping,
    PartitionAssignor,
)

__all__ = ["SoleOwner"]


class SoleOwner(PartitionAssignor):
    """Faust's assignor, with one owner of everything."""

    def _perform_assignment(
        self, cluster: ClusterMetadata, member_metadata: MemberMetadataMapping
    ) -> MemberAssignmentMapping:
        clients = {
            member: self._get_client_metadata(metadata)
            for member, metadata in member_metadata.items()
        }
        has = [member for member, client in clients.items() if client.assignment.actives]
        owner = min(has or clients)
        given = super()._perform_assignment(cluster, {owner: member_metadata[owner]})
        self._update_member_urls(clients)
        standing_by = {
            member: ClientAssignment(actives={}, standbys={})
            for member in clients
            if member != owner
        }
        return {**given, **self._protocol_assignments(standing_by, {}, {}, {})}
