"""The build: every recording through all stages, shards as soon as their recordings are finished.

One coordinator decides and keeps the state; workers do the stages and pack the shards. Recordings go depth first, a
bounded number at a time, so that disk and memory do not grow with the size of the source. Whatever happens to one
record (rejected, failed, crashed) is recorded and the rest goes on; a killed build goes on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from spatialfoley.dataset.factory.account import write_account
from spatialfoley.dataset.factory.comparing import ComparingStage, Comparison, Waiting, one_recording
from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.groups import Group, Job
from spatialfoley.dataset.factory.index import write_index
from spatialfoley.dataset.factory.job_queue import JobQueue
from spatialfoley.dataset.factory.lists import BuildReport, write_lists
from spatialfoley.dataset.factory.lock import build_lock
from spatialfoley.dataset.factory.outcomes import stage_result, value_of
from spatialfoley.dataset.factory.packing import Packing, files_inside
from spatialfoley.dataset.factory.pool import Executor, Finished, Task, WorkerPool
from spatialfoley.dataset.factory.progress import Progress, Tally
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.shard_list import listed, write_shard_list
from spatialfoley.dataset.factory.shards import shard_name, write_shard
from spatialfoley.dataset.factory.stage import Passed, Rejected
from spatialfoley.dataset.factory.state import PASSING, STATE_FILE, BuildState, StageResult, basis_of
from spatialfoley.dataset.factory.takedown import apply_takedown
from spatialfoley.dataset.factory.work import Problem, run_stage

_PACK_LIMIT_S = 6 * 3600.0
_IN_FLIGHT = 2
"""Records under way for each worker: enough that none waits for another's last stage."""
_OPEN_GROUPS = 4
"""Shards whose recordings are under way at a time, at least: the last of one should not keep the next waiting."""


def build(
    config: BuildConfig,
    progress: Progress = lambda label, fraction: None,
    retry: Iterable[str] = (),
    executor: Executor | None = None,
) -> BuildReport:
    """Build a data set, or go on with one.

    Args:
        config: What to build.
        progress: Told what is done and the fraction done.
        retry: Kinds of failure to try again, such as "format"; those that may go away are always tried again.
        executor: Does the work; None: what the settings name.

    Raises:
        ValueError: The folder is in use by another build or belongs to another data set, the files of unfinished
            shards take more than `max_work_gb`, or there is no cluster where the settings look for one.
    """
    root = Path(config.output)
    root.mkdir(parents=True, exist_ok=True)
    with build_lock(root):
        state = BuildState(root / STATE_FILE)
        hands = executor
        try:
            hands = hands or _hands(config, state.path)
            state.keep_source(config.source["kind"])
            state.add_recordings(config.load_source().records())
            apply_takedown(root, state)
            _Build(config, root, state, hands, progress).run(set(retry))
            report = write_lists(config, root, state)
            write_shard_list(root, (listed(row) for row in state.shards()))
            write_account(config, root)
            return replace(report, note=write_index(root))
        finally:
            if hands is not None:
                hands.close()
            state.close()


def _hands(config: BuildConfig, witness: Path) -> Executor:
    """The workers that the settings name."""
    if config.executor == "processes":
        return WorkerPool(config.workers)
    from spatialfoley.dataset.factory.ray_pool import RayPool

    return RayPool(config.workers, witness, config.ray)


class _Build:
    """A build under way: what comes next for every record; results are in the state."""

    def __init__(
        self, config: BuildConfig, root: Path, state: BuildState, hands: Executor, progress: Progress
    ) -> None:
        self.config, self.root, self.state = config, root, state
        self.tally = Tally(progress)
        self.specs, self.chains = config.specs(), config.chains()
        # The whole is known by the last stage, or by the source where there is no stage.
        self.packing = Packing(config, root, state, self.chains[-1] if self.chains else "source")
        self.jobs = JobQueue(hands, self._task, config.retries)
        self.groups: dict[int, Group] = {}
        self.comparisons = {
            number: Comparison(stage, state.compared(self.chains[number]))
            for number, stage in enumerate(spec.load() for spec in self.specs)
            if isinstance(stage, ComparingStage)
        }
        self.begun = 0

    def run(self, retry: set[str]) -> None:
        """Go on until nothing is left to do."""
        self.packing.clear_partial_files()
        for result in self.state.failures():
            if result.reason in {*retry, *PASSING}:
                self.state.forget(result)
                self.packing.open_again(result.recording)
        pending = self.packing.pending()
        self.tally.total = sum(group.recordings for group in pending)
        while pending or self.groups:
            self._admit(pending)
            self.jobs.start()
            for job, end in self.jobs.wait():
                self._settle(job, end)
            self._compare()
            self._close_finished()
            self._tell()
            self._check_stuck(pending)
        self.packing.clear_partial_files()

    def _admit(self, pending: deque[Group]) -> None:
        """Begin recordings while there is room."""
        limit = _IN_FLIGHT * self.config.workers
        while self.jobs.active < limit and self._has_room():
            group = next((group for group in self.groups.values() if group.waiting), None)
            if group is None:
                if not pending or len(self.groups) >= self._most_open():
                    return
                group = pending.popleft()
                self.groups[group.number] = group
                if not group.waiting:
                    return
            record = group.waiting.popleft()
            self.begun += 1
            for comparison in self.comparisons.values():
                comparison.begin(self._place_of(record.recording))
            self._advance(record, 0, group)

    def _most_open(self) -> int:
        """Shards under way: enough recordings for all workers of a large cluster."""
        return max(_OPEN_GROUPS, 1 + -(-_IN_FLIGHT * self.config.workers // self.config.shards.recordings))

    def _advance(self, record: Record, stage: int, group: Group) -> None:
        """Take a record as far as results are known already; queue the first stage that is not."""
        if stage == len(self.specs):
            if not self.state.clip_is_withdrawn(record.id):
                group.kept.append(record)
            return
        known = self.state.result(stage, record.id, basis_of(self.chains[stage], record))
        if known is not None and all(self._is_there(made) for made in known.records):
            self._take(known, group)
        else:
            group.open += 1
            self.jobs.add(Job(stage, record, group.number))

    def _take(self, result: StageResult, group: Group) -> None:
        """Go on from a result."""
        if result.status == "failed" and result.reason in PASSING:
            group.clean = False
        for number, comparison in self.comparisons.items():
            if result.stage == number or (result.stage < number and not result.records):
                comparison.end(self._place_of(result.recording))
        for made in result.records:
            group.work.update({ref.path: ref.size for ref in files_inside(made)})
            self._advance(made, result.stage + 1, group)

    def _is_there(self, record: Record) -> bool:
        """Whether the files of a record have not been cleared away."""
        return all((self.root / ref.path).exists() for ref in record.files.values())

    def _task(self, number: int, job: Job) -> Task:
        if job.record is None:
            return Task(number, write_shard, (str(self.root), job.group, job.split, job.lines), _PACK_LIMIT_S)
        arguments = (self.specs[job.stage], self._folder(job.stage), job.record.to_json(), str(self.root))
        return Task(number, run_stage, arguments, self.config.retries.stage_limit_s)

    def _folder(self, stage: int) -> str:
        return f"{stage:02d}-{self.specs[stage].name}"

    def _settle(self, job: Job, end: Finished) -> None:
        """Record what came of a job, and go on from it."""
        group = self.groups[job.group]
        value = value_of(end)
        if isinstance(value, Problem) and value.transient and self.jobs.again(job):
            return
        if job.record is None:
            if isinstance(value, Problem):
                raise ValueError(f"{shard_name(job.split, job.group)} cannot be written: {value.sentence}")
            group.shards.append(value)
            group.open -= 1
            return
        if isinstance(value, Passed) and job.stage in self.comparisons:
            found = one_recording(job, value)
            if isinstance(found, Record):
                place = self._place_of(found.recording)
                self.comparisons[job.stage].arrive(place, Waiting(job, found, end.seconds))
                return
            value = found
        self._store(job, value, end.seconds)

    def _store(
        self, job: Job, value: Passed | Rejected | Problem, seconds: float, kept: str | None = None
    ) -> None:
        assert job.record is not None
        chain = self.chains[job.stage]
        basis = basis_of(chain, job.record)
        result = stage_result(job.stage, job.record, basis, value, job.attempt, seconds)
        self.state.store(result, (chain, kept) if kept is not None else None)
        self.tally.add(result)
        group = self.groups[job.group]
        group.open -= 1
        self._take(result, group)

    def _compare(self) -> None:
        """Decide on the recordings whose turn it is; one decision may let the next stage's begin."""
        for comparison in self.comparisons.values():
            while (waiting := comparison.next()) is not None:
                outcome, kept = comparison.decide(waiting.record)
                self._store(waiting.job, outcome, waiting.seconds, kept)

    def _close_finished(self) -> None:
        """Pack groups whose recordings are finished; close those that are packed."""
        for group in list(self.groups.values()):
            if group.waiting or group.open:
                continue
            if not group.packing:
                group.packing = True
                for job in self.packing.begin(group):
                    group.open += 1
                    self.jobs.add(job)
            if not group.open:
                self.packing.close(group)
                del self.groups[group.number]

    def _held_bytes(self) -> int:
        """Bytes of the files of unfinished shards."""
        return sum(sum(group.work.values()) for group in self.groups.values())

    def _has_room(self) -> bool:
        return self._held_bytes() < self.config.max_work_gb * 1e9

    def _check_stuck(self, pending: deque[Group]) -> None:
        """A limit on disk that no shard can meet would otherwise wait for ever."""
        waiting = pending or any(group.waiting for group in self.groups.values())
        if self.jobs.idle and waiting and not self._has_room():
            held = self._held_bytes() / 1e9
            raise ValueError(
                f"files of unfinished shards take {held:.2f} GB and max_work_gb is {self.config.max_work_gb:g}; "
                "raise it or lower shards.recordings"
            )

    def _tell(self) -> None:
        under_way = {job.record.recording for job in self.jobs if job.record is not None}
        self.tally.show(self.begun, len(under_way))

    def _place_of(self, recording: str) -> int:
        return self.state.place_of(recording) or 0
