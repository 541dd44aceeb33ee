"""Writes <name>.train.csv, <name>.test.csv and sklearn_scores.json into this folder.

    python tests/tables/make_tables.py        (made with scikit-learn 1.9.1; takes half a minute)

The scores are what scikit-learn's own MLPs reach on the same split, so that a test can ask the same of wgrad.
They use scikit-learn's defaults (one hidden layer of 100 ReLU units, Adam, lr 1e-3, batches of 200,
alpha 1e-4) and inputs standardised on the training rows. Classifiers train until the loss stops falling;
the regressor trains 50 epochs on the standardised target.
"""

import csv
import json
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
SEEDS = range(10)
# Longer training overfits the 331 rows: the mean R² is 0.34 here, 0.31 after 100 and 0.25 after 200 epochs.
REGRESSION_EPOCHS = 50


def snake(name):
    return name.replace(" (cm)", "").replace(" ", "_").replace("/", "_")


def write(path, header, inputs, targets):
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(header)
        rows.writerows([*(f"{x:.7g}" for x in row), target] for row, target in zip(inputs, targets))


def scaled_on_train(train, test):
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def score(metric, make, x_train, x_test, y_train, y_test):
    """Mean, min and max of the test score over SEEDS, and the mean number of epochs trained."""
    x_train, x_test = scaled_on_train(x_train, x_test)
    nets = [make(seed).fit(x_train, y_train) for seed in SEEDS]
    scores = [net.score(x_test, y_test) for net in nets]
    numbers = {"mean": np.mean(scores), "min": min(scores), "max": max(scores)}
    epochs = float(np.mean([net.n_iter_ for net in nets]))
    return {"metric": metric, **{k: round(float(v), 4) for k, v in numbers.items()}, "epochs": epochs}


def classifier(seed):
    return MLPClassifier(max_iter=5000, random_state=seed)


def regressor(seed):
    return MLPRegressor(max_iter=REGRESSION_EPOCHS, tol=0, random_state=seed)


scores = {}
for name, data, target_name in [
    ("iris", load_iris(), "species"),
    ("wine", load_wine(), "cultivar"),
    ("breast_cancer", load_breast_cancer(), "diagnosis"),
    ("diabetes", load_diabetes(scaled=False), "progression"),
]:
    classes = getattr(data, "target_names", None)
    y = data.target if classes is None else classes[data.target]
    split = train_test_split(
        data.data, y, test_size=0.25, random_state=0, stratify=None if classes is None else y
    )
    x_train, x_test, y_train, y_test = split
    header = [*map(snake, data.feature_names), target_name]
    for part, x, y in [("train", x_train, y_train), ("test", x_test, y_test)]:
        write(HERE / f"{name}.{part}.csv", header, x, y if classes is not None else [f"{v:g}" for v in y])

    if classes is not None:
        # A classifier that doesn't converge is a failure of this script, not a score.
        with warnings.catch_warnings(action="error", category=ConvergenceWarning):
            scores[name] = score("accuracy", classifier, *split)
    else:
        # R² is the same in the target's own units.
        y_train, y_test = (y.ravel() for y in scaled_on_train(y_train[:, None], y_test[:, None]))
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            scores[name] = score("r2", regressor, x_train, x_test, y_train, y_test)

(HERE / "sklearn_scores.json").write_text(
    json.dumps({"sklearn": sklearn.__version__, "seeds": len(SEEDS), "scores": scores}, indent=2) + "\n"
)
