"""Reads Windows' Core Audio through pycaw and comtypes. It only makes the calls; `windows_facts` interprets the results.

It was tried under Wine only; docs/audio.md says what was tried.
"""

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

# Notifications need the multi-threaded apartment; comtypes reads this when it is first imported.
sys.coinit_flags = 0  # type: ignore[attr-defined]

import comtypes  # noqa: E402
from pycaw.api.audioclient import IAudioClient  # noqa: E402
from pycaw.api.audiopolicy import IAudioSessionControl2  # noqa: E402
from pycaw.api.mmdeviceapi import PROPERTYKEY  # noqa: E402
from pycaw.callbacks import AudioSessionEvents, AudioSessionNotification, MMNotificationClient  # noqa: E402
from pycaw.constants import AUDCLNT_SHAREMODE, DEVICE_STATE, STGM, EDataFlow, ERole  # noqa: E402
from pycaw.utils import AudioUtilities  # noqa: E402

from probe.errors import NoSoundSystemError  # noqa: E402
from probe.readers.careful import keep_following, read_each  # noqa: E402
from probe.readers.processes import SCAN_SECONDS, Processes  # noqa: E402
from probe.readers.windows_facts import (  # noqa: E402
    CONTAINER_ID,
    SessionState,
    WindowsEndpoint,
    WindowsSession,
    guid_at,
    to_snapshot,
)
from probe.snapshot import Kind, Snapshot  # noqa: E402

AUDCLNT_E_DEVICE_IN_USE: Final = -2004287478  # 0x8889000A
_FLOWS: Final[tuple[tuple[Any, Kind], ...]] = ((EDataFlow.eRender, "output"), (EDataFlow.eCapture, "input"))
VT_CLSID: Final = 72
SETTLE_SECONDS: Final = 0.1
FAULTS: Final = (comtypes.COMError, OSError, ValueError)
"""What a system call raises if a device or the whole audio service is gone."""


class WindowsReader:
    def __init__(self) -> None:
        self._processes = Processes()
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._registered: dict[str, Any] = {}
        """Objects that keep the callbacks of an endpoint alive, by endpoint id."""
        self._exclusive: dict[str, tuple[frozenset[int], bool]] = {}
        """By endpoint id: the process ids with sound at the last test for exclusive use, and its result."""

    def snapshot(self) -> Snapshot:
        with _apartment():
            return self._read()

    def watch(self, on_change: Callable[[Snapshot], None]) -> None:
        with _apartment():
            keep_following(
                follow=lambda: self._follow(on_change),
                on_change=on_change,
                stopped=self._stopped,
                faults=FAULTS,
            )

    def stop(self) -> None:
        self._stopped.set()
        self._changed.set()

    def _follow(self, on_change: Callable[[Snapshot], None]) -> None:
        enumerator = AudioUtilities.GetDeviceEnumerator()
        client = _DeviceChanges(self._changed.set)
        enumerator.RegisterEndpointNotificationCallback(client)
        try:
            while not self._stopped.is_set():
                self._changed.clear()
                on_change(self._read())
                self._changed.wait(SCAN_SECONDS)
                self._stopped.wait(SETTLE_SECONDS)
        finally:
            with suppress(*FAULTS):
                enumerator.UnregisterEndpointNotificationCallback(client)
            self._registered.clear()
            self._exclusive.clear()

    def _read(self) -> Snapshot:
        try:
            endpoints, unreadable = self._endpoints()
        except FAULTS as fault:
            raise NoSoundSystemError(f"Windows' audio service does not answer: {fault}") from fault
        return to_snapshot(
            endpoints=endpoints,
            names_of=self._processes.names_of,
            running=self._processes.running(),
            unreadable=unreadable,
        )

    def _endpoints(self) -> tuple[list[WindowsEndpoint], int]:
        enumerator = AudioUtilities.GetDeviceEnumerator()
        endpoints: list[WindowsEndpoint] = []
        unreadable = 0
        for flow, kind in _FLOWS:
            default = _default(enumerator, flow)
            listed = enumerator.EnumAudioEndpoints(flow.value, DEVICE_STATE.ACTIVE.value)

            def endpoint(
                number: int, listed: Any = listed, kind: Kind = kind, default: str | None = default
            ) -> tuple[WindowsEndpoint, int]:
                return self._endpoint(listed.Item(number), kind, default)

            found, failed = read_each(range(listed.GetCount()), endpoint, FAULTS)
            endpoints += [one for one, _ in found]
            unreadable += failed + sum(without for _, without in found)
        return endpoints, unreadable

    def _endpoint(self, listed: Any, kind: Kind, default: str | None) -> tuple[WindowsEndpoint, int]:
        """Read an endpoint, even if its sessions cannot be read, because it may be the default device."""
        device = AudioUtilities.CreateDevice(listed)
        sessions, unreadable = read_each([device], self._sessions, FAULTS)
        found = sessions[0] if sessions else []
        endpoint = WindowsEndpoint(
            id=device.id,
            kind=kind,
            properties=device.properties,
            sessions=found,
            is_default_for_calls=device.id == default,
            container_id=_container_id(device),
            is_exclusive=kind == "output" and self._is_exclusive(device, found),
        )
        return endpoint, unreadable

    def _sessions(self, device: Any) -> list[WindowsSession]:
        manager = device.AudioSessionManager
        listed = manager.GetSessionEnumerator()
        watched: list[Any] = []

        def session(number: int) -> WindowsSession:
            control = listed.GetSession(number).QueryInterface(IAudioSessionControl2)
            found = WindowsSession(
                pid=control.GetProcessId(),
                state=SessionState(control.GetState()),
                is_system_sounds=control.IsSystemSoundsSession() == 0,  # S_OK
            )
            watched.append(control)
            return found

        sessions, _ended = read_each(range(listed.GetCount()), session, FAULTS)
        with suppress(*FAULTS):  # without callbacks, the next scan finds changes
            self._register(device.id, manager, watched)
        return sessions

    def _is_exclusive(self, device: Any, sessions: list[WindowsSession]) -> bool:
        """Return whether a program has exclusive use of the device. It is tested only when the programs with sound change,
        because the test opens a stream, which wakes the reader.
        """
        active = frozenset(one.pid for one in sessions if one.state is SessionState.ACTIVE)
        asked, answer = self._exclusive.get(device.id, (frozenset(), False))
        if active != asked:
            answer = bool(active) and _is_exclusive(device)
            self._exclusive[device.id] = active, answer
        return answer

    def _register(self, device_id: str, manager: Any, controls: list[Any]) -> None:
        """Register callbacks that wake the reader when sessions start, end or become silent. Repeated at each reading."""
        before = self._registered.pop(device_id, None)
        if before is not None:
            with suppress(*FAULTS):
                before.end()
        self._registered[device_id] = _SessionChanges(manager, controls, self._changed.set)


@contextmanager
def _apartment() -> Iterator[None]:
    """Enter the multi-threaded apartment in this thread, which Microsoft requires for session notifications."""
    comtypes.CoInitializeEx(comtypes.COINIT_MULTITHREADED)
    try:
        yield
    finally:
        comtypes.CoUninitialize()


class _DeviceChanges(MMNotificationClient):  # type: ignore[misc]
    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def on_default_device_changed(self, *_what: Any) -> None:
        self._wake()

    def on_device_added(self, *_what: Any) -> None:
        self._wake()

    def on_device_removed(self, *_what: Any) -> None:
        self._wake()

    def on_device_state_changed(self, *_what: Any) -> None:
        self._wake()


class _SessionChanges:
    def __init__(self, manager: Any, controls: list[Any], wake: Callable[[], None]) -> None:
        self._manager = manager
        self._created = _Created(wake)
        self._events = [(control, _Changed(wake)) for control in controls]
        manager.RegisterSessionNotification(self._created)
        for control, events in self._events:
            control.RegisterAudioSessionNotification(events)

    def end(self) -> None:
        self._manager.UnregisterSessionNotification(self._created)
        for control, events in self._events:
            control.UnregisterAudioSessionNotification(events)


class _Created(AudioSessionNotification):  # type: ignore[misc]
    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def on_session_created(self, *_what: Any) -> None:
        self._wake()


class _Changed(AudioSessionEvents):  # type: ignore[misc]
    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def on_state_changed(self, *_what: Any) -> None:
        self._wake()

    def on_session_disconnected(self, *_what: Any) -> None:
        self._wake()


def _default(enumerator: Any, flow: Any) -> str | None:
    try:
        device = enumerator.GetDefaultAudioEndpoint(flow.value, ERole.eCommunications.value)
    except comtypes.COMError:
        return None  # no default device
    return str(device.GetId())


def _container_id(device: Any) -> str:
    """Read the container id directly, because pycaw returns nothing for a GUID property (VT_CLSID, a pointer)."""
    key = PROPERTYKEY()
    key.fmtid, key.pid = comtypes.GUID(CONTAINER_ID[0]), CONTAINER_ID[1]
    with suppress(*FAULTS):
        value = device._dev.OpenPropertyStore(STGM.STGM_READ.value).GetValue(key)  # noqa: SLF001
        try:
            if value.vt == VT_CLSID:
                return guid_at(ctypes.c_void_p.from_buffer(value.union).value or 0)
        finally:
            value.clear()
    return ""


def _is_exclusive(device: Any) -> bool:
    """Test by requesting a shared stream, which is never started. Use it for speakers only: a microphone would be shown as
    in use.
    """
    try:
        client = device._dev.Activate(IAudioClient._iid_, comtypes.CLSCTX_ALL, None).QueryInterface(  # noqa: SLF001
            IAudioClient
        )
        shared = AUDCLNT_SHAREMODE.AUDCLNT_SHAREMODE_SHARED.value
        mix = client.GetMixFormat()
        try:
            client.Initialize(shared, 0, 0, 0, mix, None)
        finally:
            ctypes.windll.ole32.CoTaskMemFree(mix)  # type: ignore[attr-defined]
    except comtypes.COMError as fault:
        return bool(fault.hresult == AUDCLNT_E_DEVICE_IN_USE)
    return False
