"""The journal: drafts that were paid for and are not in the warehouse yet.

A draft is appended to a file the moment it arrives, and the file goes when its drafts are saved.
A run that is killed leaves the file behind, and the next run of the same language saves it first.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from filelock import FileLock, Timeout

from persona_assets.errors import WarehouseBusy

_as_json = json.JSONEncoder(ensure_ascii=False).encode


class Journal:
    """Rows of drafts as JSON lines in the files of a folder, which one process at a time uses.

    certain: the rows were added since they were last taken, so that nobody can have saved them;
    not so those that a run which was killed or failed has left behind.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._adding = threading.Lock()
        self._file: TextIO | None = None
        self._number = 0
        self.certain = False

    @classmethod
    @contextmanager
    def open(cls, folder: Path, wait_seconds: float) -> Iterator["Journal"]:
        """The journal in the folder, which is made if need be; at the end its files stay.

        Raises WarehouseBusy when another process uses it for longer than `wait_seconds`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        try:
            lock.acquire(timeout=wait_seconds)
        except Timeout:
            raise WarehouseBusy(
                f"Another run is writing the e-mails of {folder.name}: wait until it has finished "
                "or stop it."
            ) from None
        journal = cls(folder)
        try:
            yield journal
        finally:
            journal._close()
            lock.release()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row of values that JSON has; it survives a kill of the process. Safe to call
        from several threads."""
        line = _as_json(row) + "\n"
        with self._adding:
            if self._file is None:
                self._file = self._new_file()
            self._file.write(line)
            self._file.flush()

    @contextmanager
    def taken(self) -> Iterator[list[dict[str, Any]]]:
        """Every row that is in the journal now; when the block ends well, they leave it."""
        self._close()
        files = sorted(self._folder.glob("*.jsonl"))
        rows = [row for file in files for row in _rows(file)]
        try:
            yield rows
            for file in files:
                file.unlink()
        except BaseException:
            self.certain = False
            raise
        self.certain = True

    def _close(self) -> None:
        with self._adding:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _new_file(self) -> TextIO:
        while True:
            self._number += 1
            try:
                file = self._folder / f"{self._number:08d}.jsonl"
                return file.open("x", encoding="utf-8", errors="replace")
            except FileExistsError:
                continue


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):  # else the kill came in the middle of it
                yield json.loads(line)
