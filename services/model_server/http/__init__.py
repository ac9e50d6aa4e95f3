"""The model server over HTTP: the protocol, batching, the Flask application. May import contract."""
