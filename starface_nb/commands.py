"""The commands, each a function of its options that returns the exit status, under its arguments."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipInfo

import starface_nb as sf
from starface_nb.arguments import COMMANDS, command, of_case
from starface_nb.console import harmless, need_output, note, say, write_utf8
from starface_nb.errors import SettingError, need, need_temporary
from starface_nb.files import DOCUMENTS, house_ipython, keep_free, real, replacing, write, write_files
from starface_nb.progress import stage
from starface_nb.sources.apart import keep_apart
from starface_nb.text import moment, visible

__all__ = ["COMMANDS"]
_ASIDE = "Keep it in a folder of its own."

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starface_nb.analysis.diagnosis import Diagnosis


@command("verdict on a log: in the terminal, or as JSON")
def check(options: Namespace) -> int:
    """Say what is wrong, how sure that is and what to set, as text for people or as JSON."""
    from starface_nb.verdict import json_text, summary

    need_output()
    case = _diagnosis(_logs(options), options)
    if options.json:
        write_utf8(json_text(case))
    else:
        sys.stdout.write(summary(case, options.language))
    return 0 if options.exit_zero else _needs_action(case)


@command("every event found in a log")
def events(options: Namespace) -> int:
    """Write every event found in a log."""
    from starface_nb.analysis.diagnose import require_one_customer
    from starface_nb.reading.export import write as export
    from starface_nb.spared import spare

    formats = {f".{name}": name for name in ("jsonl", "csv", "parquet", "xlsx")}
    chosen = options.format or _by_ending(options.output, {"": "jsonl", ".txt": "jsonl", ".log": "jsonl"} | formats)
    if output := options.output:
        if formats.get(named := output.suffix.lower(), chosen) != chosen:
            step = f"Leave out --format, or let the name end in .{chosen}."
            raise SettingError(f"{named} is not the ending of {chosen}.", place=output, next_step=step)
        keep_apart(options.log, [output])
        spare([output])
    else:
        need_output()
        if chosen in ("parquet", "xlsx") and sys.stdout.isatty():
            step = "Name a file with -o, or choose --format jsonl or csv."
            raise SettingError(f"{chosen} is binary.", next_step=step)
    log = sf.read_log(options.log, time_zone=options.time_zone)
    require_one_customer(log)
    with replacing(output) if output else nullcontext(sys.stdout.buffer) as file:
        shown = log.events if output or not sys.stdout.isatty() else harmless(log.events)
        export(shown, file, chosen, log.time_zone)
    note(*log.notes)
    if log.unparsed.height:
        note(f"{log.unparsed.height} lines look like events but are none or cannot be read.")
    return 0


@command("the customer's report, self-contained, offline")
def report(options: Namespace) -> int:
    """Write the customer's report as a page, a PDF, or both."""
    from starface_nb.guide.routers import find_product
    from starface_nb.spared import spare

    router = find_product(options.router) if options.router else None  # a wrong name is said before the work
    kind = _by_ending(options.output, {"": "page", ".html": "page", ".htm": "page", ".pdf": "pdf"})
    kinds = {options.output: kind}
    if options.pdf or kind == "pdf":
        need("pdf")
        kinds[options.output.with_suffix(".pdf") if kind == "page" else options.output] = "pdf"
    logs = _logs(options)
    keep_apart(logs, kinds)
    spare(kinds, reports=True)
    case = _diagnosis(logs, options)
    from starface_nb.report import render, spare_others, to_pdf  # it takes seconds to load: what was wrong, was said

    spare_others(kinds, case.log)
    with stage("Writing the report"):
        # a byte of the command line that is no UTF-8 is the Latin-1 letter, as in a log
        customer = (options.customer or "").translate({0xDC00 + byte: byte for byte in range(0x80, 0x100)})
        shown = {"language": options.language, "router": router, "mask": options.mask, "customer": customer}
        page = render(case, **shown, created=datetime.now(UTC))
        made = {path: to_pdf(page) if kind == "pdf" else page.encode() for path, kind in kinds.items()}
    spare_others(made, case.log)  # once more: another may have come meanwhile
    for path, content in made.items():
        write(path, content)
    if options.mask and options.customer:
        note("--customer is left out: a masked report names nobody.")
    _note_router(router, case)
    note(f"Report written: {', '.join(map(str, made))}")
    return _needs_action(case)


@command("evidence for the firewall's administrator or the provider: a page and a ticket's text in three languages")
def pack(options: Namespace) -> int:
    """Write the evidence pack of every site that has losses: into a folder, or into a zip."""
    from starface_nb.fleet.run import quick_fingerprint
    from starface_nb.guide.routers import find_product
    from starface_nb.spared import spare

    router = find_product(options.router) if options.router else None
    logs = _logs(options)
    keep_apart(logs, [options.output])
    keep_free(options.output)
    own = b"" if "-" in logs else ".".join(quick_fingerprint(Path(log)) for log in logs).encode()
    spare([options.output], own)
    case = _diagnosis(logs, options)
    from starface_nb.report.pack import pack as packed

    made = packed(case, router)
    if not made:
        note(f"Nothing to prove with this log. {sf.guide.headline(case, sf.guide.translator())}")
        return 2
    options.output.parent.mkdir(parents=True, exist_ok=True)
    files = {name: text.encode() for name, text in made.items()}
    write_files(options.output, files, lambda name: ZipInfo(name, datetime.now().timetuple()[:6]), own)
    _note_router(router, case)
    note(f"{len(made)} files written: {options.output}")
    return _needs_action(case)


@command("execute the notebooks on a log")
def run(options: Namespace) -> int:
    """Execute the notebooks on a log, with the report beside them; 3 where a notebook failed."""
    from starface_nb.cases.copies import curated
    from starface_nb.spared import report_names

    need_temporary()
    house_ipython()
    chosen = options.notebooks.replace(",", " ").split() if options.notebooks else None
    notebooks = [path.name for path in curated(chosen)]  # a wrong name is said before the log is read
    logs = _logs(options)
    written = (*notebooks, *report_names(), "answers.json")
    keep_apart(logs, [options.output / name for name in (*written, "case.json")])
    if not (options.output / "case.json").exists():
        keep_free(options.output, written)
    case = sf.cases.open_case(logs, folder=options.output, **of_case(options))
    note(*case.notes)
    from starface_nb.cases.runner import run_notebooks

    executed = run_notebooks(sf.cases.copy_notebooks(options.output, chosen=chosen, case=case))
    for one in executed:
        ending = f"failed in code cell {one.cell}: {one.error}" if one.error else f"done in {one.seconds:.1f} s"
        print(visible(f"{one.path.name}: {ending}"), file=sys.stderr if one.error else sys.stdout)
    _note_kept(sf.report.write_report(case, case.language, ending="").kept)
    say(f"report: {options.output / 'report.html'}")
    return 3 if any(one.error for one in executed) else _needs_action(case.diagnosis)


@command("open JupyterLab on the notebooks")
def lab(options: Namespace) -> int:
    """Prepare the case, become JupyterLab and stay until it ends."""
    import webbrowser

    from starface_nb.lab import prepare, start

    need_temporary()
    house_ipython()
    options.log = _logs(options)
    ready = prepare(options)
    note(*ready.notes)
    say(f"Case: {ready.folder}")

    def opened(address: str) -> None:
        say(f"Open: {address}")
        say("End JupyterLab here with Ctrl-C.")
        sys.stdout.flush()
        if not (options.no_browser or options.dry_run):
            webbrowser.open(address)

    if options.dry_run:
        opened(ready.address)
        say(" ".join(["jupyter-lab", *ready.arguments]))
        return 0
    sys.stdout.flush()
    return start(ready, opened)


@command("did the change fix it?")
def compare(options: Namespace) -> int:
    """Say whether a change fixed it: two logs, or one log cut at a time; 0 where nothing needs action any more."""
    from starface_nb.analysis.compare import compare_at
    from starface_nb.guide.comparison import comparison_text
    from starface_nb.guide.words import finding_text

    need_output()
    if len(options.log) > 2:
        raise SettingError(
            "compare takes one log or two.", next_step="Give several files of one side as a folder or a glob in quotes."
        )
    if options.at is not None and len(options.log) == 2:
        raise SettingError("--at cuts one log, but two were given.", next_step="Leave out --at or the second log.")
    first, *second = (_diagnosis(log, options) for log in options.log)
    at = None if options.at is None else moment(options.at, first.log.time_zone, timed=True)
    result = sf.compare(first, second[0]) if second else compare_at(first, at)
    tr = sf.guide.translator(options.language, result.time_zone)
    gone = [finding for finding in (second or [first])[0].findings if finding.id == "site_gone"]
    if options.json:
        told = {**result.to_json(), "gone": [finding.site for finding in gone]}
        write_utf8(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    else:
        lines = [*(finding_text(finding, tr) for finding in gone), *comparison_text(result, tr)]
        print("\n".join(map(visible, lines)))
    return int(not result.settled or bool(gone))


@command("many customers at once")
def fleet(options: Namespace) -> int:
    """Rank many customers' logs by who needs help first.

    1 where somebody does; else 3 where the program failed on a log, 2 where a log could not be read.
    """
    from starface_nb.cases.answers import Record
    from starface_nb.reading import DEFAULT_ZONE, clock

    named = options.scheduler is not None
    for what in () if named else ("ca", "cert", "key"):
        if vars(options)[f"tls_{what}"]:
            raise SettingError("It is for a scheduler.", place=f"--tls-{what}", next_step="Name one with --scheduler.")
    certificates = options.tls_ca, options.tls_cert, options.tls_key
    summary = sf.fleet.run_fleet(
        options.source,
        options.output,
        settings=sf.Settings().with_asked(keepalive_s=options.keepalive),
        time_zone=options.time_zone,
        workers=options.workers,
        scheduler=sf.fleet.Scheduler(options.scheduler, *certificates) if named else None,
        on_note=note,
    )
    page = options.output / "fleet.html"
    zone = clock.zone(options.time_zone or DEFAULT_ZONE).key
    made = {page.name: sf.fleet.fleet_html(summary, options.language, zone).encode()}
    _note_kept(Record(page.with_name(".fleet.json"), "fleet").put(made))
    print(sf.fleet.as_text(summary, options.language, zone))
    say(str(page))
    if ((summary["verdict"] == "too_short") | (summary["gone"] > 0)).any():
        return 1
    return 2 if (summary["state"] == "failed").any() else 0


@command("the same log without personal data")
def anonymise(options: Namespace) -> int:
    """Write the same log without personal data, and say what was left out."""
    if options.key:
        keep_apart([*options.log, options.output], [options.key], "The key is the log or the output itself")
        if real(options.key).is_relative_to(real(options.output)):
            raise SettingError("The key would be handed out with the log.", place=options.key, next_step=_ASIDE)
    made = list[Path]()
    key = partial(sf.privacy.load_key, options.key, made) if options.key else None
    try:
        done = sf.privacy.anonymise(
            options.log,
            options.output,
            key=key() if key and os.path.exists(options.key) else key,  # noqa: PTH110  a new one once the log was read
            shift_weeks=options.shift_weeks,
            time_zone=options.time_zone,
        )
    except BaseException:
        for path in made:  # of no use to anybody: nothing was written with it
            path.unlink(missing_ok=True)
        raise
    say(f"{done.path}: {done.kept:,} of {done.lines:,} lines, rewritten")
    note(*done.notes)
    say(f"replaced: {done.names:,} names and numbers, {done.addresses:,} addresses")
    say(f"left out: {done.left_out:,} lines that are not understood")
    if done.refused:
        say(f"left out: {done.refused:,} lines that could not be rewritten with certainty")
    if done.beside:
        say(f"left out: {done.beside:,} files beside the log (settings, lists of peers, a router's log)")
    if options.key:
        say(f"key: {options.key}; keep it secret, whoever has it can tell who is who")
        note(*sf.privacy.weaknesses(options.key))
    return 0


@command("a log with known truth")
def simulate(options: Namespace) -> int:
    """Write a log with known truth."""
    from starface_nb.reading.clock import zone

    sf.simulation.earlier_files(options.output)  # a foreign log there is said before the work
    wish = sf.simulation.Wish(options.phones, options.hours, options.timeout, options.renewal)
    drawn = sf.simulation.make(options.family, options.seed, wish)
    time_zone = zone(options.time_zone or drawn.time_zone).key
    form, noise = options.date_format or drawn.style.date_format, options.noise
    style = replace(drawn.style, date_format=form, noise=drawn.style.noise if noise is None else noise)
    start = drawn.start if options.start is None else moment(options.start, time_zone)
    sites = tuple(replace(site, public_ip=_own_address(site.public_ip, options.seed)) for site in drawn.sites)
    asked = replace(
        drawn, sites=sites, style=style, start=start, time_zone=time_zone, tech=options.driver or drawn.tech
    )
    made = sf.simulation.simulate(asked, options.seed)
    path, count = made.write(options.output), len(made.truth["unreachable_intervals"])
    say(f"{path}: {len(made.lines)} lines, {count} unreachable intervals; truth in {path.with_name('truth.json')}")
    return 0


def _own_address(address: str, seed: int) -> str:
    """Return a site's address among those for documentation: another seed is another customer (RFC 5737, section 3)."""
    network, _, last = address.rpartition(".")
    return f"{network}.{(int(last) - 1 + 6 * seed) % 254 + 1}"


def _diagnosis(logs: str | list[str], options: Namespace) -> Diagnosis:
    """Read and diagnose a log by the options that all commands share."""
    log = sf.read_log(logs, time_zone=options.time_zone)
    with stage("Analysing"):
        return sf.diagnose(log, keepalive_s=options.keepalive)


def _by_ending(file: Path | None, known: dict[str, str]) -> str:
    """Return what a file's ending stands for; an error where that is another kind of document."""
    ending = file.suffix.lower() if file else ""
    if ending not in known and ending in DOCUMENTS | {".log"}:
        step = f"Let the name end in {', '.join(filter(None, known))}."
        raise SettingError(f"{ending} is no kind of file that this command writes.", place=file, next_step=step)
    return known.get(ending, known[""])


def _logs(options: Namespace) -> list[str]:
    """Return the logs that were named, with the router's own behind them."""
    from starface_nb.sources.named import as_router_log

    if not options.router_log:
        return list(options.log)
    if not options.log:
        raise SettingError("--router-log lies beside a log, but none was named.", next_step="Name the log, too.")
    return [*options.log, *map(as_router_log, options.router_log)]


def _note_router(router: str | None, case: Diagnosis) -> None:
    if router and "too_short" not in case.sites["verdict"]:
        note("--router is left out: at no site a timeout is known to be too short.")


def _note_kept(kept: Sequence[str]) -> None:
    if kept:
        note(f"Changed since it was written, and kept: {', '.join(kept)}")


def _needs_action(case: Diagnosis) -> int:
    return int(any(finding.severity == "action" for finding in case.findings))
