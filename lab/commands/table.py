"""The commands of this project. Each is a module of this folder with a function `run(options)`.

A new command is such a file and a line here; `lab.main` reads the table before it imports anything heavy.
"""

COMMANDS = {
    "fit": "train a model; everything about the run goes into one folder",
    "validate": "measure a checkpoint on the validation data",
    "test": "measure a checkpoint on the test data",
    "predict": "write what a model predicts for each input to predictions.csv",
    "sample": "generate from a checkpoint: a grid of images, or text",
    "interpolate": "walk between two latent vectors of a checkpoint: a strip of images",
    "measure": "compare two sets of images: of checkpoints, folders, .zip and .npz files",
    "study": "run every trial of a study file; the same command again resumes it",
    "claims": "say which claims of studies hold, and what would decide the others",
    "report": "write one HTML page of a run, of a folder of runs or of a study",
    "sync": "upload runs that are recorded offline to Weights & Biases",
}
