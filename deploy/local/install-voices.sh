#!/bin/sh
# Fetches the voices of Kokoro into a folder, where they are missing. They are in an npm package, as data: nothing of it
# is run. Without npm here, one is taken from the locked Python package for that moment. Usage: install-voices.sh FOLDER UV
set -eu
folder=$1
uv=$2
package=kokoro-js
version=1.2.1
sha256=1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860
[ ! -e "$folder/$version" ] || exit 0
fetched=$(mktemp -d)
trap 'rm -rf "$fetched"' EXIT
pack="npm pack --silent --ignore-scripts --pack-destination $fetched $package@$version"
if ! command -v npm >/dev/null; then
  pack="$uv run --quiet --no-project --with-requirements requirements/npm.txt $pack"
fi
if $pack >/dev/null && echo "$sha256  $fetched/$package-$version.tgz" | sha256sum --check --status; then
  mkdir -p "$folder"
  tar -xzf "$fetched/$package-$version.tgz" -C "$folder" --strip-components=2 package/voices
  touch "$folder/$version"
else
  echo "The voices of Kokoro could not be fetched: eSpeak NG speaks every language. “make install” tries again." >&2
fi
