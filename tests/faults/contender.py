"""Save or remove the model "contested" again and again, until standard input ends; then print how often.

``contender.py NAME`` saves what the model of that name holds; ``contender.py --remove`` removes.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

from emoclass.errors import ModelError
from emoclass.store.checkpoints import find_model
from emoclass.store.saving import remove_model, save_model


def saver(name: str) -> Callable[[], object]:
    import numpy as np
    import torch

    from emoclass.encoders.weights import map_tensors, read_json

    model = find_model(name)
    tensors = {name: torch.from_numpy(array) for name, array in map_tensors(model.directory).items()}
    config = read_json(model.directory / "config.json")
    tokenizer = (model.directory / "tokenizer.json").read_text()

    def save() -> None:
        save_model(
            replace(model.manifest, name="contested", created_at=datetime.now(timezone.utc).isoformat()),
            tensors=tensors,
            trained={name for name in tensors if "classifier" in name or "pooler" in name or ".1." in name},
            config=config,
            tokenizer_json=tokenizer,
            tokenizer_config={},
            history=[],
            card="",
            training_hashes=np.zeros(1, np.int64),
            overwrite=True,
        )

    return save


def remove() -> None:
    try:
        remove_model("contested")
    except ModelError as error:
        if "no model named 'contested'" not in str(error):
            raise


def main(what: str) -> None:
    act, pause = (remove, 0.02) if what == "--remove" else (saver(what), 0.0)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    print("ready", flush=True)
    done = 0
    while not ended.wait(pause):
        act()
        done += 1
    print(done)


if __name__ == "__main__":
    main(sys.argv[1])
