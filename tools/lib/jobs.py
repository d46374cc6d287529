# SPDX-License-Identifier: GPL-2.0-only
"""Jobs that run beside each other, one more than there are CPUs.

Each is a function that runs in a process of its own.  What it prints is shown when it ends.
"""

import contextlib
import dataclasses
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback

from lib import ui

# Of a build, what one CPU does alone: the configuration, and to link.
SERIAL = 30


@dataclasses.dataclass
class Job:
    name: str
    part: str               # of the table of times
    run: object             # what it returns goes to whoever runs the jobs
    after: tuple = ()       # the names of jobs that it needs
    behind: tuple = ()      # of jobs that must have ended, however
    weight: int = 1         # CPUs
    guess: int = 60         # seconds
    state: str = ""         # running, done, failed, unavailable or not run; "": waits
    why: str = ""
    result: object = None
    started: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0        # seconds of all CPUs

    def alone(self, cpus):
        """The seconds that it would take where it has so many CPUs for itself."""
        if self.weight == 1:
            return self.seconds
        return min(self.seconds, self.cpu / cpus + SERIAL)


class Jobs:
    """Starts them in the order of what hangs on each, while a CPU is free."""

    def __init__(self, cpus, done=lambda job: None):
        self.jobs, self.cpus, self.done = {}, cpus, done
        self.start = time.monotonic()
        self._pids, self._progress = {}, ui.Progress()
        self._dir = None

    def add(self, name, part, run, **more):
        self.jobs[name] = Job(name, part, run, **more)
        return name

    def chain(self, seconds, job=None):
        """The longest chain of jobs one after another, that from this one on or of all."""
        names = {j.name for j in self.jobs.values() if not job or job.name in j.after + j.behind}
        found = max((self.chain(seconds, self.jobs[n]) for n in names
                     if job or not self.jobs[n].after), key=lambda c: sum(map(seconds, c)),
                    default=[])
        return [job, *found] if job else found

    def run(self):
        """Runs all of them; done(job) is told of each."""
        hangs = {n: sum(x.guess for x in self.chain(lambda x: x.guess, j))
                 for n, j in self.jobs.items()}
        order = sorted(self.jobs.values(), key=lambda j: -hangs[j.name])
        self._progress.last = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="jobs.") as self._dir:
            try:
                while any(j.state in ("", "running") for j in order):
                    for job in order:
                        self._settle(job)
                        if self._ready(job) and self._fits(job):
                            self._start(job)
                    time.sleep(0.1)
                    self._wait()
                    self._show()
            finally:
                self._stop()
        self._progress.clear()

    def _fits(self, job):
        """Who waits for a file leaves a CPU free: so there is one more than CPUs, if not one."""
        load = sum(j.weight for j in self.jobs.values() if j.state == "running")
        return load < self.cpus or self.cpus > 1 and load + job.weight <= self.cpus + 1

    def _ready(self, job):
        return (not job.state and all(self.jobs[n].state == "done" for n in job.after) and
                all(self.jobs[n].state not in ("", "running") for n in job.behind))

    def _settle(self, job):
        """Without what it needs there is nothing to run."""
        lost = [self.jobs[n] for n in job.after
                if self.jobs[n].state in ("failed", "unavailable", "not run")]
        if lost and not job.state:
            job.state = "unavailable" if lost[0].state == "unavailable" else "not run"
            job.why = lost[0].why if lost[0].state != "failed" else f"{lost[0].name} failed"
            self.done(job)

    def _file(self, job, ending):
        return os.path.join(self._dir, f"{job.name.replace('/', '_')}.{ending}")

    def _start(self, job):
        job.state, job.started = "running", time.monotonic()
        ui.out.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self._pids[pid] = job
            return
        code = 1
        try:
            self._child(job)
            code = 0
        finally:
            os._exit(code)

    def _child(self, job):
        """Runs the job, with its output and result in files."""
        self._pids = {}
        with open(self._file(job, "out"), "w", encoding="utf-8", errors="replace") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            ui.out = sys.stdout = sys.stderr = out
            ui.progress_file = self._file(job, "progress")
            state, why, result = "done", "", None
            try:
                result = job.run()
            except ui.Unavailable as e:
                state, why = "unavailable", str(e)
            except ui.Fail as e:
                state, why = "failed", str(e)
            except OSError as e:
                state, why = "failed", str(e)
            except Exception as e:      # one broken job must not hide what the others find
                traceback.print_exc()
                state, why = "failed", repr(e)
            except KeyboardInterrupt:
                return
            with open(self._file(job, "result"), "wb") as f:
                pickle.dump((state, why, result), f)

    def _wait(self):
        for pid, job in list(self._pids.items()):
            gone, status, usage = os.wait4(pid, os.WNOHANG)
            if not gone:
                continue
            del self._pids[pid]
            job.seconds = time.monotonic() - job.started
            job.cpu = usage.ru_utime + usage.ru_stime
            self._progress.clear()
            with contextlib.suppress(FileNotFoundError), \
                    open(self._file(job, "out"), encoding="utf-8", errors="replace") as f:
                ui.out.write(f.read())
            try:
                with open(self._file(job, "result"), "rb") as f:
                    job.state, job.why, job.result = pickle.load(f)
            except (FileNotFoundError, EOFError):
                job.state, job.why = "failed", f"ended with status {status}"
            self.done(job)

    def _show(self):
        now, running = time.monotonic(), []
        for job in self._pids.values():
            words = f"{job.name} {now - job.started:.0f} s"
            with contextlib.suppress(FileNotFoundError), \
                    open(self._file(job, "progress"), encoding="utf-8") as f:
                words += f" ({f.read().strip()})"
            running.append(words)
        ended = sum(j.state not in ("", "running") for j in self.jobs.values())
        self._progress.show(f"   {now - self.start:5.0f} s, {ended} of {len(self.jobs)} done: "
                            f"{', '.join(running)}")

    def _stop(self):
        """None of them outlives this."""
        for sig in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sig)
            end = time.monotonic() + 15
            while self._pids and time.monotonic() < end:
                for pid in list(self._pids):
                    if os.waitpid(pid, os.WNOHANG)[0]:
                        del self._pids[pid]
                time.sleep(0.05)

    # -- what it took ----------------------------------------------------------------------

    def table(self, cpus=16):
        """Lines: the seconds of each part, and the longest chain."""
        parts = {}
        for j in self.jobs.values():
            parts.setdefault(j.part, []).append(j)
        for part, those in parts.items():
            longest = max(those, key=lambda j: j.seconds)
            yield (f"{part:14} {sum(j.seconds for j in those):6.0f} s "
                   f"{sum(j.cpu for j in those):6.0f} s of CPU, {ui.number(len(those), 'job')}, "
                   f"the longest {longest.name} {longest.seconds:.0f} s")
        ran = [j for j in self.jobs.values() if j.seconds]
        yield (f"{'total':14} {time.monotonic() - self.start:6.0f} s "
               f"{sum(j.cpu for j in ran):6.0f} s of CPU, on {ui.number(self.cpus, 'CPU')}")
        chain = self.chain(lambda j: j.alone(cpus))
        yield (f"{'longest chain':14} {sum(j.alone(cpus) for j in chain):6.0f} s, as on "
               f"{cpus} CPUs: {', '.join(f'{j.name} {j.alone(cpus):.0f} s' for j in chain)}")
