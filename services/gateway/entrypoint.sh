#!/bin/sh
# Fills the placeholders of envoy.yaml from the environment, begins the canary's state when its volume is empty (a
# split that somebody set survives a restart of the gateway), and becomes Envoy.
set -eu

: "${LISTEN_ADDRESS:=0.0.0.0}" "${LISTEN_PORT:=8080}"
: "${ADMIN_ADDRESS:=127.0.0.1}" "${ADMIN_PORT:=9901}"
: "${STATS_ADDRESS:=0.0.0.0}" "${STATS_PORT:=9902}"
: "${STABLE_HOST:=stable}" "${STABLE_PORT:=8080}"
: "${CANDIDATE_HOST:=candidate}" "${CANDIDATE_PORT:=8080}"
: "${CONTROL_HOST:=$STABLE_HOST}" "${CONTROL_PORT:=$STABLE_PORT}"
: "${ROUTES_DIR:=/routes}"

# a folder that is bound in read-only belongs to a lab of the loadproof command, which has begun its state itself
if [ -w "$ROUTES_DIR" ]; then
    canary-state seed
fi

config=/tmp/envoy.yaml
sed \
    -e "s|\${LISTEN_ADDRESS}|$LISTEN_ADDRESS|g" -e "s|\${LISTEN_PORT}|$LISTEN_PORT|g" \
    -e "s|\${ADMIN_ADDRESS}|$ADMIN_ADDRESS|g" -e "s|\${ADMIN_PORT}|$ADMIN_PORT|g" \
    -e "s|\${STATS_ADDRESS}|$STATS_ADDRESS|g" -e "s|\${STATS_PORT}|$STATS_PORT|g" \
    -e "s|\${STABLE_HOST}|$STABLE_HOST|g" -e "s|\${STABLE_PORT}|$STABLE_PORT|g" \
    -e "s|\${CANDIDATE_HOST}|$CANDIDATE_HOST|g" -e "s|\${CANDIDATE_PORT}|$CANDIDATE_PORT|g" \
    -e "s|\${CONTROL_HOST}|$CONTROL_HOST|g" -e "s|\${CONTROL_PORT}|$CONTROL_PORT|g" \
    -e "s|\${ROUTES_DIR}|$ROUTES_DIR|g" \
    /etc/gateway/envoy.yaml > "$config"

# one worker carries thousands of requests a second, and a split then takes effect at one instant
exec envoy -c "$config" --concurrency 1 --disable-hot-restart --log-level warning "$@"
