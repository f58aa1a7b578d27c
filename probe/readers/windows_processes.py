"""The names of all processes on Windows, by the documented tool help functions.

psutil asks `NtQuerySystemInformation` about each process, which is not documented and fails on some systems.
Source: learn.microsoft.com, "CreateToolhelp32Snapshot" and "PROCESSENTRY32W".
"""

import ctypes
import sys
from typing import Final

_PROCESSES: Final = 0x2
_PATH: Final = 260


class _Entry(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32),
        ("usage", ctypes.c_uint32),
        ("pid", ctypes.c_uint32),
        ("heap", ctypes.c_size_t),
        ("module", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
        ("parent", ctypes.c_uint32),
        ("priority", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
        ("file", ctypes.c_wchar * _PATH),
    )


def list_names() -> dict[int, str]:
    """Return the file name of each process by its id. Raises `OSError`."""
    if sys.platform != "win32":
        raise OSError("not Windows")
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    pointer = ctypes.POINTER(_Entry)
    kernel.CreateToolhelp32Snapshot.argtypes = (ctypes.c_uint32, ctypes.c_uint32)
    kernel.CreateToolhelp32Snapshot.restype = ctypes.c_void_p
    kernel.Process32FirstW.argtypes = kernel.Process32NextW.argtypes = (ctypes.c_void_p, pointer)
    kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
    snapshot = kernel.CreateToolhelp32Snapshot(_PROCESSES, 0)
    if snapshot in (None, ctypes.c_void_p(-1).value):
        raise ctypes.WinError(ctypes.get_last_error())
    names: dict[int, str] = {}
    try:
        entry = _Entry(size=ctypes.sizeof(_Entry))
        found = kernel.Process32FirstW(snapshot, ctypes.byref(entry))
        while found:
            names[entry.pid] = entry.file
            found = kernel.Process32NextW(snapshot, ctypes.byref(entry))
    finally:
        kernel.CloseHandle(snapshot)
    return names
