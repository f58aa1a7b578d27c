"""Reads macOS' CoreAudio through its C interface. It only makes the calls; `macos_facts` interprets the results.

It has not been tried on a Mac; docs/audio.md says what was tried where.
"""

import ctypes
import ctypes.util
import threading
from collections.abc import Callable
from typing import Any, Final

from probe.errors import NoSoundSystemError
from probe.readers.careful import keep_following
from probe.readers.macos_facts import Device, Process, running_kinds, to_snapshot
from probe.readers.processes import Processes
from probe.snapshot import Kind, Snapshot

SYSTEM_OBJECT: Final = 1
POLL_SECONDS: Final = 2.0
"""Interval of the polls. It polls because a listener would have to be added to and removed from each process object."""
_UTF8: Final = 0x08000100


def _code(four: str) -> int:
    return int.from_bytes(four.encode("ascii"), "big")


GLOBAL, INPUT, OUTPUT = _code("glob"), _code("inpt"), _code("outp")
_SCOPES: Final[dict[Kind, int]] = {"input": INPUT, "output": OUTPUT}
DEVICES, PROCESSES = _code("dev#"), _code("prs#")
NAME, UID, MODEL_UID = _code("lnam"), _code("uid "), _code("muid")
DEFAULTS: Final[dict[Kind, int]] = {"input": _code("dIn "), "output": _code("dOut")}
PID, BUNDLE, PROCESS_DEVICES = _code("ppid"), _code("pbid"), _code("pdv#")
IS_PLAYING: Final = _code("piro")


class _PropertyAddress(ctypes.Structure):
    _fields_ = (("selector", ctypes.c_uint32), ("scope", ctypes.c_uint32), ("element", ctypes.c_uint32))


def _declare(audio: ctypes.CDLL, foundation: ctypes.CDLL) -> None:
    """Declare the functions' types (AudioHardware.h, CFString.h): without them, ctypes passes a CFIndex as 32 bits."""
    number, pointer = ctypes.c_uint32, ctypes.c_void_p
    address, size = ctypes.POINTER(_PropertyAddress), ctypes.POINTER(ctypes.c_uint32)
    audio.AudioObjectGetPropertyDataSize.argtypes = (number, address, number, pointer, size)
    audio.AudioObjectGetPropertyDataSize.restype = ctypes.c_int32
    audio.AudioObjectGetPropertyData.argtypes = (number, address, number, pointer, size, pointer)
    audio.AudioObjectGetPropertyData.restype = ctypes.c_int32
    foundation.CFStringGetCString.argtypes = (pointer, ctypes.c_char_p, ctypes.c_long, number)
    foundation.CFStringGetCString.restype = ctypes.c_ubyte
    foundation.CFRelease.argtypes = (pointer,)
    foundation.CFRelease.restype = None


class MacReader:
    def __init__(self) -> None:
        self._audio = ctypes.CDLL(ctypes.util.find_library("CoreAudio") or "CoreAudio")
        self._foundation = ctypes.CDLL(ctypes.util.find_library("CoreFoundation") or "CoreFoundation")
        _declare(self._audio, self._foundation)
        self._processes = Processes()
        self._stopped = threading.Event()

    def snapshot(self) -> Snapshot:
        objects = self._objects(SYSTEM_OBJECT, DEVICES)
        if objects is None:
            raise NoSoundSystemError("CoreAudio does not answer")
        devices = [
            Device(
                object_id=one,
                name=self._text(one, NAME),
                uid=self._text(one, UID),
                model_uid=self._text(one, MODEL_UID),
            )
            for one in objects
        ]
        listed = self._objects(SYSTEM_OBJECT, PROCESSES)
        processes = None if listed is None else [self._process(one) for one in listed]
        # An object that went away after it was listed answers nothing.
        gone = sum(not one.uid for one in devices) + sum(not one.pid for one in processes or ())
        defaults = {kind: self._number(SYSTEM_OBJECT, selector) for kind, selector in DEFAULTS.items()}
        return to_snapshot(
            devices=[one for one in devices if one.uid],
            processes=None if processes is None else [one for one in processes if one.pid],
            defaults=defaults,
            names_of=self._processes.names_of,
            running=self._processes.running(),
            unreadable=gone,
        )

    def watch(self, on_change: Callable[[Snapshot], None]) -> None:
        """Poll CoreAudio. A restarted coreaudiod answers again at the next poll."""
        keep_following(
            follow=lambda: on_change(self.snapshot()),
            on_change=on_change,
            stopped=self._stopped,
            faults=(OSError,),
            retry_seconds=POLL_SECONDS,
        )

    def stop(self) -> None:
        self._stopped.set()

    def _process(self, process: int) -> Process:
        devices: dict[Kind, tuple[int, ...]] = {
            kind: self._objects(process, PROCESS_DEVICES, scope) or () for kind, scope in _SCOPES.items()
        }
        return Process(
            pid=self._number(process, PID),
            bundle_id=self._text(process, BUNDLE),
            devices=devices,
            running=running_kinds(devices, plays=bool(self._number(process, IS_PLAYING))),
        )

    def _get(self, owner: int, selector: int, scope: int = GLOBAL) -> bytes | None:
        address, size = _PropertyAddress(selector, scope, 0), ctypes.c_uint32(0)
        if self._audio.AudioObjectGetPropertyDataSize(
            owner, ctypes.byref(address), 0, None, ctypes.byref(size)
        ):
            return None
        data: Any = ctypes.create_string_buffer(size.value)
        if self._audio.AudioObjectGetPropertyData(
            owner, ctypes.byref(address), 0, None, ctypes.byref(size), data
        ):
            return None
        return bytes(data.raw[: size.value])

    def _objects(self, owner: int, selector: int, scope: int = GLOBAL) -> tuple[int, ...] | None:
        data = self._get(owner, selector, scope)
        if data is None:
            return None
        return tuple(int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4))

    def _number(self, owner: int, selector: int) -> int:
        data = self._get(owner, selector)
        return int.from_bytes(data[:4], "little") if data else 0

    def _text(self, owner: int, selector: int) -> str:
        """Return the text of a CFString property; we own the CFString and release it."""
        data = self._get(owner, selector)
        reference = ctypes.c_void_p(int.from_bytes(data[:8], "little")) if data else None
        if reference is None or not reference.value:
            return ""
        buffer = ctypes.create_string_buffer(1024)
        found = self._foundation.CFStringGetCString(reference, buffer, len(buffer), _UTF8)
        self._foundation.CFRelease(reference)
        return buffer.value.decode("utf-8", "replace") if found else ""
