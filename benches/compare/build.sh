#!/bin/bash
# Builds the program as the Dockerfile does, and the kit, into bin/.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p bin

# Named, so that no setting of the environment moves it.
built=$PWD/target
CARGO_TARGET_DIR=$built ../../deploy/build bin/bigin-photo-proxy
export RUSTFLAGS=
cargo build --target-dir "$built" --locked --release --package bk --package naive
cargo build --target-dir "$built" --locked --profile tuned --package pingora-peer
cp "$built/release/bk" "$built/release/naive" "$built/tuned/pingora-peer" bin/
