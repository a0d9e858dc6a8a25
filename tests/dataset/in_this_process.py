"""Builds of tests without worker processes, whose start takes longer than the build."""

from spatialfoley.dataset.factory.pool import Finished, Task


class InThisProcess:
    """An executor that does every task when it is waited for."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def free(self) -> int:
        return 1 - len(self.tasks)

    def submit(self, task: Task) -> None:
        self.tasks.append(task)

    def wait(self, longest_s: float) -> list[Finished]:
        done = [Finished(task.number, task.function(*task.arguments), None, "", 0.0) for task in self.tasks]
        self.tasks.clear()
        return done

    def close(self) -> None:
        self.tasks.clear()
