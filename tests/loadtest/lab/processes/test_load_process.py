"""What the load generator is started with."""

import pytest
import tomli_w

from loadtest.data.run_folder import EXPERIMENT
from loadtest.lab.processes.load_process import COMMAND, LocalLoad


class StartedError(Exception):
    """Carries what a supervisor was asked to start."""


class Supervisor:
    def start(self, name, argv, stdout, env, essential):
        raise StartedError(argv, env)


def test_a_path_in_a_variable_is_that_of_the_command(tmp_path, monkeypatch):
    """The load runs in another folder, where a relative path would name nothing."""
    monkeypatch.setenv("SSL_CERT_FILE", "ca.pem")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / EXPERIMENT).write_text(
        tomli_w.dumps({"name": "e", "model": {"name": "m"}, "data": {"path": "rows.csv"}})
    )
    with pytest.raises(StartedError) as started:
        LocalLoad(Supervisor(), COMMAND, tmp_path, "http://127.0.0.1:1", {"A": "b"})
    assert started.value.args[1] == {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "A": "b"}
