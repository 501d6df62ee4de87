"""The fleet's engine: Dask workers, started here or on a cluster that is running already."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING

from starface_nb.analysis.settings import Settings
from starface_nb.errors import SetupError
from starface_nb.fleet.customers import Customer
from starface_nb.fleet.examine import Examined, examine, failure

if TYPE_CHECKING:
    from distributed import Client

Work = Callable[[str, Settings, str], Examined]
_PATIENCE = 15  # seconds to wait for a scheduler
_SILENT = logging.CRITICAL + 10


def examine_all(
    customers: Mapping[str, Customer], settings: Settings, time_zone: str, client: Client, work: Work = examine
) -> Iterator[tuple[str, Examined]]:
    """Yield every customer's result under its key as soon as it is there, each once.

    A worker that dies takes only the customer it was on with it; that one is read again elsewhere. A log that kills its
    worker again and again (Dask's `allowed-failures`) is given up with a reason.
    """
    from distributed import as_completed

    run = token_hex(4)  # somebody else's fleet on the same cluster may have a customer of that name
    futures = {
        client.submit(work, str(customer.path.resolve()), settings, time_zone, key=f"examine-{slug}-{run}"): slug
        for slug, customer in customers.items()
    }
    done = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)  # type: ignore[no-untyped-call]
    for future, result in done:
        slug = futures.pop(future)
        if isinstance(result, Examined):
            yield slug, result
        else:
            error = result[1] if isinstance(result, tuple) else result
            reason = f"Its worker gave no answer: {type(error).__name__}: {error}"
            yield slug, Examined(failure(reason), lasting=False)
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
    from distributed import Client

    with _quiet():
        if scheduler is not None:
            try:
                client: Client = Client(  # type: ignore[no-untyped-call]
                    scheduler, timeout=_PATIENCE, set_as_default=False
                )
            except (OSError, TimeoutError, ValueError) as error:
                raise SetupError(
                    f"No Dask scheduler answers there ({type(error).__name__}).",
                    place=scheduler,
                    next_step="Start one with `dask scheduler` and `dask worker`, or leave --scheduler out.",
                ) from None
            with client:
                yield client
        else:
            with _local_cluster(workers or os.cpu_count() or 1) as client:
                yield client


@contextmanager
def _local_cluster(workers: int) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    threads = max(1, (os.cpu_count() or 1) // workers)
    environment = {"POLARS_MAX_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    settings = {"distributed.nanny.pre-spawn-environ": environment, "distributed.worker.profile.enabled": False}
    with (
        dask.config.set(settings),
        tempfile.TemporaryDirectory(prefix="starface-nb-", ignore_cleanup_errors=True) as scratch,
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # any free port: 8787 may be another cluster's
            local_directory=scratch,
            silence_logs=_SILENT,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,  # type: ignore[no-untyped-call]
    ):
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the engine's own log lines from the user's terminal; what matters comes back as results."""
    logger = logging.getLogger("distributed")
    before, propagate = logger.level, logger.propagate
    logger.setLevel(_SILENT)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.propagate = propagate
