"""``python models.py FOLDER``: train the models of one server with the scikit-learn of its own environment.

Both data sets come from public packages: breast cancer, 30 numbers, from scikit-learn; penguins, two columns
of text and five of numbers, some of them with gaps, from palmerpenguins. ``broken`` learned from shuffled
labels.
"""

import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TEXT = ["island", "sex"]


def cancer():
    """Rows of 30 numbers, and their labels 0 and 1."""
    frame, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    return frame.rename(columns=lambda name: name.replace(" ", "_")), labels


def penguins():
    """Rows of text and numbers with gaps, and their species."""
    frame = load_penguins().sample(frac=1.0, random_state=0)
    frame = frame.astype(dict.fromkeys([*TEXT, "species"], object))
    return frame.drop(columns="species").fillna(np.nan), frame["species"]


def pipelines():
    """By the name of a data set: rows, labels, and a pipeline that is not fitted."""
    frame, species = penguins()
    numbers = [name for name in frame.columns if name not in TEXT]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), TEXT),
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
    )
    return {
        "cancer": (*cancer(), make_pipeline(StandardScaler(), LogisticRegression())),
        "penguins": (frame, species, make_pipeline(columns, LogisticRegression(max_iter=1000))),
    }


def fitted():
    """(good or broken, name of the data set, rows, fitted pipeline) of each model."""
    for name, (frame, labels, pipeline) in pipelines().items():
        shuffled = np.random.default_rng(0).permutation(labels)
        # a matrix has no names, which scikit-learn would warn of
        rows = frame.to_numpy() if name == "cancer" else frame
        for kind, learned in (("good", labels.to_numpy()), ("broken", shuffled)):
            yield kind, name, frame, pipeline.fit(rows, learned)


def write(folder):
    """The evaluation sets and the models."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (frame, labels, _) in pipelines().items():
        rows = frame.assign(label=labels)
        whole, gaps = rows.dropna(), rows[rows.isna().any(axis=1)]
        # a load is longer than this, so that every row with a gap is sent
        sent = pd.concat([gaps, whole[:60]]) if len(gaps) else rows
        sent.to_csv(folder / f"{name}.csv", index=False)
        whole.to_csv(folder / f"{name}-whole.csv", index=False)
    for kind, name, _, pipeline in fitted():
        (folder / kind).mkdir(exist_ok=True)
        joblib.dump(pipeline, folder / kind / f"{name}.joblib")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
