#!/bin/sh
# Finds a Chromium for the tests, or fetches one: the distribution's package where we may install, else Playwright's
# own download. Usage: browser.sh PYTHON
# The headless shell is the same engine without a browser's windows, and takes half the processor time for each page.
# Most tests use it if it is there; tests of sound need the whole Chromium.
set -eu
found() {
  for name in "$@"; do
    if command -v "$name" >/dev/null 2>&1; then
      return 0
    fi
  done
  return 1
}
browser() { found chromium chromium-browser google-chrome; }
shell() { found chromium-headless-shell; }
if browser && shell; then
  exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && apt-get update -qq; then
  for packages in "chromium chromium-headless-shell" "chromium"; do
    # shellcheck disable=SC2086  # names of packages
    if apt-get install -y -qq --no-install-recommends $packages fonts-dejavu-core; then
      break
    fi
  done
fi
if browser; then
  exit 0
fi
exec "$1" -m playwright install chromium
