"""How much all partitions of a worker may hold in memory together, and which of them must pause.

Records count from the moment they arrive until their rows are stored. The bound belongs to all
partitions, so what one of them may hold depends on how many others hold something. Each has a
minimum that no other can take: a partition whose store is stuck starves no other. Pure.
"""

from __future__ import annotations

__all__ = ["ByteBudget", "PartitionShare"]


class ByteBudget:
    """The bytes that the partitions of one worker may hold.

    Together they hold less than `limit_bytes`, as long as no record and no batch that another
    worker has begun is larger than a share, and less than twice that while a partition that was
    alone gives back what the others are due. Not thread safe: one event loop calls it.

    Args:
        limit_bytes: The bound for all partitions together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._shares: set[PartitionShare] = set()

    def share(self) -> PartitionShare:
        """Return what a partition holds of the budget: nothing yet."""
        share = PartitionShare(self)
        self._shares.add(share)
        return share

    @property
    def held_bytes(self) -> int:
        """What all partitions hold."""
        return sum(share.held_bytes for share in self._shares)

    def due_bytes(self, share: PartitionShare) -> int:
        """Return what a partition may hold now: an equal part for each that holds anything.

        While all is taken it is an equal part for each that there is: so much is always free.
        """
        others = self._shares - {share}
        holding = 1 + sum(other.held_bytes > 0 for other in others)
        free_bytes = self.limit_bytes - sum(other.held_bytes for other in others)
        return max(
            min(self.limit_bytes // holding, free_bytes), self.limit_bytes // (1 + len(others))
        )

    def leave(self, share: PartitionShare) -> None:
        """Forget a partition: it was taken away, or its worker ends."""
        self._shares.discard(share)


class PartitionShare:
    """What one partition holds of a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether the partition holds what it is due."""
        return self.held_bytes >= self._budget.due_bytes(self)

    @property
    def is_half_free(self) -> bool:
        """Whether half of what it is due is free."""
        return self.held_bytes * 2 <= self._budget.due_bytes(self)

    def leave(self) -> None:
        """Give all of it back for good."""
        self._budget.leave(self)
