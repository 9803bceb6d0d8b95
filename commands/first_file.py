"""The first configuration of an account, as commented TOML: only what the person answered, each line with its words."""

from collections.abc import Mapping

import msgspec

from evenkeel.commands.strategy_flag import KINDS
from evenkeel.config.schema import StrategyConfig
from evenkeel.config.written import comments, toml_key, toml_value

STRATEGY = "trend"
"""What the strategy is called; whatever its kind, a name of the user's own."""
_HEAD = """\
# A configuration of evenkeel. Here stands only what is yours; every setting with its value and origin:
#   evenkeel config show --origin --config THIS_FILE
# No password, token or key belongs in here: a setting names the file that holds one.
"""
_TABLES: Mapping[str, str] = {
    "": "Which limits hold: personal, prop (funded accounts, tighter) or demo (no limits on count and hours).",
    "account": "State folder, lock and journal are named after it.",
    "trading": "Even when this is true nothing is opened before you say: evenkeel start",
    "terminal": "The process that owns the terminal. No real account is traded: that takes a setting that only you may write.",
    f"strategy.{STRATEGY}": "What trades. evenkeel strategy --help and CONTRIBUTING.md: one of your own.",
}


class Answers(msgspec.Struct):
    """What the person wants. Of an "mt5" terminal `path`, `login` and `server` say which; a "simulated" one has a
    `start_balance`."""

    terminal: str = "simulated"
    account: str = "simulated"
    profile: str = "personal"
    start_balance: float = 10_000.0
    path: str = ""
    login: int = 0
    server: str = ""
    symbols: tuple[str, ...] = ("EURUSD",)
    strategy: str = "ma_cross"


def settings_of(answers: Answers) -> dict[str, dict[str, object]]:
    """By table; the name of the empty one is "". Trading is on where nothing is at stake, and no real account is named."""
    is_simulated = answers.terminal == "simulated"
    money = {"start_balance": answers.start_balance}
    which = {"path": answers.path, "login": answers.login, "server": answers.server}
    kind = KINDS[answers.strategy]
    shared = StrategyConfig.__struct_fields__
    own = {field.name: field.default for field in msgspec.structs.fields(kind) if field.name not in shared}
    return {
        "": {"profile": answers.profile},
        "account": {"name": answers.account, **(money if is_simulated else {})},
        "trading": {"enabled": is_simulated},
        "terminal": {"kind": answers.terminal, **({} if is_simulated else which)},
        f"strategy.{STRATEGY}": {"kind": answers.strategy, "symbols": list(answers.symbols), "timeframe": "M1", **own},
    }


def first_file(answers: Answers) -> str:
    """The text of the file."""
    words = comments()
    text = [_HEAD]
    for table, settings in settings_of(answers).items():
        at = ("strategy", answers.strategy) if table.startswith("strategy.") else (table,) if table else ()
        text += [f"# {_TABLES[table]}", *([f"[{table}]"] if table else [])]
        for key, value in settings.items():
            line = f"{toml_key(key)} = {toml_value(value)}"
            said = words.get((*at, key), "")
            text.append(f"{line:38} # {said}" if said else line)
        text.append("")
    return "\n".join(text)
