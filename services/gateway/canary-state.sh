#!/bin/bash
# The canary's state on the volume of the routes; loadtest/lab/gateway/folder_store.py describes the layout. The loadproof
# command runs it by `docker exec -i`, so that the lock is gone as soon as that command is.
#   canary-state seed         begin the state of a new volume; where there is one, only say where the load is
#   canary-state change       print the state and a line "end of state", then put the tar of the next state's files that
#                             comes on standard input in force; without a whole tar nothing changes
#   canary-state lead OWNER   print "leads", or who else does, and lead until standard input ends
set -euo pipefail
cd "${ROUTES_DIR:-/routes}"
next="$(date +%s%N)-$$"
trap 'rm -rf ".$next"' EXIT

in_force() {
    sync ".$next"/*.json
    mv ".$next" "$next"
    ln -s "$next" ".current.$$"
    mv -T ".current.$$" current # the one rename that changes everything
    for file in state.json routes.json targets.json; do
        if [[ ! -L $file ]]; then
            ln -s "current/$file" ".$file.$$"
            mv -T ".$file.$$" "$file"
        fi
    done
    for old in [0-9]*-*; do
        [[ $old == "$next" ]] || rm -rf "$old"
    done
}

lock() {
    exec 9>> .lock
    flock -w 5 9 || { echo "another command holds the state for 5 s" >&2 && exit 1; }
}

case "$1" in
seed)
    lock
    cp /etc/gateway/load.json ".load.$$"
    mv ".load.$$" load.json
    [[ ! -e state.json ]] || exit 0
    mkdir ".$next"
    cp /etc/gateway/routes.json /etc/gateway/targets.json ".$next"
    sed -e "s|\${NOW}|$(date -u +%Y-%m-%dT%H:%M:%S.000+00:00)|g" \
        -e "s|\${STABLE_VERSION}|${STABLE_VERSION:-}|g" -e "s|\${CANDIDATE_VERSION}|${CANDIDATE_VERSION:-}|g" \
        /etc/gateway/state.json > ".$next/state.json"
    in_force
    ;;
change)
    lock
    cat state.json
    echo "end of state"
    mkdir ".$next"
    timeout 10 tar --extract --no-same-owner --directory ".$next" || exit 1
    [[ -s .$next/state.json && -s .$next/routes.json ]] || exit 1
    in_force
    ;;
lead)
    exec 8>> controller.json
    if ! flock -n 8; then
        cat controller.json
        exit 1
    fi
    echo "$2" > controller.json
    echo "leads"
    cat > /dev/null
    : > controller.json
    ;;
esac
