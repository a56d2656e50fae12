"""Rows that cannot be read: one error that lists them, or a note of what was left out."""

from __future__ import annotations

from emoclass.data.columns.naming import counted
from emoclass.errors import DataError

_SHOWN = 5


class RowError(DataError):
    """One row that cannot be read.

    Attributes:
        name: What messages call the input.
        where: The row, such as ``row 2 (line 3)``.
        problem: What is wrong with it, with the mark or space before it.
        advice: What to do.
    """

    name = where = problem = advice = ""

    @classmethod
    def of(cls, name: str, where: str, problem: str, advice: str) -> RowError:
        """Return the error with its parts, which processes may exchange."""
        error = cls(f"{name}: {where}{problem}: {advice}")
        error.name, error.where, error.problem, error.advice = name, where, problem, advice
        return error


class RowErrors:
    """Collects the errors of rows, so that all of them are named at once.

    Args:
        skip: Whether such rows are left out; else ``check`` raises.
    """

    def __init__(self, *, skip: bool = False) -> None:
        self.skip = skip
        self.count = 0
        self._first: list[RowError] = []

    def __call__(self, error: DataError) -> None:
        """Take the error of a row, which is then left out."""
        assert isinstance(error, RowError)
        self.count += 1
        if len(self._first) < _SHOWN:
            self._first.append(error)

    def check(self) -> None:
        """Raise one error for all rows that cannot be read, unless they are to be left out.

        Raises:
            DataError: There are such rows.
        """
        if not self.count or self.skip:
            return
        first = self._first[0]
        if self.count == 1:
            raise DataError(f"{first}, or leave it out with --on-error skip") from first
        raise DataError(
            f"{first.name}: {self.count} rows cannot be read: {self._listed()}: {first.advice}, or leave them out with"
            " --on-error skip"
        ) from first

    def notes(self) -> list[str]:
        """Return a note of the rows that were left out."""
        if not self.count or not self.skip:
            return []
        first = self._first[0]
        return [f"{first.name}: {counted(self.count, 'row')} left out: {self._listed()}"]

    def _listed(self) -> str:
        shown = [f"{error.where}{error.problem}" for error in self._first]
        return "; ".join(shown + ["…"] * (self.count > len(shown)))
