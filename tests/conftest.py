"""For all tests."""

import signal

import requests  # noqa: F401 - before locust, which patches what requests sets up when it is imported

# a runner started in the background hands down an ignored Ctrl-C, which these tests send for real
signal.signal(signal.SIGINT, signal.default_int_handler)
