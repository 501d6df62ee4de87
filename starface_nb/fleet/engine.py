"""The fleet's engine: this process, Dask workers started here, or those of a cluster that is running already."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from starface_nb.errors import SetupError
from starface_nb.fleet.examine import Examined, examine, failed
from starface_nb.settings import Settings

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

_PATIENCE = 15  # seconds to wait for a scheduler
_SILENT = logging.CRITICAL + 10


def examine_all(
    logs: Mapping[str, Path],
    settings: Settings,
    time_zone: str,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    work: Callable[[str, Settings, str], Examined] = examine,
) -> Iterator[tuple[str, Examined]]:
    """Yield every log's result under its key as soon as it is there, each once.

    A worker that dies takes only the customer it was on with it; that one is read again elsewhere. A log that kills its
    worker again and again (Dask's `allowed-failures`) is given up with a reason.

    Parameters
    ----------
    logs : mapping of str to Path
    settings : Settings
    time_zone : str
    workers : int, optional
        Number of processes on this machine, default one per core; a single one is this process itself.
    scheduler : str, optional
        Address of a running scheduler to use instead, `tcp://host:8786`; its workers need this package and see the logs
        under the same paths. The results come back to this process, which alone writes them.
    work : callable
        What is done with each log.

    Raises
    ------
    SetupError
        The scheduler does not answer.
    """
    workers = min(workers or os.cpu_count() or 1, len(logs))
    if workers <= 1 and not scheduler:
        for key, path in logs.items():
            yield key, work(str(path.resolve()), settings, time_zone)
        return
    run = token_hex(4)  # somebody else's fleet on the same cluster may have a customer of that name
    with _connected(scheduler, workers) as client:
        from distributed import as_completed

        futures = {
            client.submit(work, str(path.resolve()), settings, time_zone, key=f"examine-{key}-{run}"): key
            for key, path in logs.items()
        }
        done = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)  # type: ignore[no-untyped-call]
        for future, result in done:
            if not isinstance(result, Examined):
                error = result[1] if isinstance(result, tuple) else result
                reason = f"Its worker gave no answer: {type(error).__name__}: {error}"
                result = failed(reason, lasting=False)
            yield futures.pop(future), result
            future.release()


@contextmanager
def _connected(scheduler: str | None, workers: int) -> Iterator[Client]:
    """Yield a client of the cluster at `scheduler`, or of one with `workers` processes on this machine."""
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port

    logger = logging.getLogger("distributed")
    with ExitStack() as stack:
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(_SILENT)  # what matters comes back as results
        try:
            if scheduler:
                get_address_host_port(scheduler)
            cluster = scheduler or stack.enter_context(_local_cluster(workers))
            client = Client(cluster, timeout=_PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise SetupError(
                f"No Dask scheduler answers there ({type(error).__name__}).",
                place=scheduler or "this machine",
                next_step="Start one with `dask scheduler` and `dask worker`, or leave --scheduler out.",
            ) from None
        yield stack.enter_context(client)


@contextmanager
def _local_cluster(workers: int) -> Iterator[LocalCluster]:
    import dask
    from distributed import LocalCluster

    threads = str(max(1, (os.cpu_count() or 1) // workers))
    environment = {"POLARS_MAX_THREADS": threads, "OMP_NUM_THREADS": threads}
    settings = {"distributed.nanny.pre-spawn-environ": environment, "distributed.worker.profile.enabled": False}
    with (
        dask.config.set(settings),
        tempfile.TemporaryDirectory(prefix="starface-nb-", ignore_cleanup_errors=True) as scratch,
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # any free port: 8787 may be another cluster's
            local_directory=scratch,
            silence_logs=_SILENT,
        ) as cluster,
    ):
        yield cluster
