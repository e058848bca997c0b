#!/bin/bash
# Makes a certificate authority and a certificate for localhost, for the fake Zoho.
set -euo pipefail
mkdir -p "$(dirname "$0")/tls"
cd "$(dirname "$0")/tls"
[ ! -e leaf.pem ] || exit 0

key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${key[@]}" -keyout ca.key -out ca.pem -days 3650 -subj "/CN=bench CA" \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
openssl req "${key[@]}" -keyout leaf.key -out leaf.csr -subj "/CN=localhost" 2>/dev/null
cat >extensions <<'EXTENSIONS'
subjectAltName=DNS:localhost,IP:127.0.0.1
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
EXTENSIONS
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -extfile extensions \
  -out leaf.crt 2>/dev/null
cat leaf.crt ca.pem >leaf.pem
