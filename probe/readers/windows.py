"""Windows' Core Audio, through pycaw and comtypes: only the calls; what follows from them is in `windows_facts`.

Not tried on a Windows here; see docs/audio.md for what was tried where.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any, Final

# Notifications need the multi-threaded apartment; comtypes reads this when it is first imported.
sys.coinit_flags = 0  # type: ignore[attr-defined]

import comtypes  # noqa: E402
from pycaw.api.audioclient import IAudioClient  # noqa: E402
from pycaw.api.audiopolicy import IAudioSessionControl2  # noqa: E402
from pycaw.callbacks import AudioSessionEvents, AudioSessionNotification, MMNotificationClient  # noqa: E402
from pycaw.constants import AUDCLNT_SHAREMODE, DEVICE_STATE, EDataFlow, ERole  # noqa: E402
from pycaw.utils import AudioUtilities  # noqa: E402

from probe.errors import NoSoundSystemError  # noqa: E402
from probe.readers.processes import SCAN_SECONDS, Processes  # noqa: E402
from probe.readers.windows_facts import Endpoint, Session, SessionState, to_snapshot  # noqa: E402
from probe.snapshot import Kind, Snapshot  # noqa: E402

AUDCLNT_E_DEVICE_IN_USE: Final = -2004287478  # 0x8889000A
_FLOWS: Final[tuple[tuple[Any, Kind], ...]] = ((EDataFlow.eRender, "output"), (EDataFlow.eCapture, "input"))
SETTLE_SECONDS: Final = 0.1


class WindowsReader:
    def __init__(self) -> None:
        self._processes = Processes()
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._registered: dict[str, Any] = {}
        """What keeps the callbacks of an endpoint alive, by its id."""

    def snapshot(self) -> Snapshot:
        comtypes.CoInitialize()
        try:
            return to_snapshot(self._endpoints(), self._processes.names_of, self._processes.running())
        except comtypes.COMError as fault:
            raise NoSoundSystemError(f"Windows' audio service does not answer: {fault.text}") from fault

    def watch(self, on_change: Callable[[Snapshot], None]) -> None:
        comtypes.CoInitialize()
        enumerator = AudioUtilities.GetDeviceEnumerator()
        client = _DeviceChanges(self._changed.set)
        enumerator.RegisterEndpointNotificationCallback(client)
        try:
            while not self._stopped.is_set():
                self._changed.clear()
                on_change(self.snapshot())
                self._changed.wait(SCAN_SECONDS)
                self._stopped.wait(SETTLE_SECONDS)
        finally:
            enumerator.UnregisterEndpointNotificationCallback(client)
            self._registered.clear()

    def stop(self) -> None:
        self._stopped.set()
        self._changed.set()

    def _endpoints(self) -> list[Endpoint]:
        enumerator = AudioUtilities.GetDeviceEnumerator()
        endpoints: list[Endpoint] = []
        for flow, kind in _FLOWS:
            default = _default(enumerator, flow)
            for device in AudioUtilities.GetAllDevices(flow.value, DEVICE_STATE.ACTIVE.value):
                sessions = self._sessions(device)
                busy = kind == "output" and any(one.state is SessionState.ACTIVE for one in sessions)
                endpoints.append(
                    Endpoint(
                        id=device.id,
                        kind=kind,
                        properties=device.properties,
                        sessions=sessions,
                        is_default_for_calls=device.id == default,
                        is_exclusive=busy and _is_exclusive(device),
                    )
                )
        return endpoints

    def _sessions(self, device: Any) -> list[Session]:
        manager = device.AudioSessionManager
        listed = manager.GetSessionEnumerator()
        sessions, watched = [], []
        for number in range(listed.GetCount()):
            control = listed.GetSession(number).QueryInterface(IAudioSessionControl2)
            sessions.append(
                Session(
                    pid=control.GetProcessId(),
                    state=SessionState(control.GetState()),
                    is_system_sounds=control.IsSystemSoundsSession() == 0,  # S_OK
                )
            )
            watched.append(control)
        self._register(device.id, manager, watched)
        return sessions

    def _register(self, device_id: str, manager: Any, controls: list[Any]) -> None:
        """Sessions come, go and fall silent: each wakes the reader. Registered anew with each reading."""
        before = self._registered.pop(device_id, None)
        if before is not None:
            before.end()
        self._registered[device_id] = _SessionChanges(manager, controls, self._changed.set)


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
        return None  # there is none
    return str(device.GetId())


def _is_exclusive(device: Any) -> bool:
    """Asks for a shared stream, which is never started. Speakers only: a microphone would show that it is used."""
    try:
        client = device._dev.Activate(IAudioClient._iid_, comtypes.CLSCTX_ALL, None).QueryInterface(  # noqa: SLF001
            IAudioClient
        )
        shared = AUDCLNT_SHAREMODE.AUDCLNT_SHAREMODE_SHARED.value
        client.Initialize(shared, 0, 0, 0, client.GetMixFormat(), None)
    except comtypes.COMError as fault:
        return bool(fault.hresult == AUDCLNT_E_DEVICE_IN_USE)
    return False
