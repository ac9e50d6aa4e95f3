"""LitServe with its batching, on data frames."""

import os
import sys

import joblib
import litserve
import pandas as pd


class Bench(litserve.LitAPI):
    """The model behind one batched call."""

    def setup(self, _device):
        """Load it."""
        self.model = joblib.load(os.environ["BENCH_MODEL"])

    def decode_request(self, request):
        """The row, by column name."""
        return request["rows"][0]

    def predict(self, batch):
        """Rows to their labels."""
        return self.model.predict(pd.DataFrame(list(batch)).fillna(float("nan"))).tolist()

    def unbatch(self, output):
        """A label each."""
        return list(output)

    def encode_response(self, output):
        """The label, as the other peers answer it."""
        return [output]


if __name__ == "__main__":
    api = Bench(max_batch_size=64, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
