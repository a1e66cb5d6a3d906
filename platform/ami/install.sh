#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs mtls-agent from a release archive: install.sh URL SHA-256 [REGION]. The URL is https://, or s3://BUCKET/KEY, which curl gets
# with the instance's role; REGION is the bucket's, where it is not the instance's own. Nothing of the archive is used before its
# SHA-256 is right. Where that fails the ECS agent is disabled: a host that has no identity, and nothing to fetch one, must not
# join a cluster.
set -eu

url=$1
sha256=$2
region=${3:-}
# In memory: the role's credentials are in it for a moment.
work=$(mktemp -d -p /run)

finish() {
    status=$?
    rm -rf "$work"
    [ "$status" -eq 0 ] || systemctl --no-block --now disable ecs.service || true
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

get() { curl --fail --silent --show-error --retry 8 --retry-all-errors --retry-max-time 120 "$@"; }
metadata() { get --header "@$work/token" "http://169.254.169.254/latest/meta-data/$1"; }
credential() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" "$work/role"; }

# By the instance's role. Neither token nor key comes into a command line.
get_s3() { # BUCKET/KEY
    get --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 600' http://169.254.169.254/latest/api/token |
        sed 's/^/X-aws-ec2-metadata-token: /' >"$work/token"
    role=$(metadata iam/security-credentials/)
    metadata "iam/security-credentials/$role" >"$work/role"
    [ -n "$region" ] || region=$(metadata placement/region)
    domain=$(metadata services/domain)
    get --proto =https --config - <<CURL
url = "https://s3.$region.$domain/$1"
output = "$work/archive"
aws-sigv4 = "aws:amz:$region:s3"
user = "$(credential AccessKeyId):$(credential SecretAccessKey)"
header = "x-amz-security-token: $(credential Token)"
header = "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
CURL
}

case $url in
s3://*) get_s3 "${url#s3://}" ;;
*) get --proto =https --location --output "$work/archive" "$url" ;;
esac
echo "$sha256  $work/archive" | sha256sum --check --quiet -
tar -C / --no-overwrite-dir --no-same-owner -xzf "$work/archive"

systemd-sysusers
systemd-tmpfiles --create mtls-agent.conf
systemctl daemon-reload
systemctl enable mtls-agent-fetch.service mtls-agent.service
