#!/bin/sh
# Puts the routes file on standard input in force: written whole beside the old one, then renamed over it.
#   docker compose exec -T gateway swap-routes < routes.json
set -eu
folder="${ROUTES_DIR:-/routes}"
partial="$folder/.routes.json.$$"
trap 'rm -f "$partial"' EXIT
cat > "$partial"
mv "$partial" "$folder/routes.json"
