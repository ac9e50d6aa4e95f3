"""A custom handler of TorchServe as its documentation shows one: ``initialize`` and ``handle``."""

from pathlib import Path

import joblib
import pandas as pd


class Handler:
    """A scikit-learn pipeline, and what TorchServe hands over of a request, with and without an envelope."""

    def initialize(self, context):
        """Load the model that the archive brings."""
        (file,) = Path(context.system_properties["model_dir"]).glob("*.joblib")
        self.model = joblib.load(file)

    def handle(self, data, _context):
        """Rows out of KServe's envelope to labels; else one request, by CSV or JSON, to its answer."""
        if not (isinstance(data[0], dict) and "body" in data[0]):
            return self.labels(data)
        body = data[0]["body"]
        if isinstance(body, str):  # text/csv is left as it came
            return [str(self.labels([[float(cell) for cell in body.split(",")]])[0])]
        return [{"label": self.labels([body])[0]}]

    def labels(self, rows):
        """The label of each row: of cells in their order, or of cells by name."""
        names = getattr(self.model, "feature_names_in_", None)
        if names is not None:
            rows = pd.DataFrame(rows, columns=names).fillna(float("nan"))
            # else pandas makes a float of a text that is missing
            text = ("island", "sex")
            rows = rows.astype({name: object if name in text else float for name in names})
        return self.model.predict(rows).tolist()
