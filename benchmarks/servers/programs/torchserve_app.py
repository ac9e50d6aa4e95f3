"""``python torchserve_app.py PORT MODEL``: archive a model as TorchServe wants it, and start a server of it.

``cancer`` and ``penguins`` get KServe's envelope; ``plain`` is the model of ``cancer`` without one.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(os.environ["BENCH_MODELS"])
FILES = {"plain": "cancer.joblib", "cancer": "cancer.joblib", "penguins": "penguins.joblib"}


def serve(port, name, place):
    """Run a server until it ends; what it writes goes to ``place``, as two of them may not share a folder."""
    handler = Path(__file__).with_name("torchserve_handler.py")
    archiver = ["torch-model-archiver", "--model-name", name, "--version", "1.0", "--export-path", place]
    extra = ["--handler", str(handler), "--extra-files", str(FOLDER / FILES[name])]
    subprocess.run([*archiver, *extra], check=True)
    addresses = zip(("inference", "management", "metrics"), (port, port + 1, port + 2), strict=True)
    settings = [f"{api}_address=http://127.0.0.1:{at}" for api, at in addresses]
    settings += [f"grpc_inference_port={port + 3}", f"grpc_management_port={port + 4}"]
    settings.append("default_workers_per_model=1")
    if name != "plain":
        settings.append("service_envelope=kserve")
    config = Path(place, "config.properties")
    config.write_text("\n".join(settings) + "\n")
    server = ["torchserve", "--foreground", "--ncs", "--disable-token-auth", "--model-store", place]
    subprocess.run(
        [*server, "--ts-config", str(config), "--models", f"{name}={name}.mar"],
        check=False,
        cwd=place,
        env=os.environ | {"TEMP": place, "TMPDIR": place, "LOG_LOCATION": place, "METRICS_LOCATION": place},
    )


if __name__ == "__main__":
    # the folder goes, too, when the server is told to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as place:
        serve(int(sys.argv[1]), sys.argv[2], place)
