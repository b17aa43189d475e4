"""What the name of a volume means: a file or folder, and a dataset in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gala._files import FileName
from gala.errors import SettingError


@dataclass(frozen=True, slots=True)
class Location:
    """Where a volume is: a file or folder, and the dataset in it."""

    path: Path
    dataset: str | None

    @classmethod
    def of(cls, name: FileName) -> Location:
        """Return the location that a name with an optional ``::dataset`` means."""
        file, mark, dataset = str(name).rpartition("::")
        if not mark or Path(name).exists():  # a name may hold colons
            file, dataset = str(name), ""
        if not file:
            raise SettingError(f"a volume needs the name of a file or folder; got {str(name)!r}.")
        return cls(Path(file), dataset.strip("/") or None)

    def __str__(self) -> str:
        return str(self.path) if self.dataset is None else f"{self.path}::{self.dataset}"
