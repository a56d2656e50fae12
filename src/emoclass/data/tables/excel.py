"""Read the first sheet of an Excel workbook."""

import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from emoclass.data.columns.naming import listed, quoted
from emoclass.errors import DataError, one_line

Row = tuple[int, list[object]]


class ExcelRows:
    """Rows of the first sheet as (row of the sheet, values); its first row that is not empty names the columns.

    Args:
        file: The workbook, seekable.
        name: What messages call the input.

    Attributes:
        columns: Names of the columns.
        notes: The sheet, if there are several.

    Raises:
        DataError: It is no workbook, is damaged or empty, or openpyxl is not installed.
    """

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self.name = name
        self.notes: list[str] = []
        self._rows = self._read(file)
        first = next(self._rows, None)
        if first is None:
            raise DataError(f"{name}: the sheet is empty: it needs a row of column names and rows below")
        self.columns = ["" if value is None else str(value) for value in first[1]]
        while self.columns and not self.columns[-1].strip():
            self.columns.pop()

    def __iter__(self) -> Iterator[Row]:
        width = len(self.columns)
        for line, values in self._rows:
            more = [str(value) for value in values[width:] if value is not None]
            if more:
                raise DataError(
                    f"{self.name}: row {line} of the sheet has values beyond the named columns"
                    f" ({listed(more, most=2)}): name these columns in the first row, or remove the values"
                )
            yield line, (values + [None] * width)[:width]

    def _read(self, file: BinaryIO) -> Iterator[Row]:
        try:
            import openpyxl
        except ImportError:
            raise DataError(
                f'{self.name}: is an Excel file: install "emoclass[excel]" to read it, or save the sheet as CSV'
            ) from None
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheets = book.worksheets
            self.notes = [f"{self.name}: read from its first sheet {quoted(sheets[0].title)}"] * (len(sheets) > 1)
            for line, cells in enumerate(sheets[0].iter_rows(values_only=True), start=1):
                values = [None if value == "" else value for value in cells]
                if any(value is not None for value in values):
                    yield line, values
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, IndexError) as error:
            raise DataError(
                f"{self.name}: cannot be read as an Excel file: {one_line(error)}: save it as CSV"
            ) from error


def require_workbook(file: BinaryIO, name: str) -> None:
    """Check that a zip file is an Excel workbook.

    Raises:
        DataError: It is something else.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(
            f"{name}: looks like an Excel or zip file, but is damaged ({one_line(error)}): get it again, or save the"
            " table as CSV"
        ) from error
    if not any(entry.startswith("xl/") for entry in names):
        what = "an OpenDocument file" if "content.xml" in names else f"a zip file with {listed(names, most=3)}"
        raise DataError(f"{name}: looks like {what}: save or unpack the table in it as CSV and pass that")
    file.seek(0)
