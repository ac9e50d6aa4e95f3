"""KServe's Python server as its documentation of custom models shows it; v1, v2 and gRPC by one class."""

import os
from pathlib import Path

import joblib
import kserve
import pandas as pd
from kserve.utils.utils import generate_uuid

FOLDER = Path(os.environ["BENCH_MODELS"])


class Model(kserve.Model):
    """A model, and the function of it that answers."""

    def __init__(self, name, file, answer, names=()):
        super().__init__(name)
        self.names = names
        self.answer = getattr(joblib.load(FOLDER / file), answer)
        self.ready = True

    def predict(self, payload, headers=None):  # noqa: ARG002 - KServe's own form
        """Rows to their labels or scores."""
        if isinstance(payload, dict):
            rows = payload["instances"]
            if self.names:
                frame = pd.DataFrame(rows, columns=self.names).fillna(float("nan"))
                # else pandas makes a float of a text that is missing
                text = ("island", "sex")
                rows = frame.astype({name: object if name in text else float for name in self.names})
            return {"predictions": self.answer(rows).tolist()}
        labels = self.answer(payload.inputs[0].as_numpy())
        output = kserve.InferOutput("predict", list(labels.shape), "INT64")
        output.set_data_from_numpy(labels, binary_data=False)
        return kserve.InferResponse(generate_uuid(), self.name, [output])


if __name__ == "__main__":
    penguin = joblib.load(FOLDER / "penguins.joblib").feature_names_in_.tolist()
    kserve.ModelServer().start(
        [
            Model("cancer", "cancer.joblib", "predict"),
            Model("scores", "cancer.joblib", "predict_proba"),
            Model("penguins", "penguins.joblib", "predict", penguin),
        ]
    )
