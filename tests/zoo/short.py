"""A model of the zoo, trained for a few epochs as the command does it."""

import tempfile
from pathlib import Path

from flux.cli.task import Task
from flux.cli.training import Training


def trained(name: str, epochs: int, **others) -> Training:
    task = Task(name)
    settings = task.module.SETTINGS._replace(epochs=epochs, **others)
    with tempfile.TemporaryDirectory() as folder:
        training = Training(task, settings, Path(folder, "model.safetensors"))
        training.run(progress=False)
    return training
