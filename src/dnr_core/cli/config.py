"""Room: cli. `dnr config`: each effective setting and where it came from."""

from __future__ import annotations

from typing import Any

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import plain, show, table


@dnr_command(
    examples="""dnr config
dnr config warehouse
DNR_WAREHOUSE_SCALE=tiny dnr config --json"""
)
@click.argument("prefix", required=False, default="")
@click.option("--changed", is_flag=True, help="Show only what is not at its default.")
@click.pass_obj
def command(options: CallOptions, prefix: str, changed: bool) -> None:
    """Show each setting, its value, and where it came from.

    PREFIX narrows the list ("report.slos"). Settings come from the defaults, the settings file,
    DNR_ variables and flags; the later win. Secrets are never settings: they stay in the
    variable that `classification.env_key_var` names, of which only "set" or "not set" is shown.
    """
    from dnr_core.errors import UnknownNameError
    from dnr_core.suggestions import did_you_mean

    context = options.context()
    effective = context.effective
    entries = [
        (path, _plain(value), str(effective.origins[path]))
        for path, value in sorted(effective.values.items())
        if (not prefix or path == prefix or path.startswith(f"{prefix}."))
        and not (changed and effective.origins[path].layer == "default")
    ]
    if prefix and not entries and not changed:
        raise UnknownNameError(
            f"there is no setting {prefix!r}", hint=did_you_mean(prefix, effective.values)
        )
    variable = context.settings.classification.env_key_var
    key = "set (masked)" if context.environ.get(variable) else "not set"
    text = table(
        ("setting", "value", "from"),
        [(path, _text(value), where) for path, value, where in entries],
    )
    text += f"\n\nkey in {variable}: {key}"
    document = {
        "settings": {path: {"value": value, "from": where} for path, value, where in entries},
        "key": {"variable": variable, "state": key},
    }
    show(document, text, as_json=options.as_json)


def _plain(value: Any) -> Any:
    from dnr_core.config.secrets import mask

    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    shown = plain(value)
    return mask(shown) if isinstance(shown, str) else shown


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(part)}" for key, part in value.items()) or "-"
    return str(value) if value != "" else "-"
