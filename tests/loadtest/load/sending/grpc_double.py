"""A real gRPC server (grpcio) in a process of its own: prints its port, ends with its standard input.

It answers ``/t.T/Echo`` with its message, ``/t.T/Fail`` with the status that the message names, ``/t.T/Hang``
when the deadline that came along has passed, and ``/t.T/Deadline`` with the seconds that are left of it.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import grpc


def fail(request, context):
    context.abort(getattr(grpc.StatusCode, request.decode()), "was f\u00fcr\nein 100% Fehler")


def hang(request, context):
    over = Event()
    context.add_callback(over.set)
    over.wait()
    return b""


def metadata(request, context):
    said = dict(context.invocation_metadata())
    text = f"{said.get('x-request-id')} {said.get('authorization')} {context.time_remaining():.0f} "
    return (text + said.get("traceparent", "")).encode()


class Any(grpc.GenericRpcHandler):
    def service(self, call):
        behaviour = {"/t.T/Echo": lambda r, c: r, "/t.T/Fail": fail, "/t.T/Hang": hang, "/t.T/Said": metadata}
        found = behaviour.get(call.method)
        return found and grpc.unary_unary_rpc_method_handler(found)


def main(certificate=None):
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers([Any()])
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = Path(certificate).read_bytes()
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(pair, pair)]))
    server.start()
    print(port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
