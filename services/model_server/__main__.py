"""``python -m services.model_server``: serve one version until SIGTERM."""

import os
import sys

# inside a CPU limit more threads only throttle, and idle ones do not survive the fork of the worker
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

if __name__ == "__main__":
    # numpy reads these variables when it is imported
    from services.model_server.cli import main

    sys.exit(main())
