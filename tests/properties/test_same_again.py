"""No surprise in results: the same log gives the same bytes, and a log that is being written a consistent answer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_logs import folder, slow

import starface_nb as sf

RECORDED = Path(__file__).parents[2] / "data/recorded"


def checked(log: Path, **environment: str) -> bytes:
    command = [sys.executable, "-m", "starface_nb", "check", "--json", log.name]
    done = subprocess.run(command, cwd=log.parent, env={**os.environ, **environment}, capture_output=True)
    assert done.returncode == 1, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["mixed", "kept-alive-by-probing"])
def test_same_bytes_again_on_any_number_of_cores(name):
    log = RECORDED / name / "pbx.log"
    answers = {
        checked(log, POLARS_MAX_THREADS="1", PYTHONHASHSEED="1"),
        checked(log, POLARS_MAX_THREADS="2", PYTHONHASHSEED="2"),
        checked(log, POLARS_MAX_THREADS="7", PYTHONHASHSEED="3"),
    }
    assert len(answers) == 1
    assert len(answers.pop()) > 10_000


@settings(slow, max_examples=25)
@given(st.sampled_from(["clean/pbx.log", "mixed/pbx_shortdate.log", "pjsip-clean/pbx.log"]), st.data())
def test_a_log_that_is_being_written_counts_up_to_its_last_whole_line(name, data):
    """The answer is that of the whole lines; of the last one too where it says enough already.

    A number cut in two cannot be told from a whole one: such ends are left out.
    """
    content = (RECORDED / name).read_bytes()
    stamp = (RECORDED / name).stat()
    end = data.draw(st.integers(content.index(b"\n") + 1, len(content) - 1))
    assume(not content[end - 1 : end + 1].isdigit())
    whole = content[: content.rindex(b"\n", 0, end) + 1]
    with_next = content[: content.index(b"\n", end) + 1]
    with folder() as path:

        def told(part):
            (path / "full").write_bytes(part)
            os.utime(path / "full", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
            case = sf.diagnose(sf.read_log(path / "full", progress=False))
            return [frame.to_dicts() for frame in (case.log.events, case.intervals, case.sites)]

        assert told(content[:end]) in (told(whole), told(with_next))
