"""The recorded sites, simulated: the same lines, causes and gaps."""

from __future__ import annotations

import pytest

from tests.benchmarks.realism import compare


@pytest.mark.parametrize(
    "name", ["clean", "mixed", "kept-alive-by-probing", "fixed-router", "one-bad-phone", "pjsip-clean"]
)
def test_the_mirror_of_a_recording_is_like_it(name: str) -> None:
    recorded, made, _ = compare(name)
    jitter = recorded.get("cause lab_jitter", 0)
    for key, value in recorded.items():
        if key.startswith("cause ") and key != "cause lab_jitter":
            near = {"cause packet_loss": 0.5, "cause latency": 0.5}.get(key, 0.08)
            assert made.get(key, 0) == pytest.approx(value, rel=near, abs=2), key
        elif key in ("Registered", "Reachable", "UNREACHABLE", "Lagged"):
            near = 0.35 if key == "Lagged" else 0.15  # rare and by chance
            assert made[key] == pytest.approx(value, rel=near, abs=8 + 2 * jitter), key
        elif key.startswith("NAT loss lasts") and "10%" not in key:
            assert made[key] == pytest.approx(value, rel=0.02), key
        elif key.startswith("death to line s 50%"):
            assert made[key] == pytest.approx(value, abs=1.5), key
