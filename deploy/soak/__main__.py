"""``make soak``: of the whole pipeline; that of the store is ``python -m deploy.soak.store``."""

from __future__ import annotations

import typer

from deploy.soak.pipeline import main

typer.run(main)
