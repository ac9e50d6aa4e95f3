"""The model server as a process: granian, its worker, real clients, and the graceful stop."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import psutil
import pytest
import skops.io
import tritonclient.http as triton
from sklearn.linear_model import LogisticRegression

from tests.integration.tiny_model import write_onnx
from tests.waiting import HUNG, eventually

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
ROWS = np.random.default_rng(3).normal(size=(200, 4))
MODEL = LogisticRegression().fit(ROWS, np.array(["hat", "shoe", "Schal"])[ROWS[:, :3].argmax(axis=1)])
MANIFEST = (
    'name = "shop"\nversion = "v1"\ntask = "classification"\n'
    '[[inputs]]\nname = "features"\ndatatype = "FP64"\nshape = [-1, 4]\n'
)
# a model that answers a row whose first feature is 1 only once there is the file RELEASE; a worker that ends
# by itself, and is not killed, leaves a file ENDED
SLOW = """
import os, time
from multiprocessing.util import Finalize
from pathlib import Path
import numpy as np

class Slow:
    classes_ = np.array(["a", "b"])

    def predict(self, rows):
        if "ENDED" in os.environ:
            Finalize(None, Path(os.environ["ENDED"]).touch, exitpriority=1)
        while rows[:, 0].max() == 1 and not os.path.exists(os.environ["RELEASE"]):
            time.sleep(0.005)
        return np.full(len(rows), "a")
"""


class Server:
    """One running server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def get(self, path: str, timeout: float = HUNG) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def infer(self, *values: float, connection: http.client.HTTPConnection | None = None) -> tuple[int, Any]:
        tensor = {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": values}
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=HUNG)
        body = json.dumps({"inputs": [tensor]})
        connection.request("POST", "/v2/models/shop/infer", body, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def metric(self, name: str) -> float:
        lines = self.get("/metrics")[1].decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0] == name)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        eventually(lambda: self.process.poll() is not None or condition())
        assert self.process.poll() is None, "the server ended"

    def accepts(self) -> bool:
        try:
            # the kernel may still take a connection that nobody accepts any more
            return self.get("/v2/health/live", timeout=0.5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get("/v2/health/ready")[0] == 200
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(folder: Path, port: int, *options: str, **environ: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "services.model_server", "--model-dir", str(folder), "--port", str(port)]
    env = os.environ | {"PYTHONPATH": f"{ROOT}:{folder}"} | environ
    return subprocess.Popen([*command, *options], env=env, stderr=subprocess.PIPE)


def launched(folder: Path, *options: str, **environ: str) -> Server:
    """A server that is ready; on another port where somebody took the first in between."""
    for _ in range(5):
        server = Server(launch(folder, port := free_port(), *options, **environ), port)
        eventually(lambda server=server: server.process.poll() is not None or server.is_ready())
        if server.process.poll() is None:
            return server
    raise AssertionError(server.process.communicate())


@contextlib.contextmanager
def running(folder: Path, *options: str, **environ: str) -> Iterator[Server]:
    server = launched(folder, *options, **environ)
    process = server.process
    try:
        yield server
    finally:
        process.terminate()
        try:
            process.wait(HUNG)
        finally:
            process.kill()
            process.stderr.close() if process.stderr else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("v1")
    skops.io.dump(MODEL, folder / "model.skops")
    (folder / "model.toml").write_text(MANIFEST)
    return folder


@pytest.fixture(scope="module")
def light_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of which only the server matters."""
    folder = tmp_path_factory.mktemp("light")
    write_onnx(folder, "ArgMax", (1, 1, 1, 1))
    (folder / "model.toml").write_text(MANIFEST)
    return folder


@pytest.fixture(scope="module")
def slow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow_model.py").write_text(SLOW)
    sys.path.insert(0, str(folder))
    try:
        import slow_model  # type: ignore[import-not-found]

        joblib.dump(slow_model.Slow(), folder / "model.joblib")
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("slow_model")
    (folder / "model.toml").write_text(MANIFEST)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with running(folder) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with contextlib.closing(triton.InferenceServerClient(f"127.0.0.1:{server.port}")) as client:
        yield client


def test_triton_readiness_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("shop")
    assert client.is_model_ready("shop", "v1")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "loadproof-model-server"
    metadata = client.get_model_metadata("shop", "v1")
    assert metadata["inputs"] == [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}]
    assert [output["name"] for output in metadata["outputs"]] == ["predict", "predict_proba", "ranking"]


@pytest.mark.parametrize("binary_in", [False, True], ids=["JSON in", "binary in"])
@pytest.mark.parametrize("binary_out", [False, True], ids=["JSON out", "binary out"])
def test_triton_predictions(client: Any, binary_in: bool, binary_out: bool) -> None:
    tensor = triton.InferInput("features", [20, 4], "FP64")
    tensor.set_data_from_numpy(ROWS[:20], binary_data=binary_in)
    wanted = [
        triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("predict", "predict_proba")
    ]
    result = client.infer("shop", [tensor], outputs=wanted, request_id="abc")
    labels = [
        label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("predict").tolist()
    ]
    assert labels == MODEL.predict(ROWS[:20]).tolist()
    np.testing.assert_allclose(result.as_numpy("predict_proba"), MODEL.predict_proba(ROWS[:20]), rtol=1e-12)
    assert result.get_response()["id"] == "abc"
    assert result.get_response()["model_version"] == "v1"


def test_triton_defaults(client: Any) -> None:
    tensor = triton.InferInput("features", [1, 4], "FP64")
    tensor.set_data_from_numpy(ROWS[:1])
    assert (
        client.infer("shop", [tensor]).as_numpy("predict").tolist()[0].decode() == MODEL.predict(ROWS[:1])[0]
    )


def test_triton_learns_what_is_wrong(client: Any) -> None:
    tensor = triton.InferInput("features", [1, 4], "FP32")
    tensor.set_data_from_numpy(ROWS[:1].astype(np.float32))
    with pytest.raises(Exception, match="datatype must be FP64, got 'FP32'"):
        client.infer("shop", [tensor])


def test_answers_go_to_their_own_requests_and_are_counted(server: Server) -> None:
    before = server.metric("loadproof_requests_total")
    expected = MODEL.predict(ROWS)

    def worker(start: int) -> list[int]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HUNG)
        with contextlib.closing(connection):
            chosen = range(start, 200, 16)
            answers = [server.infer(*ROWS[row], connection=connection) for row in chosen]
        return [
            row
            for row, (status, answer) in zip(chosen, answers, strict=True)
            if status != 200 or answer["outputs"][0]["data"] != [expected[row]]
        ]

    with ThreadPoolExecutor(16) as pool:
        assert [wrong for wrongs in pool.map(worker, range(16)) for wrong in wrongs] == []
    assert server.metric("loadproof_requests_total") - before == 200


def test_too_large_and_chunked_bodies(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HUNG)
    with contextlib.closing(connection):
        connection.request("POST", "/v2/models/shop/infer", b" " * 5_000_000)
        response = connection.getresponse()
        assert (response.status, list(json.loads(response.read()))) == (413, ["error"])
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HUNG)
    with contextlib.closing(connection):
        # no length is announced: the limit holds all the same
        chunks = iter([b" " * 1_000_000] * 5)
        connection.request("POST", "/v2/models/shop/infer", chunks, encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, list(json.loads(response.read()))) == (413, ["error"])
    assert server.infer(1, 2, 3, 4)[0] == 200


def test_a_stop_lets_requests_in_flight_finish(slow_folder: Path, tmp_path: Path) -> None:
    # it drains until it is told once more
    options, release = ("--allow-pickle", "shop", "--drain", "60"), tmp_path / "release"
    with (
        running(slow_folder, *options, RELEASE=str(release)) as server,
        ThreadPoolExecutor(6) as pool,
    ):
        futures = [pool.submit(server.infer, 1, 0, 0, 0) for _ in range(5)]
        server.wait_for(lambda: server.metric("loadproof_requests_in_flight") == 5)
        server.process.send_signal(signal.SIGTERM)
        # not ready at once, and still answering while the gateway looks elsewhere
        server.wait_for(lambda: server.get("/v2/health/ready")[0] == 503)
        assert server.get("/v2/health/live")[0] == 200
        server.process.send_signal(signal.SIGTERM)
        server.wait_for(lambda: not server.accepts())
        assert not any(future.done() for future in futures)
        release.touch()
        answers = [future.result(HUNG) for future in futures]
        assert [status for status, _ in answers] == [200] * 5
        assert all(answer["outputs"][0]["data"] == ["a"] for _, answer in answers)
        assert server.process.wait(HUNG) == 0
        with pytest.raises(OSError):
            server.get("/v2/health/live")


def test_an_idle_connection_does_not_hold_the_stop_up(slow_folder: Path, tmp_path: Path) -> None:
    options, ended = ("--allow-pickle", "shop", "--drain", "0.3"), tmp_path / "ended"
    with running(slow_folder, *options, ENDED=str(ended)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HUNG)
        with contextlib.closing(connection):
            assert server.infer(0, 2, 3, 4, connection=connection)[0] == 200
            server.process.send_signal(signal.SIGTERM)
            # the client never hangs up, and the worker did not wait for that until it was killed
            assert server.process.wait(HUNG) == 0
            assert ended.exists()


def test_overload_gets_503_at_once_and_the_rest_is_answered(slow_folder: Path, tmp_path: Path) -> None:
    options = ("--allow-pickle", "shop", "--threads", "8", "--drain", "0")
    release = tmp_path / "release"
    with (
        running(slow_folder, *options, RELEASE=str(release)) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        # one runs, six wait: the next one is too much
        futures = [pool.submit(server.infer, 1, 0, 0, 0)]
        server.wait_for(lambda: server.metric("loadproof_requests_in_flight") == 1)
        futures += [pool.submit(server.infer, 0, 0, 0, 0) for _ in range(6)]
        server.wait_for(lambda: server.metric("loadproof_queue_depth") == 6)
        status, answer = server.infer(0, 0, 0, 0)
        assert (status, answer["error"]) == (503, "the queue is full; retry later or send at a lower rate")
        assert not any(future.done() for future in futures)
        release.touch()
        assert [future.result(HUNG)[0] for future in futures] == [200] * 7


def test_the_worker_does_not_outlive_a_killed_parent(light_folder: Path) -> None:
    with running(light_folder) as server:
        children = psutil.Process(server.process.pid).children()
        assert len(children) == 1
        server.process.kill()
        assert psutil.wait_procs(children, timeout=HUNG)[1] == []


def test_a_dead_worker_ends_the_server(light_folder: Path) -> None:
    with running(light_folder) as server:
        psutil.Process(server.process.pid).children()[0].kill()
        assert server.process.wait(HUNG) == 1


def test_a_port_in_use_is_one_line_and_exit_code_2(folder: Path, server: Server) -> None:
    second = launch(folder, server.port)
    _, err = second.communicate(timeout=HUNG)
    assert second.returncode == 2
    assert err.decode() == (
        f"model-server: cannot listen on 127.0.0.1:{server.port} (Address already in use); "
        "choose another --host or --port\n"
    )


def test_a_version_that_is_not_allowed_is_one_line_and_exit_code_2(slow_folder: Path) -> None:
    process = launch(slow_folder, free_port())
    _, err = process.communicate(timeout=HUNG)
    assert process.returncode == 2
    assert err.decode().startswith(
        f"model-server: {slow_folder}/model.joblib: loading a pickle runs the code"
    )
    assert err.decode().count("\n") == 1


def test_half_sent_requests_take_nobody_elses_place(light_folder: Path) -> None:
    half = b"POST /v2/models/shop/infer HTTP/1.1\r\nhost: s\r\ncontent-length: 100\r\n\r\n{"
    with running(light_folder, "--drain", "0") as server, contextlib.ExitStack() as clients:
        worker = psutil.Process(server.process.pid).children()[0]
        for _ in range(200):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), HUNG))
            client.sendall(half)
        # each occupies a thread that reads its body
        eventually(lambda: worker.num_threads() > 200)
        assert {server.infer(*row)[0] for row in ROWS[:50]} == {200}
