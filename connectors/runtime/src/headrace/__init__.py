"""What runs in a consumer pod, and what handlers import."""

from headrace.declared import handler
from headrace.record import Position, Record, Reject, Retry
from headrace.sql.inbox import inbox

__all__ = ["Position", "Record", "Reject", "Retry", "handler", "inbox"]
