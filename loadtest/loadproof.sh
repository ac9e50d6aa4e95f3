#!/bin/sh
# The loadproof command inside the image, where the package is not installed but copied.
exec python -m loadtest "$@"
