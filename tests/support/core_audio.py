"""CoreAudio and CoreFoundation as the macOS reader calls them: C functions at addresses, without their types.

The reader has to declare the types itself (`argtypes`): `check_types` compares them with the headers. Source: AudioHardware.h and CFString.h of the macOS SDK.
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final

INPUT, OUTPUT, GLOBAL = "inpt", "outp", "glob"
BAD_OBJECT: Final = int.from_bytes(b"!obj", "big")
BAD_PROPERTY: Final = int.from_bytes(b"who?", "big")
UTF8: Final = 0x08000100

_U32, _POINTER = ctypes.c_uint32, ctypes.c_void_p
_GET_SIZE = ctypes.CFUNCTYPE(ctypes.c_int32, _U32, _POINTER, _U32, _POINTER, ctypes.POINTER(_U32))
_GET = ctypes.CFUNCTYPE(ctypes.c_int32, _U32, _POINTER, _U32, _POINTER, ctypes.POINTER(_U32), _POINTER)
_GET_STRING = ctypes.CFUNCTYPE(ctypes.c_ubyte, _POINTER, _POINTER, ctypes.c_int64, _U32)
_RELEASE = ctypes.CFUNCTYPE(None, _POINTER)


class _Undeclared(ctypes._CFuncPtr):
    """A C function as `ctypes.CDLL` gives it: arguments that have no type are passed as 32 bits."""

    _flags_ = ctypes._FUNCFLAG_CDECL
    _restype_ = ctypes.c_int


class Library:
    """What `ctypes.CDLL` returns."""


class CoreAudio:
    def __init__(self) -> None:
        self.properties: dict[tuple[int, str, str], bytes | str] = {}
        self.is_down = False
        """`coreaudiod` restarts: no object answers."""
        self.held: dict[int, ctypes.Array[ctypes.c_char]] = {}
        """The strings that were handed out and not released yet, by address."""
        self.misuse: list[str] = []
        self._functions: list[tuple[str, Any, Any, Any]] = []
        self.audio, self.foundation = Library(), Library()
        self._offer(self.audio, "AudioObjectGetPropertyDataSize", _GET_SIZE, self._size)
        self._offer(self.audio, "AudioObjectGetPropertyData", _GET, self._data)
        self._offer(self.foundation, "CFStringGetCString", _GET_STRING, self._string)
        self._offer(self.foundation, "CFRelease", _RELEASE, self._release)

    def open(self, name: str) -> Library:
        """Stand for `ctypes.CDLL`."""
        return {"CoreAudio": self.audio, "CoreFoundation": self.foundation}[name]

    def set(
        self, owner: int, selector: str, value: bytes | str | int | list[int], scope: str = GLOBAL
    ) -> None:
        if isinstance(value, int):
            value = [value]
        if isinstance(value, list):
            value = b"".join(one.to_bytes(4, "little") for one in value)
        self.properties[owner, selector, scope] = value

    def remove(self, owner: int) -> None:
        """Let an object go away that is still listed."""
        self.properties = {key: value for key, value in self.properties.items() if key[0] != owner}

    def _offer(self, library: Library, name: str, kind: Any, function: Callable[..., Any]) -> None:
        callback = kind(function)
        undeclared = _Undeclared(ctypes.cast(callback, ctypes.c_void_p).value)
        self._functions.append((name, undeclared, kind, callback))
        setattr(library, name, undeclared)

    def check_types(self) -> None:
        """Fail unless each argument and result has the width that the header gives it."""
        for name, function, kind, _callback in self._functions:
            declared = [ctypes.sizeof(one) for one in function.argtypes or ()]
            assert declared == [ctypes.sizeof(one) for one in kind._argtypes_], name
            assert (function.restype is None) == (kind._restype_ is None), name

    def _find(self, owner: int, address: int) -> bytes | str | int:
        if self.is_down or owner not in {key[0] for key in self.properties}:
            return BAD_OBJECT
        selector, scope, element = (ctypes.c_uint32 * 3).from_address(address)
        if element != 0:
            self.misuse.append(f"element {element}")
        key = (owner, selector.to_bytes(4, "big").decode(), scope.to_bytes(4, "big").decode())
        return self.properties.get(key, BAD_PROPERTY)

    def _size(self, owner: int, address: int, _q: int, _qualifier: int, size: Any) -> int:
        found = self._find(owner, address)
        if isinstance(found, int):
            return found
        size[0] = len(found) if isinstance(found, bytes) else 8
        return 0

    def _data(self, owner: int, address: int, _q: int, _qualifier: int, size: Any, into: int) -> int:
        found = self._find(owner, address)
        if isinstance(found, int):
            return found
        if isinstance(found, str):
            held = ctypes.create_string_buffer(found.encode())
            self.held[ctypes.addressof(held)] = held
            found = ctypes.addressof(held).to_bytes(8, "little")
        if size[0] < len(found):
            self.misuse.append("the buffer is too small")
            return BAD_PROPERTY
        ctypes.memmove(into, found, len(found))
        size[0] = len(found)
        return 0

    def _string(self, reference: int, into: int, size: int, encoding: int) -> int:
        held = self.held.get(reference)
        if held is None or encoding != UTF8 or len(held) > size:
            self.misuse.append(f"CFStringGetCString({reference:#x}, size {size}, encoding {encoding:#x})")
            return 0
        ctypes.memmove(into, held, len(held))
        return 1

    def _release(self, reference: int) -> None:
        if self.held.pop(reference, None) is None:
            self.misuse.append(f"CFRelease({reference:#x})")
