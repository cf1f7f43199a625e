"""A model of the zoo, trained for a few epochs as the command does it."""

from flux.cli.task import Task
from flux.cli.training import Training


def trained(name: str, epochs: int) -> Training:
    task = Task(name)
    training = Training(task, task.module.SETTINGS._replace(epochs=epochs))
    training.run(progress=False)
    return training
