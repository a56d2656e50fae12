"""Worker process of cuda_run.py: runs sections and writes their rows to standard output as JSON lines."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TextIO

import cuda_data

# Seconds that a section may take on a GPU, and seconds that must be left to start it.
SECTIONS = {
    "environment": (30, 0),
    "parity": (50, 10),
    "resume": (90, 30),
    "prediction": (60, 15),
    "speed": (140, 25),
    "host": (50, 15),
    "memory": (60, 15),
}


class Bench:
    """Settings, data, time limit and output of the sections.

    Args:
        settings: Settings of cuda_run.py: device, tiny, home, data, deadline.
        out: Stream for the rows.

    Attributes:
        device: The torch device.
        tiny: Whether to use a tiny model and few texts.
        home: Directory for models and caches.
        data: Directory with train.csv, val.csv and test.csv.
        source: Origin of the texts.
        section: Name of the current section.
    """

    def __init__(self, settings: dict[str, Any], out: TextIO) -> None:
        import torch

        self.device, self.tiny = torch.device(settings["device"]), bool(settings["tiny"])
        self.home, self._out, self._end = Path(settings["home"]), out, settings["deadline"]
        self.data = self.home / "data"
        if not self.data.exists():
            source = None if settings["data"] is None else Path(settings["data"])
            self.data = cuda_data.write_parts(self.home, source, self.tiny)
        self.source = "generated" if settings["data"] is None or self.tiny else settings["data"]
        self.section, self._deadline = "", settings["deadline"]

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a CUDA GPU."""
        return self.device.type == "cuda"

    @property
    def bases(self) -> list[str]:
        """Names of the base models to measure, smallest first."""
        return ["tiny"] if self.tiny else ["minilm", "bert-base"]

    def base(self, name: str) -> Path:
        """Return the directory of a base model."""
        return cuda_data.base_directory(name, self.home)

    def row(self, what: str, value: Any, verdict: str = "", note: str = "", trace: str = "") -> None:
        """Add a row to the table."""
        row = {"section": self.section, "what": what, "value": value, "verdict": verdict, "note": note, "trace": trace}
        self._send(row)

    def check(self, what: str, value: Any, ok: bool, note: str = "") -> None:
        """Add a row with the verdict ok or FAILED."""
        self.row(what, value, "ok" if ok else "FAILED", note)

    def left(self) -> float:
        """Return the seconds left for the section."""
        return self._deadline - time.time()

    def fits(self, seconds: float, what: str) -> bool:
        """Return whether this many seconds are left; add a row with the verdict skipped if not."""
        if self.left() >= seconds:
            return True
        self.row(what, "", "skipped", f"needs about {seconds:.0f} s, {max(0.0, self.left()):.0f} s left")
        return False

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Run a part of a section; an exception adds a row with the verdict FAILED."""
        try:
            yield
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            self.row(what, "", "FAILED", reason, traceback.format_exc())
            if self.is_broken():
                raise
        finally:
            self.release()

    def synchronize(self) -> None:
        """Wait until the GPU is idle."""
        import torch

        if self.on_gpu:
            torch.cuda.synchronize()

    def without_cudnn(self) -> AbstractContextManager[Any]:
        """Exclude cuDNN from torch's attention kernels: it builds an execution plan for each new shape."""
        from torch.nn.attention import SDPBackend, sdpa_kernel

        return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])

    def release(self) -> None:
        """Free unused memory."""
        import torch

        gc.collect()
        if self.on_gpu and not self.is_broken():
            torch.cuda.empty_cache()

    def is_broken(self) -> bool:
        """Return whether the CUDA context is unusable, as after an illegal memory access."""
        try:
            self.synchronize()
        except RuntimeError:
            return True
        return False

    def run(self, section: str, functions: dict[str, Callable[[Bench], None]]) -> bool:
        """Run a section; return whether this process can run more of them."""
        most, least = SECTIONS[section]
        self.section = section
        self._deadline = self._end if self.tiny else min(self._end, time.time() + most)
        self._send({"begins": section, "until": self._deadline})
        start = time.time()
        if self.tiny or self.fits(least, "the section"):
            with self._guarded():
                functions[section](self)
                self.row("seconds", time.time() - start)
        broken = self.is_broken()
        self._send({"ends": section, "broken": broken})
        return not broken

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with self.attempt("the section"):
                yield
        except Exception:  # unusable CUDA context; the row has been added
            return

    def _send(self, message: dict[str, Any]) -> None:
        print(json.dumps(message), file=self._out, flush=True)


def main() -> None:
    import cuda_checks
    import cuda_host
    import cuda_parity
    import cuda_resume
    import cuda_speed

    modules = (cuda_checks, cuda_host, cuda_parity, cuda_resume, cuda_speed)
    functions = {name: getattr(module, name) for name in SECTIONS for module in modules if hasattr(module, name)}
    settings, sections = json.loads(sys.argv[1]), sys.argv[2:]
    # Output of libraries goes to the log.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ["HF_HUB_OFFLINE"] = "1"
    # The Trainer splits batches across all visible GPUs.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    os.environ["EMOCLASS_HOME"] = str(Path(settings["home"]) / "emoclass")
    bench = Bench(settings, out)
    for section in sections:
        if not bench.run(section, functions):
            break


if __name__ == "__main__":
    main()
