"""Files to rows and back."""

__all__ = ["formats", "parquet", "part_files", "parts", "records", "table", "writing"]
