"""The fleet's engine: Dask workers, started here or on a cluster that is running already."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from starface_nb.analysis.settings import Settings
from starface_nb.errors import SetupError
from starface_nb.fleet.examine import Examined, examine, failed

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

Work = Callable[[str, Settings, str], Examined]
_PATIENCE = 15  # seconds to wait for a scheduler
_SILENT = logging.CRITICAL + 10


def examine_all(
    logs: Mapping[str, Path], settings: Settings, time_zone: str, client: Client, work: Work = examine
) -> Iterator[tuple[str, Examined]]:
    """Yield every log's result under its key as soon as it is there, each once.

    A worker that dies takes only the customer it was on with it; that one is read again elsewhere. A log that kills its
    worker again and again (Dask's `allowed-failures`) is given up with a reason.
    """
    from distributed import as_completed

    run = token_hex(4)  # somebody else's fleet on the same cluster may have a customer of that name
    futures = {
        client.submit(work, str(path.resolve()), settings, time_zone, key=f"examine-{slug}-{run}"): slug
        for slug, path in logs.items()
    }
    done = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)  # type: ignore[no-untyped-call]
    for future, result in done:
        slug = futures.pop(future)
        if isinstance(result, Examined):
            yield slug, result
        else:
            error = result[1] if isinstance(result, tuple) else result
            reason = f"Its worker gave no answer: {type(error).__name__}: {error}"
            yield slug, failed(reason, lasting=False)
        future.release()


@contextmanager
def connected(scheduler: str | None = None, workers: int | None = None) -> Iterator[Client]:
    """Yield a client of the cluster at `scheduler`, or of one with `workers` processes on this machine.

    Parameters
    ----------
    scheduler : str, optional
        Address of a running scheduler, `tcp://host:8786`; its workers need this package and see the logs under the same
        paths. The results come back to this process, which alone writes them.
    workers : int, optional
        Number of local processes, default one per core; not used with `scheduler`.

    Raises
    ------
    SetupError
        The scheduler does not answer.
    """
    logger = logging.getLogger("distributed")
    with ExitStack() as stack:
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(_SILENT)  # what matters comes back as results
        cluster = scheduler or stack.enter_context(_local_cluster(workers or os.cpu_count() or 1))
        yield stack.enter_context(_client(cluster))


def _client(cluster: str | LocalCluster) -> Client:
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port

    try:
        if isinstance(cluster, str):
            get_address_host_port(cluster)
        return Client(cluster, timeout=_PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise SetupError(
            f"No Dask scheduler answers there ({type(error).__name__}).",
            place=str(cluster),
            next_step="Start one with `dask scheduler` and `dask worker`, or leave --scheduler out.",
        ) from None


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
