#!/bin/sh
# Finds a Chromium for the tests, or fetches one: the distribution's package where we may install, else Playwright's
# own download. Usage: browser.sh PYTHON
set -eu
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null 2>&1; then
    exit 0
  fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core && exit 0
fi
exec "$1" -m playwright install chromium
