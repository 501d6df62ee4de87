"""Build `data/sample/debuginfo-sample.zip` from the recorded log `mixed`: `python -m tests.cases.build_sample`.

The shape is that of the support bundle: the current log and a compressed, rotated part under `var/log/asterisk`.
"""

from __future__ import annotations

import gzip
import io
import zipfile

from starface_nb import samples

_PACKED = (2026, 3, 4, 22, 56, 0)


def main() -> None:
    """Write the bundle; the same bytes each time with the same zlib."""
    lines = samples.recorded("mixed").read_bytes().splitlines(keepends=True)
    cut = len(lines) * 55 // 100
    rotated = io.BytesIO()
    with gzip.GzipFile(filename="full.1", mode="wb", fileobj=rotated, mtime=0) as file:
        file.writelines(lines[:cut])
    members = {"var/log/asterisk/full": b"".join(lines[cut:]), "var/log/asterisk/full.1.gz": rotated.getvalue()}
    with zipfile.ZipFile(samples.path(), "w") as bundle:
        for name, content in members.items():
            member = zipfile.ZipInfo(name, _PACKED)
            member.external_attr, member.compress_type, member.create_system = 0o600 << 16, zipfile.ZIP_DEFLATED, 3
            bundle.writestr(member, content, compresslevel=9)


if __name__ == "__main__":
    main()
