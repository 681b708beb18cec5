"""Where the benchmarks' figures go: to the screen, and to bench.json in the home."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from persona_assets.settings import load_settings


@contextmanager
def figures() -> Iterator[Callable[..., None]]:
    """A function report(name, value, unit, ours=None, other=None) that prints a figure; at the
    end all are written, and figures of other names that were there before stay."""
    found: dict[str, dict] = {}

    def report(name: str, value: float, unit: str, ours=None, other=None) -> None:
        found[name] = {"name": name, "value": value, "unit": unit, "ours": ours, "other": other}
        shown = "".join(
            f"  {said} {figure:,.4g}" for said, figure in (("ours", ours), ("other", other))
            if figure is not None
        )  # fmt: skip
        print(f"{name:<34}{value:>12,.4g} {unit:<10}{shown}", flush=True)

    yield report
    settings = load_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    file = settings.home / "bench.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    kept = [figure for figure in before if figure["name"] not in found]
    file.write_text(json.dumps([*kept, *found.values()], indent=1) + "\n", encoding="utf-8")
    print(f"\nWritten to {file}")


def peak_mb() -> float:
    """The most memory that this process has had so far, in MB. Linux only."""
    # ru_maxrss would be the parent's, where that was higher: it survives the exec.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
