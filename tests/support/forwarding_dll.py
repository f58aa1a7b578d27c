"""Writes a Windows DLL whose only content is an export that another DLL serves.

Wine 8 lacks `bcryptprimitives.dll`, from which the standard library of Rust takes random numbers (`ProcessPrng`), and
pydantic's core is written in Rust. Its counterpart `SystemFunction036` (RtlGenRandom) has the same arguments.

Source of the layout: learn.microsoft.com, "PE Format" (headers, section table, export directory, forwarder RVA).
"""

import struct
from typing import Final

_ALIGNMENT: Final = 0x1000
_FILE_ALIGNMENT: Final = 0x200
_RVA: Final = 0x1000
"""Where the only section begins in memory."""


def forwarding_dll(name: str, export: str, target: str) -> bytes:
    """Return a 64-bit DLL called `name` that exports `export` and forwards it to `target` ("advapi32.Function")."""
    section = _exports(name, export, target)
    raw = section.ljust(_round_up(len(section), _FILE_ALIGNMENT), b"\0")
    headers = b"".join(
        (
            b"MZ".ljust(60, b"\0") + struct.pack("<I", 64),
            b"PE\0\0",
            # Machine AMD64, one section, no symbols, 240 bytes of optional header; executable, large addresses, DLL.
            struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x2022),
            # PE32+: linker, sizes of code, data and zeroes, no entry point, base of code, image base, alignments.
            struct.pack(
                "<HBBIIIIIQII", 0x20B, 1, 0, 0, len(raw), 0, 0, _RVA, 0x180000000, _ALIGNMENT, _FILE_ALIGNMENT
            ),
            struct.pack("<HHHHHHI", 6, 0, 0, 0, 6, 0, 0),  # versions of system, image, subsystem
            struct.pack(
                "<IIIHH", _RVA + _ALIGNMENT, _FILE_ALIGNMENT, 0, 2, 0x140
            ),  # sizes; GUI; relocatable, NX
            struct.pack("<QQQQII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16),
            struct.pack("<II", _RVA, len(section)),  # the export directory
            bytes(15 * 8),  # all other directories are empty
            struct.pack(
                "<8sIIIIIIHHI",
                b".edata",
                len(section),
                _RVA,
                len(raw),
                _FILE_ALIGNMENT,
                0,
                0,
                0,
                0,
                0x40000040,
            ),
        )
    )
    return headers.ljust(_FILE_ALIGNMENT, b"\0") + raw


def _exports(name: str, export: str, target: str) -> bytes:
    """Return the export directory with one function, its name and its forwarder."""
    functions, names, ordinals, texts = 40, 44, 48, 52
    words = [word.encode() + b"\0" for word in (name, export, target)]
    name_at, export_at, target_at = (_RVA + texts + sum(map(len, words[:number])) for number in range(3))
    directory = struct.pack(
        "<IIHHIIIIIII", 0, 0, 0, 0, name_at, 1, 1, 1, _RVA + functions, _RVA + names, _RVA + ordinals
    )
    return directory + struct.pack("<IIHH", target_at, export_at, 0, 0) + b"".join(words)


def _round_up(size: int, to: int) -> int:
    return -(-size // to) * to
