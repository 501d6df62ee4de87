"""Coverage-guided fuzzing of the reader: whatever the bytes, a log or one clear message comes back.

    pip install -e ".[fuzz]"
    python tests/fuzz/fuzz_reader.py -max_total_time=600 -timeout=20 -rss_limit_mb=2048

The first byte of an input chooses its container and name, the rest is the content. It begins from the catalogue's own
samples in every layout. A crash, a hang, more memory than allowed, or a broken promise of the result stops the run and
leaves the input behind. Any libFuzzer option may be added, and a folder that keeps the inputs between runs.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["starface_nb.reading", "starface_nb.sources", "starface_nb.bundle"]):
    import starface_nb.reading
    from starface_nb.reading import catalogue, layouts


from starface_nb.errors import StarfaceError
from starface_nb.reading.schemas import EVENTS, UNPARSED
from starface_nb.sources.streams import zstd

HOME = Path(tempfile.mkdtemp(prefix="fuzz-"))
LONGEST = 4096


def zipped(content: bytes) -> bytes:
    """Return the content in a zip, under the name that a support bundle has for it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("var/log/asterisk/full", content)
        archive.writestr("var/log/asterisk/full.1", content[::-1])
    return buffer.getvalue()


def tarred(content: bytes) -> bytes:
    """Return the content in a compressed tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("var/log/asterisk/full")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


# Wrapped whole, or taken as an archive's own bytes: the fuzzer reaches both the lines and the formats.
FORMS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("full", bytes),
    ("full-20260301", bytes),
    ("full.1.gz", gzip.compress),
    ("full.2.bz2", bz2.compress),
    ("full.3.xz", lzma.compress),
    ("full.4.zst", zstd.compress),
    ("debuginfo-1.zip", zipped),
    ("logs.tar.gz", tarred),
    ("raw.gz", bytes),
    ("raw.zip", bytes),
    ("raw.tar", bytes),
    ("raw.zst", bytes),
)


def promises(log: starface_nb.reading.Log) -> None:
    """Check what a log that was read always holds."""
    EVENTS.check(log.events)
    UNPARSED.check(log.unparsed)
    assert log.lines >= log.events.height
    if log.events.height:
        assert log.events["line"].min() >= 1
        assert log.events["offset"].min() >= 0
        assert log.events["offset"].max() < log.bytes
        assert log.events["port"].drop_nulls().is_between(0, 65535).all()


def one_input(data: bytes) -> None:
    """Read one input."""
    if not data:
        return
    name, wrap = FORMS[data[0] % len(FORMS)]
    path = HOME / name
    path.write_bytes(wrap(data[1:]))
    try:
        promises(starface_nb.reading.read_log(path, progress=False))
    except StarfaceError as error:
        said = error.cause
    else:
        said = "a log"
    finally:
        path.unlink()
    assert said


def seeds(folder: Path) -> None:
    """Write one input per layout and message, and one per container."""
    lines = [text.encode() for layout in layouts.layouts() for text, *_ in layout.samples]
    for entry in catalogue.entries():
        module = (entry.modules[0] if entry.modules else "chan_sip.c").replace("*", ".c")
        lines += [f"[2026-03-04 08:52:06] NOTICE[1][C-0000001a] {module}: {text}".encode() for text, _ in entry.samples]
    for number, line in enumerate(lines):
        (folder / f"line-{number}").write_bytes(bytes([0]) + line + b"\n")
    everything = b"\n".join(lines) + b"\n"
    for number, (name, _) in enumerate(FORMS):
        content = everything[:LONGEST]
        if name.startswith("raw"):
            wrap = next(
                wrap for other, wrap in FORMS if other.endswith(name.removeprefix("raw").replace(".tar", ".tar.gz"))
            )
            content = wrap(everything[:1500])
        (folder / f"form-{number}").write_bytes(bytes([number]) + content)


def words(path: Path) -> None:
    """Write the fuzzer's dictionary: what the reader looks for."""
    found = [needle.decode() for needle in catalogue.NEEDLES] + [e.starts for e in catalogue.entries() if e.starts]
    found += ["UNREACHABLE!", "[2026-10-25 02:30:00] NOTICE[1] chan_sip.c: ", "[Feb 29 00:00:00] ", '{"timestamp": "']
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in dict.fromkeys(found))
    path.write_text("".join(f'"{text}"\n' for text in quoted if text.isascii() and text.isprintable()))


def main() -> None:
    """Run the fuzzer."""
    os.environ["STARFACE_NB_PROGRESS"] = "0"
    given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    corpus = HOME / "corpus"
    corpus.mkdir()
    seeds(corpus)
    words(HOME / "words")
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    own = [f"-dict={HOME / 'words'}", f"-max_len={LONGEST}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *own, *options, *given, str(corpus)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
