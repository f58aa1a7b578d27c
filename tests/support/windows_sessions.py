"""Runs in a Windows Python: the reader against COM objects of our own, where Wine has no audio sessions.

The calls go through comtypes and real tables of COM functions, so that a wrong type or order of arguments fails. One
session is of this process; it becomes silent, and another one begins, while the reader watches. Prints JSON.
"""

import json
import os
import sys
import threading

sys.coinit_flags = 0  # type: ignore[attr-defined]

from typing import Any  # noqa: E402

import pycaw.utils  # noqa: E402
from comtypes import COMObject  # noqa: E402
from pycaw.api.audiopolicy import (  # noqa: E402
    IAudioSessionControl,
    IAudioSessionControl2,
    IAudioSessionEnumerator,
    IAudioSessionManager2,
)

from probe.programs import Recogniser  # noqa: E402
from probe.readers.windows import WindowsReader  # noqa: E402
from probe.snapshot import Snapshot, report  # noqa: E402

S_OK, S_FALSE = 0, 1
ACTIVE, INACTIVE = 1, 0


class Control(COMObject):  # type: ignore[misc]
    _com_interfaces_ = (IAudioSessionControl2,)

    def __init__(self, pid: int, state: int, *, is_system_sounds: bool = False) -> None:
        super().__init__()
        self.pid, self.state, self.is_system_sounds = pid, state, is_system_sounds
        self.listeners: list[Any] = []
        self.pointer = self.QueryInterface(IAudioSessionControl)

    def GetState(self) -> int:
        return self.state

    def GetProcessId(self) -> int:
        return self.pid

    def IsSystemSoundsSession(
        self, this: Any
    ) -> int:  # comtypes passes `this` by its name, and returns the HRESULT
        return S_OK if self.is_system_sounds else S_FALSE

    def RegisterAudioSessionNotification(self, events: Any) -> None:
        self.listeners.append(events)

    def UnregisterAudioSessionNotification(self, _events: Any) -> None:
        self.listeners.clear()


class Enumerator(COMObject):  # type: ignore[misc]
    _com_interfaces_ = (IAudioSessionEnumerator,)

    def __init__(self, controls: list[Control]) -> None:
        super().__init__()
        self.controls = controls

    def GetCount(self) -> int:
        return len(self.controls)

    def GetSession(self, number: int) -> Any:
        return self.controls[number].pointer


class Manager(COMObject):  # type: ignore[misc]
    _com_interfaces_ = (IAudioSessionManager2,)

    def __init__(self, controls: list[Control]) -> None:
        super().__init__()
        self.controls = controls
        self.listeners: list[Any] = []
        self.pointer = self.QueryInterface(IAudioSessionManager2)

    def GetSessionEnumerator(self) -> Any:
        return Enumerator(self.controls).QueryInterface(IAudioSessionEnumerator)

    def RegisterSessionNotification(self, listener: Any) -> None:
        self.listeners.append(listener)

    def UnregisterSessionNotification(self, _listener: Any) -> None:
        self.listeners.clear()

    def begin(self, control: Control) -> None:
        self.controls.append(control)
        for listener in list(self.listeners):
            listener.OnSessionCreated(control.pointer)


def shown(snapshot: Snapshot) -> list[list[object]]:
    uses = report(snapshot, Recogniser()).uses
    return [[use.program, use.kind, use.device.label, use.active, use.assumed] for use in uses]


def main() -> None:
    managers: dict[str, Manager] = {}
    own = Control(os.getpid(), ACTIVE)

    def manager_of(device: pycaw.utils.AudioDevice) -> object:
        first = [own, Control(os.getpid(), ACTIVE, is_system_sounds=True)] if not managers else []
        manager = managers.setdefault(device.id, Manager(first))
        return manager.pointer

    pycaw.utils.AudioDevice.AudioSessionManager = property(manager_of)
    reader = WindowsReader()
    result: dict[str, object] = {"once": shown(reader.snapshot()), "unreadable": reader.snapshot().unreadable}
    seen: list[list[list[object]]] = []
    arrived = threading.Condition()

    def changed(snapshot: Snapshot) -> None:
        with arrived:
            seen.append(shown(snapshot))
            arrived.notify_all()

    def wait_for(number: int) -> None:
        with arrived:
            if not arrived.wait_for(lambda: len(seen) >= number, 20):
                raise SystemExit(f"the reader was not woken: {len(seen)} snapshots")

    watching = threading.Thread(target=reader.watch, args=(changed,), daemon=True)
    watching.start()
    wait_for(1)
    own.state = INACTIVE
    for events in list(own.listeners):
        events.OnStateChanged(INACTIVE)
    wait_for(2)
    result["silent"] = seen[-1]
    last = list(managers.values())[-1]
    last.begin(Control(os.getpid(), ACTIVE))
    wait_for(3)
    result["began"] = seen[-1]
    reader.stop()
    watching.join(20)
    result["stopped"] = not watching.is_alive()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
