"""What the viewer does not answer, in words for the person at the browser."""

from __future__ import annotations

__all__ = ["Refused"]


class Refused(Exception):
    """A question that is not answered.

    Attributes:
        status: The HTTP status of the refusal.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
