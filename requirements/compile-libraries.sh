#!/bin/sh
# Compiles the locks of the environments in which the engines on torch are tested with their real libraries.
# usage: compile-libraries.sh UV
set -eu
uv=$1
# The build of torch for processors alone. It is not on PyPI, whose build is for CUDA; it has to be where pip looks.
torch=6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
cd "$(dirname "$0")/libraries"
for name in demucs f5 whisperx; do
  # In its folder, because uv takes the settings of the project that it runs in.
  (cd "$name" && "$uv" pip compile --quiet --python-version 3.11 --python-platform x86_64-unknown-linux-gnu \
    --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" \
    --override ../overrides.txt pyproject.toml --output-file ../lock.tmp)
  awk -v hash="$torch" '
    /^torch==/ { print; print "    --hash=sha256:" hash; skip = 1; next }
    skip && /^    --hash/ { next }
    { skip = 0; print }' lock.tmp > "$name.txt"
  rm lock.tmp
done
