"""When it is night for somebody, in their own time zone, over midnight and over the change of the clocks."""

from datetime import datetime

import pytest

from core.signin.preferences import Preferences, Topic, get_topic

BERLIN = Preferences(time_zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        ("2026-06-10T12:00+02:00", None),
        ("2026-06-10T21:59+02:00", None),
        ("2026-06-10T22:00+02:00", "2026-06-11T07:00+02:00"),
        ("2026-06-10T23:30+02:00", "2026-06-11T07:00+02:00"),
        ("2026-06-11T00:10+02:00", "2026-06-11T07:00+02:00"),
        ("2026-06-11T06:59+02:00", "2026-06-11T07:00+02:00"),
        ("2026-06-11T07:00+02:00", None),
        ("2026-06-10T20:00+00:00", "2026-06-11T07:00+02:00"),
        # The clocks change in these nights: seven in the morning is seven on the new clock.
        ("2026-10-24T23:00+02:00", "2026-10-25T07:00+01:00"),
        ("2027-03-27T23:00+01:00", "2027-03-28T07:00+02:00"),
    ],
)
def test_the_night_of_the_default(at: str, ends: str | None) -> None:
    expected = datetime.fromisoformat(ends) if ends is not None else None
    assert BERLIN.quiet_ends(datetime.fromisoformat(at)) == expected


def test_hours_within_one_day() -> None:
    siesta = Preferences(time_zone="Europe/Berlin", quiet_from=13 * 60, quiet_until=15 * 60)
    at = datetime.fromisoformat
    assert siesta.quiet_ends(at("2026-06-10T14:00+02:00")) == at("2026-06-10T15:00+02:00")
    assert siesta.quiet_ends(at("2026-06-10T15:00+02:00")) is None
    assert siesta.quiet_ends(at("2026-06-10T23:00+02:00")) is None


@pytest.mark.parametrize(
    "preferences",
    [
        Preferences(time_zone=""),
        Preferences(time_zone="Nowhere/Land"),
        Preferences(time_zone="Europe/Berlin", quiet=False),
        Preferences(time_zone="Europe/Berlin", quiet_from=60, quiet_until=60),
    ],
)
def test_nothing_waits_where_the_night_is_not_known_or_not_wanted(preferences: Preferences) -> None:
    assert preferences.quiet_ends(datetime.fromisoformat("2026-06-10T01:00+02:00")) is None


def test_what_somebody_asked_for_has_no_topic_that_could_be_muted() -> None:
    assert get_topic("seat-offered") is None and get_topic("offer-passed") is None
    assert get_topic("revoked") is Topic.SESSION
    assert get_topic("audio-conflict") is Topic.AUDIO and get_topic("key-expires") is Topic.ADMINISTRATION
