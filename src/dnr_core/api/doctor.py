"""Room: api. The call behind `dnr doctor`: it works where settings and plugins do not."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import validators

from dnr_core.api.context import open_context
from dnr_core.config.settings import Settings
from dnr_core.doctor import Diagnosis, Finding, examine
from dnr_core.errors import DnrError
from dnr_core.plugins import load_plugins


def diagnose(
    config: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    without: Sequence[str] = (),
) -> Diagnosis:
    """Say what is installed, what works here, and what to do about what does not.

    Settings that cannot be read are a finding, and the rest is looked at with the defaults.
    A key is never shown, only whether there is one.

    Args:
        config: a settings file; None reads `dnr.yaml` in the working folder where there is one.
        environ: variables to read; None means those of the process.
        without: plugins to leave out.

    Raises:
        ConfigError: `without` names a plugin that is not installed.
    """
    environ = dict(os.environ if environ is None else environ)
    catalogue = load_plugins(without=without)
    # Without time-zone data not even the defaults are valid, which is to be told, not raised.
    with validators.disabled():
        settings = Settings()
    try:
        context = open_context(config, environ=environ, without=without)
        settings, catalogue = context.settings, context.catalogue
        changed = sum(o.layer != "default" for o in context.effective.origins.values())
        source = context.effective.file or "defaults, there is no settings file"
        told = f"{source}; {changed} set" if changed else str(source)
        finding = Finding("settings", "settings", "works", told)
    except (DnrError, ValueError) as error:
        hint = getattr(error, "hint", "")
        finding = Finding("settings", "settings", "broken", str(error), hint)
    return Diagnosis((finding, *examine(catalogue, settings, environ)))
