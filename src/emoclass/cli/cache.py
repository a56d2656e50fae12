"""``emoclass cache``: show, clear."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from emoclass.cli import _options as options
from emoclass.cli._commands import App
from emoclass.data.columns.naming import counted

app = App(help="Show and clear the cached output of frozen layers; alone, show it.", invoke_without_command=True)


@app.callback()
def _alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show()


@app.command()
def show(json_: options.Json = False) -> None:
    """List activation files, the most recently used first."""
    from emoclass.activations.directory import list_files
    from emoclass.cli import _console as console
    from emoclass.store.runs import unfinished_runs

    files, runs = list_files(), unfinished_runs()
    total = sum(file.size for file in files)
    if json_:
        entries = [{"path": str(f.path), "size_bytes": f.size, "used_at": f.used_at} for f in files]
        unfinished = [{"path": str(path), "size_bytes": size} for path, size in runs]
        console.print_json({"size_bytes": total, "files": entries, "unfinished_trainings": unfinished})
        return
    if runs:
        megabytes = sum(size for _, size in runs) / 1e6
        trainings = counted(len(runs), "unfinished training takes", "unfinished trainings take")
        console.note(f"{trainings} {megabytes:,.0f} MB; emoclass cache clear --runs removes them")
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
def clear(
    runs: Annotated[bool, typer.Option("--runs", help="Also remove the states that train --resume needs.")] = False,
) -> None:
    """Remove all activation files; the next training computes them again."""
    from emoclass.activations.directory import clear as clear_files
    from emoclass.cli import _console as console
    from emoclass.store.runs import clear_runs

    freed = clear_files() + (clear_runs() if runs else 0)
    console.note(f"freed {freed / 1e6:,.0f} MB")
