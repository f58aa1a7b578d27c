#!/bin/sh
# Prepares the test of the Debian package: lintian, systemd-nspawn, and a fresh Debian of this machine's own release.
# The tree is kept outside the checkout, because it takes minutes to make. It comes from where this machine's own
# packages come from.
set -eu
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
  echo "The test of the Debian package is left out: it needs Debian or Ubuntu, and root." >&2
  exit 0
fi
if ! command -v debootstrap >/dev/null 2>&1 || ! command -v systemd-nspawn >/dev/null 2>&1 ||
  ! command -v lintian >/dev/null 2>&1; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap systemd-container lintian
fi
. /etc/os-release
folder="${XDG_CACHE_HOME:-$HOME/.cache}/pbx-teams"
# The number is raised when the packages below change.
tree="$folder/$VERSION_CODENAME-2"
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if [ -d "$tree" ]; then
  exit 0
fi
find_mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $VERSION_CODENAME" 'Component: main' |
    head -n 1
}
mirror="$(find_mirror)"
if [ -z "$mirror" ]; then
  apt-get update -qq
  mirror="$(find_mirror)"
fi
rm -rf "$tree.new"
debootstrap --variant=minbase --include=systemd,systemd-sysv,adduser,ca-certificates,python3 \
  "$VERSION_CODENAME" "$tree.new" "$mirror" >"$folder/log" 2>&1 ||
  { tail -n 20 "$folder/log" >&2; exit 1; }
# A copy of the package lists would be out of date soon, and the packages themselves are installed.
rm -rf "$tree.new"/var/cache/apt/archives/*.deb
mv "$tree.new" "$tree"
