"""``tickerplant doctor``: what keeps the stack from running, and what mends it."""

from __future__ import annotations

import sys

import typer

from deploy.commands.output import Json, print_json
from schemas.settings import load_settings


def doctor(*, json: Json = False) -> None:
    """Examine this machine and the stack; the exit code is 0 if all is well."""
    from deploy.local.doctor import examine

    findings = []
    for finding in examine(load_settings()):
        findings.append(finding)
        if not json:
            sys.stdout.write(
                f"{'ok ' if finding.good else 'BAD'} {finding.check}: {finding.detail}\n"
            )
            if not finding.good:
                sys.stdout.write(f"    help: {finding.hint}\n")
    if json:
        print_json(findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)
