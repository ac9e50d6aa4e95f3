"""Runs that are started in Locust's web UI or by ``locust --headless``: their options and their pages."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar, get_args
from urllib.parse import urlsplit

import gevent
from flask import request
from locust.env import Environment
from locust.runners import STATE_INIT, MasterRunner, WorkerRunner
from prometheus_client import CollectorRegistry

from loadtest.errors import ExperimentError, LoadproofError
from loadtest.experiment.experiment import EXPERIMENTS, Experiment, Load
from loadtest.load.cluster.coordinator import Coordinator
from loadtest.load.cluster.permits import Permits, is_local
from loadtest.load.cluster.run_hooks import RunHooks
from loadtest.load.cluster.run_inputs import RunInputs
from loadtest.load.cluster.wiring import coordinate
from loadtest.load.cluster.worker import Worker
from loadtest.load.live.client_metrics import LoadMetrics
from loadtest.load.settings import Settings
from loadtest.load.web.border import Border
from loadtest.load.web.live_tab import LivePage, add_routes
from loadtest.load.web.run_publisher import RunPublisher

_PREPARING = 10.0
_T = TypeVar("_T")


def add_options(parser: Any, **_: object) -> None:
    """Add experiment, traffic, rate and duration to Locust's command line and to its start form."""
    named = Settings.read().experiment
    load = _or_exit(lambda: Experiment.load_file(named)).load
    bundled = sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))
    # not in a group: Locust's start form shows only what the parser itself was given
    add = parser.add_argument
    experiments = list(dict.fromkeys([named, *bundled]))
    add("--experiment", choices=experiments, default=named, help="what to compare, and by which gates")
    traffic = get_args(Load.model_fields["traffic"].annotation)
    add("--traffic", choices=traffic, default=load.traffic, help="which version gets the row of an arrival")
    add(
        "--rate", type=float, env_var=_if_set("LOADPROOF_RATE"), default=load.rate, help="arrivals per second"
    )
    duration = f"{load.duration:g}s"
    about = "measured time, such as 60s or 2m"
    add("--duration", type=str, env_var=_if_set("LOADPROOF_DURATION"), default=duration, help=about)


def _if_set(variable: str) -> str | None:
    """The variable, unless it is empty, which counts as not set: Compose cannot leave one out."""
    return variable if os.environ.get(variable) else None


def start(environment: Environment, **_: object) -> None:
    """Make a process that the ``locust`` command started take its part in runs."""
    options: Any = environment.parsed_options
    inputs = RunInputs(Settings.read())
    settings = inputs.settings
    page = LivePage(lambda: coordinator.error if coordinator else None)
    pages = settings.pages or f"http://{options.web_host or '127.0.0.1'}:{options.web_port}"
    metrics = LoadMetrics(lambda: _workers(environment), pages)
    publisher = RunPublisher(settings, metrics, page)

    def chosen() -> Experiment:
        load = {name: getattr(options, name) for name in ("traffic", "rate", "duration")}
        versions = {"stable": settings.stable, "candidate": settings.candidate}
        overrides = {"load": load, "versions": versions}
        experiment = inputs.locate(Experiment.load_file(options.experiment, overrides))
        if experiment.load.control and experiment.target is None:
            raise ExperimentError(
                "the lab behind these pages has no second deployment of stable; leave out [load] control, "
                "name three servers under [target], or run loadproof compare"
            )
        return experiment

    def resolve() -> Experiment:
        experiment = chosen()
        page.begin(experiment)
        publisher.begin()
        return experiment

    if not options.worker:
        _or_exit(lambda: inputs.dataset(chosen().data))
    web: Any = environment.web_ui
    if web is not None:
        registry = CollectorRegistry()
        registry.register(metrics)
        add_routes(web.app, registry, settings.results)
        page.extend(web.app, web.template_args, chosen().roles)
        web.app.wsgi_app = Border(web.app.wsgi_app, [*settings.page_hosts, *_host_of(pages)])
        web.app.before_request(lambda: _before_stop(environment))
    hooks = RunHooks(
        resolve=resolve,
        models_name_columns=True,
        folder=publisher.folder,
        conclude=publisher.publish,
        show=page.show,
        metrics=metrics,
        pass_on=publisher.pass_on if web else None,
    )
    coordinator = None if options.worker else coordinate(environment, inputs, hooks)
    if options.worker:
        # from here on Locust ends in order; see loadtest.load.worker_process
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not isinstance(environment.runner, MasterRunner):
        Worker(environment, inputs, permits=_permits(environment, settings))
    events: Any = environment.events
    events.quitting.add_listener(publisher.finish)
    if coordinator is not None and options.headless:
        events.test_stop.add_listener(lambda **_: _set_exit_code(environment, coordinator))
        # called before those that were added before it
        events.quitting.add_listener(lambda **_: _set_verdict_code(environment, publisher))


def _before_stop(environment: Environment) -> None:
    """Let a Stop wait while the run is prepared: Locust would let it by, and start the run all the same."""
    runner: Any = environment.runner
    if request.path.endswith("/stop"):
        with gevent.Timeout(_PREPARING, False):
            while runner.shape_greenlet is not None and runner.state == STATE_INIT:
                gevent.sleep(0.05)


def _permits(environment: Environment, settings: Settings) -> Permits | None:
    """What the owner of this machine lets a master elsewhere ask for; None: nobody else's master."""
    runner = environment.runner
    if not isinstance(runner, WorkerRunner):
        return None
    own = (urlsplit(settings.target).netloc,) if settings.target else ()
    hosts = (*settings.worker_hosts, *own)
    return Permits(hosts, settings.worker_variables, local=is_local(runner.master_host))


def _host_of(pages: str) -> list[str]:
    host = urlsplit(pages).hostname
    # a browser at one port of this machine is no reason to trust those at its other ports
    return [host] if host and host and not is_local(host) else []


def _workers(environment: Environment) -> int:
    runner = environment.runner
    return runner.worker_count if isinstance(runner, MasterRunner) else 1


def _set_exit_code(environment: Environment, coordinator: Coordinator) -> None:
    if coordinator.error is not None:
        environment.process_exit_code = int(coordinator.error.exit_code)
    elif coordinator.result is not None:
        environment.process_exit_code = int(coordinator.result.summary.exit_code)


def _set_verdict_code(environment: Environment, publisher: RunPublisher) -> None:
    publisher.finish()
    if publisher.code is not None:
        environment.process_exit_code = int(publisher.code)


def _or_exit(step: Callable[[], _T]) -> _T:
    """What ``step`` returns; an expected error becomes one line and its exit code."""
    try:
        return step()
    except LoadproofError as error:
        print(f"load: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
