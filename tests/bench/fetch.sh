#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shell way: `fetch.sh FOLDER ENDPOINT SECRET` with the AWS CLI, jq, openssl and curl.
set -eu
umask 077
set_=$1/set-$$
mkdir "$set_"
document=$(aws secretsmanager get-secret-value --secret-id "$3" --query SecretString --output text)
for part in client_cert:client.crt client_key:client.key ca_cert:ca.crt; do
    printf '%s' "$document" | jq -er ".${part%%:*}" >"$set_/${part#*:}"
done
openssl verify -purpose sslclient -CAfile "$set_/ca.crt" "$set_/client.crt" >/dev/null
[ "$(openssl pkey -in "$set_/client.key" -pubout)" = "$(openssl x509 -in "$set_/client.crt" -pubkey -noout)" ]
curl -fsS --cacert "$set_/ca.crt" --cert "$set_/client.crt" --key "$set_/client.key" "$2" >/dev/null
sync "$set_"/* "$set_"
ln -sfn "set-$$" "$1/next"
mv -T "$1/next" "$1/current"
sync "$1"
