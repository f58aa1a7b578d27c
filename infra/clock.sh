#!/bin/sh
# Finds libfaketime for the tests, or fetches the distribution's package where we may install.
set -eu
for file in /usr/lib/*/faketime/libfaketime.so.1 /usr/lib/faketime/libfaketime.so.1 /opt/homebrew/lib/faketime/libfaketime.1.dylib; do
  if [ -e "$file" ]; then
    exit 0
  fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends libfaketime && exit 0
fi
echo "The tests need libfaketime: install the package of that name." >&2
exit 1
