"""Bulk prediction on Ray Data."""

__all__ = ["engine"]
