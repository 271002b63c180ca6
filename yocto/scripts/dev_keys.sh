#!/usr/bin/env bash
# dev_keys.sh FOLDER: a certificate authority and one signer for tests. Who builds for a clinic keeps the key of the CA offline
# and the signer's in a token; see README.md.
set -euo pipefail
[ $# = 1 ] || { echo "dev_keys.sh FOLDER" >&2; exit 2; }
[ -e "$1/signer.key.pem" ] && { echo "dev_keys: $1 has keys already; nothing was changed" >&2; exit 1; }
mkdir -p "$1"
cd "$1"
umask 077
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key.pem"; }
new_key ca
openssl req -x509 -new -key ca.key.pem -days 3650 -subj "/O=Scanside test/CN=Scanside test CA" -out ca.cert.pem \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
new_key signer
openssl req -new -key signer.key.pem -subj "/O=Scanside test/CN=Scanside test signer" -out signer.csr
openssl x509 -req -in signer.csr -CA ca.cert.pem -CAkey ca.key.pem -CAcreateserial -days 1825 -out signer.cert.pem \
  -extfile <(printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,codeSigning\n') 2>/dev/null
rm -f signer.csr ca.cert.srl
