import pytest

from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.load.cluster.permits import Permits


def experiment(url, *headers):
    return Experiment.parse(
        {
            "name": "theirs",
            "model": {"name": "shop", "folder": "models/shop"},
            "data": {"path": "e.csv", "label": "label"},
            "gates": ["error_rate <= 0.1%"],
            "target": {"stable": url, "candidate": url, "headers": list(headers)},
        },
        source="test",
    )


MODELS = "https://models.example:9000"


@pytest.mark.parametrize(
    ("permits", "target", "host", "refused"),
    [
        # by default nothing but the lab's own gateway
        (Permits(), None, "http://gateway:8080", None),
        (Permits(), None, "http://internal:80", "'internal:80'.*--allow-host"),
        (Permits(), None, "http://127.0.0.1:8080", "'127.0.0.1:8080'.*--allow-host"),
        (Permits(), (MODELS,), "", "'models.example:9000'.*--allow-host"),
        # the gateway's name is no pass for two servers, which headers go to
        (Permits(), ("http://gateway:8080",), "", "gateway.*--allow-host"),
        # through a tunnel, or on the same machine
        (Permits(local=True), None, "http://127.0.0.1:8080", None),
        (Permits(local=True), None, "http://localhost:8080", None),
        (Permits(local=True), None, "http://10.0.0.5:8080", "--allow-host"),
        # with a port, only that one
        (Permits(("models.example",)), (MODELS,), "", None),
        (Permits(("Models.example:9000",)), (MODELS,), "", None),
        (Permits(("models.example:9001",)), (MODELS,), "", "--allow-host"),
        (Permits(("example",)), (MODELS,), "", "--allow-host"),
        # what a rogue master wants: a secret of this machine in a header to a server of its own, or of ours
        (Permits(("models.example",)), (MODELS, "X-A: env:AWS_SECRET"), "", "'AWS_SECRET'.*--allow-var"),
        (Permits((), ("TOKEN",)), (MODELS, "X-A: env:TOKEN"), "", "--allow-host"),
        (Permits(("models.example",), ("TOKEN",)), (MODELS, "X-A: env:TOKEN"), "", None),
        (Permits(("models.example",), ("TOKEN",)), (MODELS, "X-A: env:TOKEN", "X-B:env:HOME"), "", "'HOME'"),
        (Permits(("models.example",)), (MODELS, "X-A: plain"), "", None),
    ],
)  # fmt: skip
def test_what_a_master_may_ask_of_a_worker(permits, target, host, refused):
    theirs = Experiment.load_file("compare") if target is None else experiment(*target)
    if refused is None:
        permits.check(theirs, host)
    else:
        with pytest.raises(UsageError, match=refused) as error:
            permits.check(theirs, host)
        assert "\n" not in str(error.value)
