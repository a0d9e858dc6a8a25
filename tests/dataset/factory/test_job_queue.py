"""Jobs in order, never more than workers take, and again after a pause."""

import operator
import time

from spatialfoley.dataset.factory.config import RetrySettings
from spatialfoley.dataset.factory.groups import Job
from spatialfoley.dataset.factory.job_queue import JobQueue
from spatialfoley.dataset.factory.pool import Finished, Task


class AtHome:
    """Does tasks in this process when it is waited for, as many at a time as it is told to."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tasks: list[Task] = []

    def free(self) -> int:
        return self.room - len(self.tasks)

    def submit(self, task: Task) -> None:
        self.tasks.append(task)

    def wait(self, longest_s: float) -> list[Finished]:
        if not self.tasks:
            time.sleep(longest_s)
        done = [Finished(task.number, task.function(*task.arguments), None, "", 0.0) for task in self.tasks]
        self.tasks.clear()
        return done

    def close(self) -> None:
        pass


def queue(room: int, attempts: int = 2, pause_s: float = 0.02) -> JobQueue:
    def task(number: int, job: Job) -> Task:
        return Task(number, operator.neg, (job.group,), 1.0)

    return JobQueue(AtHome(room), task, RetrySettings(attempts=attempts, pause_s=pause_s))


def test_jobs_are_handed_out_in_order_as_workers_are_free() -> None:
    jobs = queue(room=2)
    for group in (3, 1, 2):
        jobs.add(Job(0, None, group))
    rounds = []
    while not jobs.idle:
        jobs.start()
        rounds.append([(job.group, end.value) for job, end in jobs.wait()])
    assert rounds == [[(3, -3), (1, -1)], [(2, -2)]]


def test_a_job_pauses_before_another_attempt_and_has_a_number_of_them() -> None:
    jobs = queue(room=1, attempts=2)
    jobs.add(Job(0, None, 7))
    jobs.start()
    ((job, _),) = jobs.wait()
    assert jobs.idle
    began_s = time.monotonic()
    assert jobs.again(job)
    assert (job.attempt, jobs.active, jobs.idle, [paused.group for paused in jobs]) == (2, 0, False, [7])
    ended: list[Job] = []
    while not ended:
        jobs.start()
        ended = [job for job, _ in jobs.wait()]
    assert time.monotonic() - began_s >= 0.02
    assert not jobs.again(ended[0])
    assert jobs.idle


def test_nothing_is_waited_for_where_there_are_no_jobs() -> None:
    jobs = queue(room=1)
    jobs.start()
    assert (list(jobs.wait()), jobs.active, list(jobs)) == ([], 0, [])
