#!/bin/sh
# Finds a PulseAudio with its tools for the tests, or fetches the distribution's package where we may install.
set -eu
if command -v pulseaudio >/dev/null 2>&1 && command -v pacat >/dev/null 2>&1; then
  exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends pulseaudio pulseaudio-utils && exit 0
fi
echo "The tests need a sound server: install pulseaudio and pulseaudio-utils (no sound card is needed)." >&2
exit 1
