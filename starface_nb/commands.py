"""The commands, each a function of its options that returns the exit status; their arguments stand in `cli.toml`."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starface_nb.errors import SettingError
from starface_nb.files import replacing, write
from starface_nb.lab import lab
from starface_nb.progress import stage
from starface_nb.text import moment, visible

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Diagnosis

__all__ = ["anonymise", "check", "compare", "events", "fleet", "lab", "report", "run", "simulate"]


def check(options: Namespace) -> int:
    """Say what is wrong, how sure that is and what to set, as text for people or as JSON."""
    from starface_nb.verdict import json_text, summary

    case = _diagnosis(options.log, options)
    sys.stdout.write(json_text(case) if options.json else summary(case))
    return 0 if options.exit_zero else _needs_action(case)


def events(options: Namespace) -> int:
    """Write every event found in a log."""
    from starface_nb.reading import read_log
    from starface_nb.reading.export import write as export

    by_ending = {".csv": "csv", ".parquet": "parquet"}
    chosen = options.format or by_ending.get(options.output and options.output.suffix.lower(), "jsonl")
    if chosen == "parquet" and not options.output and sys.stdout.isatty():
        raise SettingError("parquet is binary.", next_step="Name a file with -o, or choose --format jsonl or csv.")
    log = read_log(options.log, time_zone=options.time_zone)
    if options.output:
        with replacing(options.output) as file:
            export(log.events, file, chosen, options.time_zone)
    else:
        export(log.events, sys.stdout.buffer, chosen, options.time_zone)
    notes = [*log.notes]
    if log.unparsed.height:
        notes.append(f"{log.unparsed.height} lines look like events but are none or cannot be read.")
    for note in notes:
        print(f"starface-nb: {visible(note)}", file=sys.stderr)
    return 0


def report(options: Namespace) -> int:
    """Write the customer's report as a page, a PDF, or both."""
    from starface_nb.guide.routers import find_product
    from starface_nb.report import render, to_pdf

    router = find_product(options.router) if options.router else None  # a wrong name is said before the work
    case = _diagnosis(options.log, options)
    with stage("Writing the report"):
        page = render(case, language=options.language, router=router, mask=options.mask, created=datetime.now(UTC))
        made = {}
        if options.output.suffix.lower() != ".pdf":
            made[options.output] = page.encode()
        if options.pdf or not made:
            made[options.output.with_suffix(".pdf")] = to_pdf(page)
    for path, content in made.items():
        write(path, content)
    print(f"Report written: {', '.join(map(str, made))}", file=sys.stderr)
    return _needs_action(case)


def run(options: Namespace) -> int:
    """Execute the notebooks on a log, with the report beside them; 2 where a notebook failed."""
    from starface_nb.cases import copy_notebooks, open_case
    from starface_nb.cases.copies import curated
    from starface_nb.cases.runner import run_notebooks
    from starface_nb.report import render, to_pdf

    chosen = options.notebooks.split(",") if options.notebooks else None
    curated(chosen)  # a wrong name is said before the log is read
    case = open_case(
        options.log,
        folder=options.output,
        time_zone=options.time_zone,
        keepalive_s=options.keepalive,
        language=options.language,
    )
    for note in case.notes:
        print(note, file=sys.stderr)
    executed = run_notebooks(copy_notebooks(options.output, chosen=chosen, replace=True))
    for one in executed:
        ending = f"failed in code cell {one.cell}: {one.error}" if one.error else f"done in {one.seconds:.1f} s"
        print(f"{one.path.name}: {ending}", file=sys.stderr if one.error else sys.stdout)
    answers = case.answers.all()
    page = render(
        case.diagnosis, language=case.language, customer=case.name, answers=answers, created=datetime.now(UTC)
    )
    write(options.output / "report.html", page.encode())
    write(options.output / "report.pdf", to_pdf(page))
    print(f"report: {options.output / 'report.html'}")
    return 2 if any(one.error for one in executed) else _needs_action(case.diagnosis)


def compare(options: Namespace) -> int:
    """Say whether a change fixed it: two logs, or one log cut at a time; 0 where nothing needs action any more."""
    from starface_nb import analysis
    from starface_nb.guide.comparison import comparison_text
    from starface_nb.guide.i18n import translator

    if len(options.log) > 2:
        raise SettingError(
            "compare takes one log or two.", next_step="Give several files of one side as a folder or a glob in quotes."
        )
    if options.at and len(options.log) == 2:
        raise SettingError("--at cuts one log, but two were given.", next_step="Leave out --at or the second log.")
    at = moment(options.at, options.time_zone) if options.at else None
    first, *second = (_diagnosis(log, options) for log in options.log)
    after = options.keepalive_after
    result = (
        analysis.compare(first, second[0], keepalive_after_s=after)
        if second
        else analysis.compare_at(first, at, keepalive_after_s=after)
    )
    if options.json:
        print(json.dumps(result.to_json(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(map(visible, comparison_text(result, translator(options.language, result.time_zone)))))
    return int(not result.settled)


def anonymise(options: Namespace) -> int:
    """Write the same log without personal data, and say what was left out."""
    from starface_nb import privacy

    done = privacy.anonymise(
        options.log,
        options.output,
        key=privacy.load_key(options.key) if options.key else None,
        shift_weeks=options.shift_weeks,
        time_zone=options.time_zone,
    )
    print(f"{done.path}: {done.kept:,} of {done.lines:,} lines, rewritten")
    print(f"replaced: {done.names:,} names and numbers, {done.addresses:,} addresses")
    print(f"left out: {done.left_out:,} lines that are not understood")
    if done.refused:
        print(f"left out: {done.refused:,} lines that could not be rewritten with certainty")
    if options.key:
        print(f"key: {options.key}; keep it secret, whoever has it can tell who is who")
    return 0


def simulate(options: Namespace) -> int:
    """Write a log with known truth."""
    from starface_nb import simulation
    from starface_nb.reading.clock import zone

    wish = simulation.Wish(options.phones, options.hours, options.timeout, options.renewal)
    drawn = simulation.make(options.family, options.seed, wish)
    time_zone = zone(options.time_zone or drawn.time_zone).key
    style = drawn.style
    asked = replace(
        drawn,
        style=replace(
            style,
            date_format=options.date_format or style.date_format,
            noise=style.noise if options.noise is None else options.noise,
        ),
        start=moment(options.start, time_zone) if options.start else drawn.start,
        time_zone=time_zone,
        tech=options.driver or drawn.tech,
    )
    made = simulation.simulate(asked, options.seed)
    path = made.write(options.output)
    count = len(made.truth["unreachable_intervals"])
    print(f"{path}: {len(made.lines)} lines, {count} unreachable intervals; truth in {path.parent / 'truth.json'}")
    return 0


def fleet(options: Namespace) -> int:
    """Rank many customers' logs by who needs help first; 1 where somebody does or a log could not be read."""
    from starface_nb.fleet import as_text, fleet_html, run_fleet
    from starface_nb.settings import Settings

    summary = run_fleet(
        options.source,
        options.output,
        settings=Settings(keepalive_s=options.keepalive),
        time_zone=options.time_zone,
        workers=options.workers,
        scheduler=options.scheduler,
    )
    page = options.output / "fleet.html"
    write(page, fleet_html(summary, options.language, options.time_zone).encode())
    print(as_text(summary, options.language, options.time_zone))
    print(page)
    return int((summary["verdict"] == "too_short").any() or (summary["state"] == "failed").any())


def _diagnosis(logs: str | list[str], options: Namespace) -> Diagnosis:
    """Read and diagnose a log by the options that all commands share."""
    from starface_nb.analysis import diagnose
    from starface_nb.reading import read_log

    log = read_log(logs, time_zone=options.time_zone)
    with stage("Analysing"):
        return diagnose(log, keepalive_s=options.keepalive)


def _needs_action(case: Diagnosis) -> int:
    return int(any(finding.severity == "action" for finding in case.findings))
