"""The models as MLServer's scikit-learn runtime takes them: each with its ``model-settings.json``."""

import json
import sys
from pathlib import Path

from models import TEXT, fitted, write


def main(folder):
    """Beside each model, what MLServer wants to know of it."""
    write(folder)
    for kind, name, frame, _ in fitted():
        settings = {
            "name": name,
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": f"../{name}.joblib"},
        }
        if name == "penguins":
            settings["inputs"] = [
                {"name": each, "datatype": "BYTES" if each in TEXT else "FP64", "shape": [-1, 1]}
                for each in frame.columns
            ]
            # else labels that are text cannot leave it over gRPC
            text = {
                "name": "predict",
                "datatype": "BYTES",
                "shape": [-1],
                "parameters": {"content_type": "str"},
            }
            settings["outputs"] = [text]
        place = folder / kind / name
        place.mkdir(exist_ok=True)
        (place / "model-settings.json").write_text(json.dumps(settings))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
