"""Writing of HTML reports to files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emoclass.data.inspection.label_noise import Suspect
from emoclass.data.inspection.results import Inspection
from emoclass.evaluation.multilabel_report import MultiLabelEvaluation
from emoclass.evaluation.stored import Evaluated
from emoclass.files import output_file
from emoclass.pages.evaluation import render_evaluation
from emoclass.pages.inspection import render_inspection
from emoclass.pages.multilabel import render_multilabel


def write_report(result: Evaluated, path: str | Path) -> None:
    """Write an evaluation as a self-contained HTML page.

    Raises:
        ConfigError: jinja2 or matplotlib is not installed.
        OSError: The file cannot be written.
    """
    manifest = result.model.manifest
    metadata = [
        ("base model", manifest.base_model["name"]),
        ("trained", manifest.created_at[:10]),
        ("training texts", f"{manifest.data['rows']['train']:,}"),
    ]
    evaluation = result.evaluation
    if isinstance(evaluation, MultiLabelEvaluation):
        page = render_multilabel(evaluation, model=manifest.name, metadata=metadata, history=result.history)
    else:
        page = render_evaluation(evaluation, model=manifest.name, metadata=metadata, history=result.history)
    with output_file(path) as file:
        file.write(page.encode("utf-8", "replace"))


def write_inspection(
    inspection: Inspection, path: str | Path, *, suspects: Mapping[str, Sequence[Suspect]] | None = None
) -> None:
    """Write an inspection of data as a self-contained HTML page.

    Raises:
        ConfigError: jinja2 or matplotlib is not installed.
        OSError: The file cannot be written.
    """
    page = render_inspection(inspection, suspects=suspects)
    with output_file(path) as file:
        file.write(page.encode("utf-8", "replace"))
