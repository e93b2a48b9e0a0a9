"""Runs one command after another and says what each took: wait4(2) tells CPU time and peak memory of exactly that
process and the children it waited for, and this interpreter is small enough not to lend the child a peak of its own.
"""
import json
import os
import signal
import sys
import threading
import time

PATIENCE_SECONDS = 60

for line in sys.stdin:
    job = json.loads(line)
    to_write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, job["output"], to_write, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, job["errors"], to_write, 0o600),
    ]
    began = time.monotonic_ns()
    pid = os.posix_spawn(job["argv"][0], job["argv"], job["env"], file_actions=files)
    patience = threading.Timer(PATIENCE_SECONDS, os.kill, (pid, signal.SIGKILL))
    patience.start()
    _, status, usage = os.wait4(pid, 0)
    took = time.monotonic_ns() - began
    patience.cancel()
    answer = {
        "exitCode": os.waitstatus_to_exitcode(status),
        "wallMs": took / 1e6,
        "cpuMs": (usage.ru_utime + usage.ru_stime) * 1e3,
        "peakMiB": usage.ru_maxrss / 1024,
    }
    print(json.dumps(answer), flush=True)
