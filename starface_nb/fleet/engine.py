"""The fleet's engine: this process, worker processes of its own, or a Dask cluster that is running already."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from queue import SimpleQueue
from secrets import token_hex
from threading import Event, Thread, local
from typing import TYPE_CHECKING, Any

from starface_nb.errors import SettingError, SetupError, need
from starface_nb.files import real
from starface_nb.fleet.examine import Examined, failed

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from distributed import Client

_PATIENCE = 15  # seconds to wait for a scheduler
_TRIES = 3  # workers that may die on one log
_SILENT = logging.CRITICAL + 10


@dataclass(frozen=True)
class Scheduler:
    """A running Dask scheduler.

    Attributes
    ----------
    address : str
        `tls://host:8786`, or `tcp://host:8786`, where everybody in that network may run programs as you. Its workers
        need this package and see the logs under the same paths.
    authority, certificate, key : Path or None
        For `tls://`: PEM files of the authority's certificate, and of one's own with its key.
    """

    address: str
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def examine_all(
    logs: Mapping[str, Path],
    work: Callable[[str], Examined],
    *,
    workers: int | None = None,
    scheduler: Scheduler | None = None,
) -> Iterator[tuple[str, Examined]]:
    """Yield every log's result under its key as soon as it is there, each once.

    A worker that dies takes only the customer it was on with it; that one is read again by another. A log that kills
    its workers again and again is given up with a reason.

    Parameters
    ----------
    logs : mapping of str to Path
    work : callable
        What is done with each log's path; something that can be sent to another process.
    workers : int, optional
        Processes on this machine, default one per core; a single one is this process itself. They listen on no port.
    scheduler : Scheduler, optional
        Where the work is done instead; the results come back to this process, which alone writes them.

    Raises
    ------
    SettingError
        The scheduler's address or certificates make no sense.
    SetupError
        The scheduler does not answer, or Dask is not installed.
    """
    paths = {key: str(real(path)) for key, path in logs.items()}
    workers = min(workers or os.cpu_count() or 1, len(logs))
    if scheduler:
        yield from _on_cluster(paths, work, scheduler)
    elif workers > 1:
        if multiprocessing.parent_process() is not None:
            step = 'Put what it does under `if __name__ == "__main__":`, or use workers=1.'
            raise SetupError("A worker process would start a fleet of its own.", place="this script", next_step=step)
        yield from _in_processes(paths, work, workers)
    else:
        for key, path in paths.items():
            yield key, work(path)


# ---- on this machine ----


def _in_processes(
    paths: Mapping[str, str], work: Callable[[str], Examined], workers: int
) -> Iterator[tuple[str, Examined]]:
    """Work in processes, each led by a thread of its own, so that one that dies takes no other with it."""
    mine, ending, others = local(), Event(), set(multiprocessing.active_children())

    def led(path: str) -> Examined:
        for _ in range(_TRIES):
            try:
                if not hasattr(mine, "worker"):
                    mine.worker = _worker(work)
                mine.worker.send(path)
                return mine.worker.recv()  # type: ignore[no-any-return]
            except (EOFError, ConnectionError):  # it died
                del mine.worker
                if ending.is_set():
                    break
        return failed(f"No answer: {_TRIES} workers died on it.", lasting=False)

    with _few_threads(workers), ThreadPoolExecutor(workers) as leaders:
        try:
            futures = dict[Future[Examined], str]()
            done = SimpleQueue[Future[Examined]]()  # no generator, in whose end an interrupt would be lost
            for key, path in paths.items():
                futures[future := leaders.submit(led, path)] = key
                future.add_done_callback(done.put)
            for _ in paths:
                future = done.get()
                yield futures[future], future.result()
        except BaseException:
            leaders.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            ending.set()
            for process in set(multiprocessing.active_children()) - others:
                process.kill()


def _worker(work: Callable[[str], Examined]) -> Connection:
    """Start a worker process; return the way to it, which ends when it dies."""
    context = multiprocessing.get_context("spawn")
    if sys.platform != "win32":  # what a worker loads before it serves is not interrupted either: it inherits this
        resource_tracker.ensure_running()  # which would take it back
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    here, there = context.Pipe()
    context.Process(target=_serve, args=(there, work), daemon=True).start()
    there.close()
    return here


def _serve(pipe: Connection, work: Callable[[str], Examined]) -> None:
    """Work off what comes; Ctrl-C is the parent's, and the process ends when its parent has."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    Thread(target=follow, daemon=True).start()
    with suppress(EOFError, ConnectionError):  # its end may be seen here first
        while True:
            pipe.send(work(pipe.recv()))


@contextmanager
def _few_threads(workers: int) -> Iterator[None]:
    """Let workers that are started meanwhile share the cores."""
    unset = {"POLARS_MAX_THREADS", "OMP_NUM_THREADS"} - os.environ.keys()
    os.environ |= dict.fromkeys(unset, str(max(1, (os.cpu_count() or 1) // workers)))
    try:
        yield
    finally:
        for name in unset:
            del os.environ[name]


# ---- on a cluster ----


def _on_cluster(
    paths: Mapping[str, str], work: Callable[[str], Examined], scheduler: Scheduler
) -> Iterator[tuple[str, Examined]]:
    run = token_hex(4)  # somebody else's fleet may be on the same cluster; names of customers stay here
    with _connected(scheduler) as client:
        from distributed import as_completed as dask_completed

        numbered = enumerate(paths.items())
        futures = {client.submit(work, path, key=f"starface-nb-{run}-{n}"): key for n, (key, path) in numbered}
        for future, result in dask_completed(futures, loop=client.loop, with_results=True, raise_errors=False):  # type: ignore[no-untyped-call]
            error = result[1] if isinstance(result, tuple) else result
            if isinstance(error, BaseException):
                result = failed(f"No answer: {type(error).__name__}: {error}.", lasting=False)
            yield futures.pop(future), result
            future.release()


@contextmanager
def _connected(scheduler: Scheduler) -> Iterator[Client]:
    secured = security(scheduler)
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port

    logger = logging.getLogger("distributed")
    with ExitStack() as stack:
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(_SILENT)  # what matters comes back as results
        try:
            get_address_host_port(scheduler.address)
            client = Client(scheduler.address, timeout=_PATIENCE, set_as_default=False, security=secured)  # type: ignore[no-untyped-call]
        except Exception as error:  # whatever the network, TLS or the address brings up
            cause = f"No Dask scheduler answers there ({type(error).__name__}: {error})."
            step = "Start `dask scheduler` and `dask worker`, check the certificates, or leave it out."
            raise SetupError(cause, place=scheduler.address, next_step=step) from None
        yield stack.enter_context(client)


def security(scheduler: Scheduler) -> Any:
    """Return what secures the way to the scheduler: nothing but what was given, whatever Dask's own configuration."""
    need("cluster")
    from distributed.security import Security

    files = (scheduler.authority, scheduler.certificate, scheduler.key)
    encrypted = scheduler.address.startswith("tls://")
    place = f"--scheduler {scheduler.address!r}"
    if not encrypted and not scheduler.address.startswith("tcp://"):
        step = "Write it as tls://host:8786."
        raise SettingError("No Dask scheduler answers there: this is no address.", place=place, next_step=step)
    if (all if encrypted else any)(files) != encrypted:
        step = "Name them with --tls-ca, --tls-cert and --tls-key."
        raise SettingError("tls:// takes three files, tcp:// none.", place=place, next_step=step)
    for path in files:
        if path and not path.is_file():
            raise SettingError("There is no such file.", place=path, next_step="Check the path.")
    authority, certificate, key = (path and str(path) for path in files)
    return Security(  # type: ignore[no-untyped-call]
        require_encryption=encrypted, tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key
    )
