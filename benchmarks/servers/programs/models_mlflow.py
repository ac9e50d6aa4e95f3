"""The models as MLflow saves them: with the signature of their rows; ``scores`` answers ``predict_proba``."""

import shutil
import sys
from pathlib import Path

import mlflow.sklearn
from mlflow.models import infer_signature

from models import fitted, write


def main(folder):
    """A folder of MLflow's for each model."""
    write(folder)
    for kind, name, frame, pipeline in fitted():
        signature = infer_signature(
            frame, pipeline.predict(frame if name == "penguins" else frame.to_numpy())
        )
        kinds = {name: {}} | ({"scores": {"pyfunc_predict_fn": "predict_proba"}} if name == "cancer" else {})
        for saved, more in kinds.items():
            place = folder / kind / saved
            shutil.rmtree(place, ignore_errors=True)
            said = signature if not more else infer_signature(frame)
            mlflow.sklearn.save_model(
                pipeline,
                place,
                signature=said,
                pip_requirements=[],
                serialization_format="cloudpickle",
                **more,
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
