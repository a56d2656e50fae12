"""``emoclass eval``."""

from __future__ import annotations

from emoclass.cli import _options as options


def evaluate(
    data: options.Data,
    model: options.Model = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    format_: options.Format = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    json_: options.Json = False,
) -> None:
    """Score a trained model on labelled DATA: a file, or the test part of a split directory."""
    from emoclass import api
    from emoclass.cli import _console as console
    from emoclass.cli._reports import print_evaluation

    with console.progress_bar(console.status()) as progress:
        task = progress.add_task("texts", total=None)
        evaluation = api.evaluate(
            data,
            model=model,
            device=device,
            precision=precision,
            options=options.data_options(text_column, label_column, format_, encoding, delimiter),
            on_texts=lambda texts: progress.advance(task, texts),
        )
    if json_:
        console.print_json(evaluation.to_dict())
    else:
        print_evaluation(evaluation)
