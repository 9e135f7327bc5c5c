"""What a model was made for."""

from __future__ import annotations

from typing import Any, Collection, Mapping, Sequence

from ._handle import Handle
from ._library import Keep, buffer, buffer_json, digest, ffi, lib, owned, struct
from .columns import rows_struct
from .source import Path


class Profile(Handle):
    """The distributions that a model was made for: fitted where the data is, carried as a few kilobytes, and held
    against what the model sees on devices."""

    __slots__ = ()

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @classmethod
    def fit(
        cls,
        rows: Any,
        *,
        names: Sequence[str] | None = None,
        categories: Collection[str] = (),
        sources: Mapping[str, str] | None = None,
        embeddings: Any = None,
        right: Any = None,
        bins: int = 0,
        max_categories: int = 0,
        seed: int = 0,
        block: int = 0,
        sha256: str | bytes | None = None,
    ) -> Profile:
        """Fits a profile to rows in their order: a dict of arrays, a numpy array (structured, or a matrix with
        `names`), a pandas or pyarrow table. Texts, and numbers listed in `categories`, are categories; None and NaN are
        missing.

        `sources` says of columns that are not inputs what they are: "class", "confidence", "entropy", "latency",
        "length". `right` says of each row whether the model was right. `block` is the number of rows that depend on one
        another; 1: none do; 0: estimated. `sha256` is the digest of the model that it is for."""
        keep = Keep()
        made = rows_struct(
            rows, keep, names=names, categories=categories, sources=sources, embeddings=embeddings, right=right
        )
        how = struct("selvedge_fit")
        how.bins, how.categories, how.seed, how.block = bins, max_categories, seed, block
        how.sha256 = digest(sha256, keep)
        return cls(_owned(lib.selvedge_profile_fit, ffi.addressof(made), how))

    @classmethod
    def decode(cls, data: Any) -> Profile:
        """Reads a profile from its bytes."""
        return cls(_owned(lib.selvedge_profile_decode, ffi.from_buffer(data), len(data)))

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Reads a profile from a file of its bytes."""
        with open(path, "rb") as file:
            return cls.decode(file.read())

    def encode(self) -> bytes:
        """The profile as bytes, for a file beside the model; any binding reads them, on any machine."""
        return buffer(lib.selvedge_profile_encode, self._handle)

    def save(self, path: Path) -> None:
        """Writes the bytes of encode() to a file."""
        data = self.encode()
        with open(path, "wb") as file:
            file.write(data)

    def compare(
        self,
        rows: Any,
        *,
        names: Sequence[str] | None = None,
        categories: Collection[str] = (),
        sources: Mapping[str, str] | None = None,
        embeddings: Any = None,
    ) -> dict[str, Any]:
        """Whether these rows come from the world of the profile: "drifted", and numbers for each feature."""
        keep = Keep()
        made = rows_struct(rows, keep, names=names, categories=categories, sources=sources, embeddings=embeddings)
        return dict(buffer_json(lib.selvedge_profile_compare, self._handle, ffi.addressof(made)))

    @property
    def json(self) -> dict[str, Any]:
        """What the profile holds: rows, features with bins and counts."""
        return dict(buffer_json(lib.selvedge_profile_json, self._handle))


def _owned(function: Any, *arguments: Any) -> Any:
    return owned("selvedge_profile", lib.selvedge_profile_free, function, *arguments)
