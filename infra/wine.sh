#!/bin/sh
# Finds Wine for the tests of the Windows programs, or fetches the distribution's package where we may install, and makes
# the prefix that the tests copy. Its first start takes 15 seconds, so the prefix is kept outside of the checkout, for each
# version of Wine.
set -eu
if ! command -v wine >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends wine wine64
fi
if ! command -v wine >/dev/null 2>&1; then
  echo "The tests of the Windows programs need Wine 8 or later on x86-64: install wine and wine64." >&2
  exit 1
fi
# A missing 32-bit Wine is mentioned on each start; the tests need none.
export WINEARCH=win64 WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml=" DISPLAY=
kept="${XDG_CACHE_HOME:-$HOME/.cache}/pbx-teams/$(wine --version 2>/dev/null | cut -d' ' -f1)"
if [ -e "$kept/system.reg" ]; then
  exit 0
fi
mkdir -p "$(dirname "$kept")"
new="$(mktemp -d "$kept.XXXXXX")"
trap 'rm -rf "$new"' EXIT
export WINEPREFIX="$new/prefix"
wine wineboot -i </dev/null >"$new/log" 2>&1 && wine winecfg -v win10 </dev/null >>"$new/log" 2>&1 || {
  cat "$new/log" >&2
  exit 1
}
wineserver -w  # it writes the registry when the last program has ended
mv -T "$new/prefix" "$kept" 2>/dev/null || [ -e "$kept/system.reg" ]
