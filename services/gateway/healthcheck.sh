#!/bin/bash
# Healthy: Envoy serves. Through bash's /dev/tcp, because the image has no HTTP client.
set -eu
exec 3<> "/dev/tcp/127.0.0.1/${STATS_PORT:-9902}"
printf 'GET /ready HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n' >&3
read -r -t 2 _ status _ <&3
[[ $status == 200 ]]
