#!/bin/sh
# Installs the missing Debian packages among the arguments; where it may not, prints the exact command and stops.
set -eu
missing=""
for package in "$@"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
install="apt-get install --yes --no-install-recommends$missing"
if ! command -v apt-get >/dev/null; then
  echo "OneVoice needs these programs, and this system has no apt: $missing" >&2
  exit 1
elif [ "$(id -u)" = 0 ]; then
  apt-get update --quiet=2
  DEBIAN_FRONTEND=noninteractive $install --quiet=2 >/dev/null
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  sudo apt-get update --quiet=2
  sudo DEBIAN_FRONTEND=noninteractive $install --quiet=2 >/dev/null
else
  echo "OneVoice needs some system packages. Install them with:" >&2
  echo "  sudo apt-get update && sudo $install" >&2
  exit 1
fi
