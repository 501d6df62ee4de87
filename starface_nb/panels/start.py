"""The start page: all cases with their verdicts, the last opened first, and the inbox for new logs."""

import atexit
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import polars as pl
from markupsafe import Markup

from starface_nb.cases import AnswerStore
from starface_nb.errors import SetupError
from starface_nb.files import private_folder, replacing
from starface_nb.guide import bracket_text, translator, word
from starface_nb.guide.corrections import CUSTOMER, names_given
from starface_nb.panels.base import Panel, bad, good, note

_SAID = "starface-nb: "
_URGENT = {"too_short": 0, "undetermined": 1, "no_expiry_seen": 2}


class Start(Panel):
    """All cases of a folder: open, archive or delete one, or begin one with a log from the inbox.

    Each case opens in a JupyterLab of its own: nothing of two customers is ever in one window.

    Parameters
    ----------
    cases : path or None
        Folder of all cases; None: there is none yet.
    language : str
    """

    name = "start page"

    def __init__(self, cases: str | Path | None = None, language: str = "en") -> None:
        super().__init__(translator(language))
        self._home = Path(cases).absolute() if cases else None
        self._sure, self._urgent_first = "", False
        self._tell()

    def _tell(self) -> None:
        if self._home is None:
            text = self.tr(
                "All cases, and a place for new logs, stand on the start page: starface-nb lab without a log."
            )
            self.show(main=note(text))
            return
        rows = [_about(folder, self.tr) for folder in self._folders()]
        rows.sort(key=lambda row: row["opened"], reverse=True)
        if self._urgent_first:
            rows.sort(key=lambda row: (_URGENT[row["verdict"]], -row["lost"]))
        files = sorted(self._inbox.iterdir()) if self._inbox.is_dir() else []
        waiting = [(p.name, self.tr.number(p.stat().st_size / 1e6, 1)) for p in files if not p.name.startswith(".")]
        self.show(
            main=self.fill("start", cases=rows, urgent_first=self._urgent_first, sure=self._sure, waiting=waiting)
        )

    @property
    def _inbox(self) -> Path:
        return (self._home or Path()) / "inbox"

    def _folders(self) -> list[Path]:
        return [path.parent for path in sorted(self._home.glob("*/case.json"))] if self._home else []

    def _folder(self, name: str) -> Path:
        if found := [folder for folder in self._folders() if folder.name == name]:
            return found[0]
        raise SetupError(self.tr("There is no case {name} any more.", name=name))

    def do_open(self, name: str, _value: object) -> None:
        """Open a case in a JupyterLab of its own."""
        self._start("--case", self._folder(name).name)

    def do_begin(self, name: str, _value: object) -> None:
        """Begin a case with a log from the inbox."""
        self._start(str(self._inbox / Path(name).name))

    def do_uploaded(self, name: str, status: int) -> None:
        """Show what was dropped, or that it did not arrive."""
        self._tell()
        if status:
            said = self.tr(
                "{name} did not arrive (HTTP {status}): copy it into the folder inbox.", name=name, status=status
            )
            self.show(said=bad(said))

    def do_sort(self, _arg: object, _value: object) -> None:
        """Put the last opened first, or those who need help most."""
        self._urgent_first = not self._urgent_first
        self._tell()

    def do_archive(self, name: str, _value: object) -> None:
        """Put a case into a zip in the folder `archive`, and take it out of the list."""
        folder = self._folder(name)
        target = private_folder(folder.parent / "archive") / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}.zip"
        with replacing(target) as file, ZipFile(file, "w") as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder.parent))
        shutil.rmtree(folder)
        self._tell()
        self.show(said=good(self.tr("Archived: {name}", name=f"archive/{target.name}")))

    def do_delete(self, name: str, value: str | None) -> None:
        """Ask first, then delete a case with everything in it."""
        folder = self._folder(name)
        self._sure = "" if value else name
        if value == "yes":
            shutil.rmtree(folder)
        self._tell()

    def _start(self, *what: str) -> None:
        """Start a JupyterLab on a case, wait until the case has run in it, and show the way there."""
        command = [sys.executable, "-m", "starface_nb", "lab", *what, "--cases", str(self._home), "--no-browser"]
        command += ["--language", self.tr.language] if what[0] != "--case" else []
        # it ends with this kernel, or with Ctrl-C where everything was started
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
        atexit.register(lambda: _end(server))
        assert server.stdout is not None  # noqa: S101
        told, address = [], ""
        for line in server.stdout:
            if line.startswith("Open: "):
                address = line.split()[1]
                break
            told += [] if line.startswith("Case: ") else [line.strip()]
        if not address:
            raise SetupError("\n".join(told) or self.tr("JupyterLab did not start."))
        self.widget.send({"open": address})
        self._tell()
        link = Markup('<p class="sfnb-good" role="status"><a href="{}" target="_blank" rel="noopener">{}</a></p>')
        notes = "".join(note(line.removeprefix(_SAID)) for line in told if line.startswith(_SAID))
        self.show(said=str(link.format(address, self.tr("Open the case in its own window"))) + notes)


def _end(server: subprocess.Popen[str]) -> None:
    with suppress(OSError):
        server.send_signal(signal.SIGINT)


def _about(folder: Path, tr: Any) -> dict[str, Any]:
    """Return what the start page says of a case, as far as it was examined."""
    about: dict[str, Any] = {"name": folder.name, "customer": folder.name, "lost": 0, "verdict": "undetermined"}
    about["opened"] = datetime.fromtimestamp((folder / "case.json").stat().st_mtime, UTC)
    about |= {"said": tr("not read yet"), "sites": None, "phones": None}
    with suppress(OSError, ValueError, pl.exceptions.PolarsError, SetupError):
        about["customer"] = names_given(AnswerStore(folder / "answers.json").all()).get(CUSTOMER, folder.name)
    try:
        sites = pl.read_parquet(folder / "results" / "sites.parquet")
        phones = pl.read_parquet(folder / "results" / "phones.parquet").filter(~pl.col("trunk"))
    except (OSError, pl.exceptions.PolarsError):
        return about
    worst = min(sites.to_dicts(), key=lambda row: (_URGENT[row["verdict"]], row["high_s"] or 0), default=None)
    about |= {"sites": sites.height, "phones": phones.height, "lost": int(phones["losses"].sum())}
    if worst:
        about["verdict"], about["said"] = worst["verdict"], word("verdict", worst["verdict"], tr)
        if worst["verdict"] == "too_short":
            about["said"] += ": " + bracket_text(worst["low_s"], worst["high_s"], tr)
    return about
