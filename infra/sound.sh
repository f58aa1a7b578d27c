#!/bin/sh
# Finds PulseAudio and PipeWire with their tools for the tests, or fetches the distribution's packages where we may install.
set -eu
missing=
for name in pulseaudio pacat dbus-daemon pipewire wireplumber pipewire-pulse; do
  command -v "$name" >/dev/null 2>&1 || missing="$missing $name"
done
if [ -z "$missing" ]; then
  exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends \
    pulseaudio pulseaudio-utils dbus pipewire pipewire-pulse wireplumber && exit 0
fi
echo "The tests need sound servers (no sound card is needed); missing:$missing." >&2
exit 1
