"""``emoclass cache``: show, clear."""

from __future__ import annotations

from datetime import datetime

import typer

from emoclass.cli import _options as options

app = typer.Typer(no_args_is_help=True, help="Show and clear the kept output of frozen layers.")


@app.command()
def show(json_: options.Json = False) -> None:
    """List activation files, the most recently used first."""
    from emoclass.cli import _console as console
    from emoclass.training.cache_directory import list_files

    files = list_files()
    total = sum(file.size for file in files)
    if json_:
        entries = [{"path": str(f.path), "size_bytes": f.size, "used_at": f.used_at} for f in files]
        console.print_json({"size_bytes": total, "files": entries})
        return
    if not files:
        console.note("there are no activation files")
        return
    rows = [
        [
            file.path.stem[:16],
            datetime.fromtimestamp(file.used_at).strftime("%Y-%m-%d %H:%M"),
            f"{file.size / 1e6:,.0f} MB",
        ]
        for file in files
    ]
    title = f"{total / 1e6:,.0f} MB in {files[0].path.parent}"
    console.print_table(console.results(), console.table(title, ["key", "last used", "size"], rows, text_columns=2))


@app.command()
def clear() -> None:
    """Remove all activation files; the next training makes its own again."""
    from emoclass.cli import _console as console
    from emoclass.training.cache_directory import clear as clear_files

    console.note(f"{clear_files() / 1e6:,.0f} MB are free again")
