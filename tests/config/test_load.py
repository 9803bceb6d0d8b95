"""What a person meets who writes a configuration: which layer wins, and what is said of each mistake."""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from evenkeel.commands import config_check
from evenkeel.config import schema
from evenkeel.config.limits import PERSONAL, PROP
from evenkeel.config.load import FILE_BYTES_MAX, ConfigInvalid, canonical, identity, load, packaged, recorded
from evenkeel.config.locate import LINE_CHARACTERS_MAX, parse, paths

Write = Callable[[str], Path]
Complaints = Callable[[str], list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text, "utf-8")
        return path

    return written


@pytest.fixture
def complaints(write: Write) -> Complaints:
    """The problems of a text, one line each, without the folder."""

    def said(text: str) -> list[str]:
        with pytest.raises(ConfigInvalid) as caught:
            load(write(text))
        assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
        return [f"{Path(p.file).name}{str(p).removeprefix(p.file)}" for p in caught.value.problems]

    return said


def test_a_file_may_leave_out_everything(write: Write) -> None:
    assert load(write("")) == load(None) == schema.Config(profile="personal", limits=PERSONAL)


def test_a_limit_that_the_file_leaves_out_comes_from_its_profile(write: Write) -> None:
    limits = load(write('profile = "prop"\n[limits]\npositions_max = 2\n[limits.drawdown]\nflatten_pct = 9\n')).limits
    assert (limits.positions_max, limits.day_loss_pct) == (2, 2.0)
    assert (limits.drawdown.flatten_pct, limits.drawdown.close_only_pct) == (9.0, 6.0)


def test_an_override_wins_over_the_file(write: Write) -> None:
    path = write('[account]\nname = "file"\ncurrency = "EUR"\n')
    account = load(path, overrides={"account.name": "override"}).account
    assert (account.name, account.currency) == ("override", "EUR")


def test_the_profile_of_an_override_brings_its_limits() -> None:
    assert load(None, overrides={"profile": "prop"}).limits == PROP


def test_an_override_may_be_a_whole_table_so_that_names_with_dots_can_be_given() -> None:
    config = load(None, overrides={"symbols": {"EURUSD.r": {"digits": 5}}, "strategy.x": {"kind": "ma_cross", "fast": 3}})
    assert config.symbols["EURUSD.r"].digits == 5
    assert config.strategy["x"].fast == 3


def test_a_wrong_override_is_placed_on_the_command_line(write: Write) -> None:
    with pytest.raises(ConfigInvalid, match=r"^command line: account.leverage: 0 is not >= 1$"):
        load(write("[account]\nleverage = 100\n"), overrides={"account.leverage": 0})


def test_a_byte_order_mark_and_the_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b'\xef\xbb\xbfprofile = "plain"\r\n[entry]\r\nvolume_lots = 0.1\r\nstop_pips = 0\r\n')
    with pytest.raises(ConfigInvalid, match=r"windows.toml:4: entry.stop_pips: 0 is not > 0"):
        load(path)


@pytest.mark.parametrize(
    "line, complaint",
    [
        ("limits.day_loss_pct = 300", "limits.day_loss_pct: 300 is not <= 100"),
        ("limits.positions_max = 1.5", "limits.positions_max: 1.5 is not a whole number or 'off'"),
        ("limits.day_loss_pct = 'of'", "limits.day_loss_pct: 'of' is not a number or 'off'"),
        ("entry.volume_lots = 'ten'", "entry.volume_lots: 'ten' is not a number"),
        ("entry.stop_pips = true", "entry.stop_pips: true is not a number"),
        ("entry.stop_pips = []", "entry.stop_pips: a list is not a number"),
        ("entry = 3", "entry: 3 is not a table"),
        ("trading.enabled = 1", "trading.enabled: 1 is not true or false"),
        ("account.currency = 'usd'", "account.currency: 'usd' is not text like [A-Z]{3}"),
        ('account.name = "a\\nb"', "account.name: 'a\\nb' is not text like [A-Za-z][A-Za-z0-9_.#-]{0,31}"),
        ("circuit_breaker.atr_ratio = 2.0", "circuit_breaker.atr_ratio: 2.0 is not a list of 1 to 4 numbers or 'off'"),
        ("circuit_breaker.atr_ratio = [3.0, 2.0]", "circuit_breaker.atr_ratio: 3, 2 do not rise"),
        ("circuit_breaker.size_pct = [50]", "circuit_breaker.size_pct: a list is not a list of 2 numbers"),
        (
            "circuit_breaker.correlation_pairs = [['A']]",
            "circuit_breaker.correlation_pairs: item 1: a list is not a list of 2 names",
        ),
        ("strategy.ma = { kind = 'ma_cross', symbols = 7 }", "strategy.ma.symbols: 7 is not a list"),
        ("strategy.ma = { kind = 'ma_cross', symbols = ['EURUSD', 7] }", "strategy.ma.symbols: item 2: 7 is not text"),
        ("trading_calendar.day_boundary = 17:00:00", "trading_calendar.day_boundary: 17:00:00 is not text like"),
        (
            "strategy.x = {fast = 3}",
            "strategy.x: kind is missing or unknown; it is 'ma_cross' or 'rsi' or 'breakout' or 'python'",
        ),
        ("strategy.x = {kind = 'python', object = 'no dots'}", "strategy.x.object: 'no dots' is not text like"),
        (
            "strategy.x = {kind = 'other'}",
            "strategy.x: kind is missing or unknown; it is 'ma_cross' or 'rsi' or 'breakout' or 'python'",
        ),
        ("strategy.'a b' = {kind = 'ma_cross'}", "strategy.'a b': 'a b' is not text like"),
        ("symbols = 'EURUSD'", "symbols: 'EURUSD' is not a table"),
        ("accont.name = 'x'", "accont: is unknown; did you mean 'account'?"),
        ("account.leverag = 1", "account.leverag: is unknown; did you mean 'leverage'?"),
        ("zzz = 1", "zzz: is unknown"),
    ],
)
def test_a_wrong_key_is_named_with_its_line_and_value(complaints: Complaints, line: str, complaint: str) -> None:
    (said,) = complaints(f"# first\n{line}\n")
    assert said.startswith(f"mine.toml:2: {complaint}")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "0x" + "f" * 900])
def test_what_is_not_a_finite_number_is_refused(complaints: Complaints, number: str) -> None:
    assert complaints(f"[exit]\nemergency_r = {number}\n") == [
        "mine.toml:2: exit.emergency_r: is not a finite number within 64 bits"
    ]


def test_every_key_of_the_schema_can_be_complained_about() -> None:
    everything = tomllib.loads(re.sub(r"(?m)^#(?=[a-z\[])", "", packaged("default.toml").read_text("utf-8")))
    leaves = [path for path in paths(everything) if path[-1] != "kind" and not isinstance(_at(everything, path), dict)]
    kinds = {f"strategy.{name}.kind": table["kind"] for name, table in everything["strategy"].items()}
    keys = [".".join(path) for path in leaves]
    with pytest.raises(ConfigInvalid) as caught:
        load(None, overrides={**kinds, **dict.fromkeys(keys, math.nan)})
    assert sorted(problem.key for problem in caught.value.problems) == sorted(keys)


def _at(table: object, path: tuple[str, ...]) -> object:
    for key in path:
        assert isinstance(table, dict)
        table = table[key]
    return table


@pytest.mark.parametrize("key", ["password", "api_key", "key", "bot-token", "client_secret", "smtpPassword"])
def test_a_secret_is_refused_and_not_repeated(complaints: Complaints, key: str) -> None:
    text = f"[account]\n{key} = 'hunter2'\n[telegram]\nchats = [{{{key} = 'hunter2'}}]\n"
    why = "looks like a secret: a configuration holds names of secrets, never secrets"
    assert complaints(text) == [
        f"mine.toml:2: account.{key}: {why}",
        "mine.toml:3: telegram: is unknown",
        f"mine.toml:4: telegram.chats.{key}: {why}",
    ]


@pytest.mark.parametrize("value", ["hunter2-Hunter2", "0123456789abcdef0123456789abcdef", "https://hooks/hunter2", "hunter2 "])
def test_a_secret_in_the_place_of_its_name_is_refused_and_not_repeated(complaints: Complaints, value: str) -> None:
    assert complaints(f"[webhooks]\ntoken = '{value}'\n") == [
        "mine.toml:2: webhooks.token: is not a secret's name (small letters, digits, _): "
        "a configuration holds names of secrets, never secrets"
    ]


def test_webhooks_may_name_the_strategies_that_there_are(complaints: Complaints) -> None:
    strategy = "[strategy.trend]\nkind = 'ma_cross'\nsymbols = ['EURUSD']\n"
    assert complaints(f"{strategy}[webhooks]\nstrategies = ['trend', 'tredn']\n") == [
        "mine.toml:5: webhooks.strategies: 'tredn' is no strategy here; did you mean 'trend'?"
    ]


def test_a_symbol_may_be_called_what_it_likes(write: Write) -> None:
    assert load(write("[symbols.KEY]\ndigits = 2\n")).symbols["KEY"].digits == 2


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("[strategy.x]\nkind = 'ma_cross'\nfast = 20\n", "3: strategy.x.fast: 20 is not < slow, which is 20"),
        ("[strategy.x]\nkind = 'python'\n", "2: strategy.x.object: is missing: the dotted name of a class"),
        ("[strategy.x]\nkind = 'rsi'\nlow = 80\n", "3: strategy.x.low: 80 is not < high, which is 70"),
        ("[strategy.x]\nkind = 'ma_cross'\nslow = 5\n", "3: strategy.x.fast: 10 is not < slow, which is 5"),
        ("profile = 'plain'\n\n[entry]\n", "1: entry.volume_lots: nothing decides the volume"),
        ("[limits]\nrisk_per_trade_pct = 'off'\n", "2: entry.volume_lots: nothing decides the volume"),
        ("[limits]\nday_loss_soft_pct = 4\n", "2: limits.day_loss_soft_pct: 4 is not <= day_loss_pct, which is 3"),
        ("[limits.drawdown]\nhalve_pct = 12\n", "2: limits.drawdown.halve_pct: 12 is not < close_only_pct, which is 12"),
        (
            "[limits.drawdown]\nhalve_pct = 'off'\nreduce_pct = 13\n",
            "3: limits.drawdown.reduce_pct: 13 is not < close_only_pct",
        ),
        ("[limits.drawdown]\nhalve_to_ratio = 0.8\n", "2: limits.drawdown.halve_to_ratio: 0.8 is not <= reduce_to_ratio"),
        (
            "[limits.margin_level]\nhold_pct = 250\n",
            "2: limits.margin_level.hold_pct: 250 is not < warn_pct, which is 200",
        ),
        (
            "[limits.consecutive_losses]\nreduce_after = 5\n",
            "2: limits.consecutive_losses.reduce_after: 5 is not <= hold_after, which is 4",
        ),
        ("[limits.rejects]\nhold_minutes = 90\n", "2: limits.rejects.hold_minutes: 90 is not <= hold_minutes_max, which is 60"),
        ("[exit]\nretry_min_s = 60\n", "2: exit.retry_min_s: 60 is not <= retry_max_s, which is 30"),
        ("[symbols.XAUUSD]\nvolume_min_lots = 200\n", "2: symbols.XAUUSD.volume_min_lots: 200 is not <= volume_max_lots"),
        ("[trading_calendar]\nzone = 'Europe/Londn'\n", "2: trading_calendar.zone: 'Europe/Londn' is not a time zone; did you"),
        ("[trading_calendar]\nzone = '/etc/passwd'\n", "2: trading_calendar.zone: '/etc/passwd' is not a time zone"),
        ("[trading_calendar]\nzone = 'America'\n", "2: trading_calendar.zone: 'America' is not a time zone"),
    ],
)
def test_keys_that_contradict_each_other_are_found(complaints: Complaints, text: str, complaint: str) -> None:
    (said,) = complaints(text)
    assert said.startswith(f"mine.toml:{complaint}")


def test_everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file(complaints: Complaints) -> None:
    text = """
        [account]
        nme = "x"
        leverage = 0
        [limits]
        day_loss_pct = 300
        positions_max = 0
        [strategy.x]
        kind = "ma_cross"
        fast = 30
    """
    assert [said.split(": ")[0:2] for said in complaints(text)] == [
        ["mine.toml:3", "account.nme"],
        ["mine.toml:4", "account.leverage"],
        ["mine.toml:6", "limits.day_loss_pct"],
        ["mine.toml:7", "limits.positions_max"],
        ["mine.toml:10", "strategy.x.fast"],
    ]


def test_a_wrong_key_is_not_compared_with_others(complaints: Complaints) -> None:
    assert len(complaints("profile = 'prpo'\n[limits]\nday_loss_pct = 1.5\n")) == 1
    assert len(complaints("[limits]\nday_loss_soft_pct = 50\nday_loss_pct = 300\n")) == 1


@pytest.mark.parametrize(
    "content, complaint",
    [
        (b"a = 1\nb = \n", "mine.toml:2: is not TOML: Invalid value"),
        (b"[a]\nx = 1\n[a]\n", "mine.toml:3: is not TOML: Cannot declare ('a',) twice"),
        (b"x = [1,\n", "mine.toml: is not TOML: Invalid value"),
        (b"x = " + b"9" * 900, "mine.toml:1: x: is unknown"),
        (b"# \xff\n", "mine.toml:1: is not UTF-8 text"),
        ("profile = 'plain'".encode("utf-16"), "mine.toml:1: is not UTF-8 text"),
        (b"#" * 100 + b"\n" * FILE_BYTES_MAX, "mine.toml: is larger than 256 KiB"),
        (b"\n#" + b"x" * LINE_CHARACTERS_MAX, "mine.toml:2: is longer than 1000 characters"),
        (b"\nx" + b".x" * 400 + b" = 1", "mine.toml:2: is nested deeper than 16 levels"),
        (b"x = " + b"[\n" * 20_000, "mine.toml: is nested deeper than 16 levels"),
    ],
)
def test_a_file_that_cannot_be_understood_gives_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigInvalid) as caught:
        load(path)
    assert str(caught.value).startswith(f"{tmp_path}{os.sep}{complaint}")
    assert len(caught.value.problems) == 1


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"none\.toml: there is no such file$"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigInvalid, match=r": is not a file$"):
        load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigInvalid, match=r": is not a file$"):
        load(tmp_path / "pipe")


def test_keys_are_found_behind_strings_comments_and_brackets() -> None:
    text = "\n".join(
        [
            '# [no] "quotes',
            'a = """',
            "[no]",
            'b = 1 \\""" # still text """"',
            """c = ['[', "]#\\"", # ]""",
            "  { d = 1 }]",
            "[ t . 'u.v' ] # [no]",
            "e.f = '''",
            "[no]'''",
            'g = {h = {i = 1}, j = "}"}',
            "[[k]]",
            "l = 1",
        ]
    )
    _, lines = parse(text)
    assert lines == {
        ("a",): 2,
        ("c",): 5,
        ("c", "d"): 5,
        ("t",): 7,
        ("t", "u.v"): 7,
        ("t", "u.v", "e"): 8,
        ("t", "u.v", "e", "f"): 8,
        ("t", "u.v", "g"): 10,
        ("t", "u.v", "g", "h"): 10,
        ("t", "u.v", "g", "h", "i"): 10,
        ("t", "u.v", "g", "j"): 10,
        ("k",): 11,
        ("k", "l"): 12,
    }
    assert set(lines) == set(paths(tomllib.loads(text)))


def test_the_identity_is_of_what_was_meant_not_of_how_or_where_it_was_written(tmp_path: Path, write: Write) -> None:
    one = load(write("[entry]\nstop_pips = 10\ncooldown_minutes = 0\n[account]\nname = 'x'\n"))
    (tmp_path / "other.toml").write_text("account.name = 'x'\nentry = {cooldown_minutes = 0.0, stop_pips = 10.0}\n")
    two = load(tmp_path / "other.toml")
    assert canonical(one) == canonical(two)
    assert identity(one) == identity(two) != identity(load(None))


def test_the_canonical_form_has_sorted_keys() -> None:
    config = load(None, overrides={"symbols": {"B": {}, "A": {}}})
    assert canonical(config) == json.dumps(json.loads(canonical(config)), sort_keys=True, separators=(",", ":")).encode()


def test_config_check_sums_up_a_valid_file_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert config_check.run(argparse.Namespace(config=None, json=False, account=None, flags=[])) == 0
    out, err = capsys.readouterr()
    assert out.startswith("ok: profile personal, account simulated, trading off, strategies none, identity ")
    assert (out.count("\n"), err) == (1, "")


PYRAMID = '[strategy.trend]\nkind = "ma_cross"\nsymbols = ["EURUSD"]\norders = "pyramid"\n'


def test_config_check_shows_the_arithmetic_of_a_pyramid(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert config_check.run(argparse.Namespace(config=write(PYRAMID), json=False, account=None, flags=[])) == 0
    _, head, _, *levels, total, top = capsys.readouterr().out.splitlines()
    assert head.endswith("7.00 USD net and stopped at 10.00; it pays from 58.8 % of won orders on, before costs")
    assert levels[2].split() == ["2", "4", "28.00", "40.00", "60.00", "24", "%"]
    assert levels[4].split() == ["4", "off", "16", "112.00", "160.00", "240.00", "0.332", "%"]
    assert total == "levels 0 to 2: 7 orders, 49.00 when all win; the chain ends 39.00 down at worst"
    assert top == "winning what is before level 4 earns 105.00, losing that level once costs 160.00"


def test_config_check_says_what_account_a_hedge_takes(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    config_check.run(argparse.Namespace(config=write(PYRAMID), json=False, account=None, flags=[]))
    assert "netting" not in capsys.readouterr().out
    config_check.run(
        argparse.Namespace(config=write(PYRAMID + "\n[shield.hedge]\nenabled = true\n"), json=False, account=None, flags=[])
    )
    assert "on a netting one no order is sent at all" in capsys.readouterr().out


def test_config_check_has_the_arithmetic_in_json_too(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert config_check.run(argparse.Namespace(config=write(PYRAMID), json=True, account=None, flags=[])) == 0
    assert json.loads(capsys.readouterr().out)["pyramids"]["trend"]["target_cents"] == 4900


def test_a_pyramid_whose_levels_do_not_fit_together_is_refused(write: Write) -> None:
    path = write("[profit_booking]\nmultipliers = [2, 4]\nlevels_enabled = [0, 2]\n")
    with pytest.raises(ConfigInvalid) as invalid:
        load(path)
    assert [(problem.line, problem.text) for problem in invalid.value.problems] == [
        (2, "the first is 1: level 0 is the one order of the signal"),
        (3, "level 2 is not one of the 2 of multipliers"),
    ]


def test_config_check_prints_problems_to_stderr_and_exits_with_6(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("[exit]\nemergency_r = 1\nretry_min_s = 0\n")
    assert config_check.run(argparse.Namespace(config=path, json=False, account=None, flags=[])) == 6
    assert capsys.readouterr() == ("", f"{path}:2: exit.emergency_r: 1 is not < 0\n{path}:3: exit.retry_min_s: 0 is not > 0\n")


def test_config_check_answers_in_json(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("[exit]\nemergency_r = 1\n")
    assert config_check.run(argparse.Namespace(config=path, json=True, account=None, flags=[])) == 6
    out, err = capsys.readouterr()
    problem = {"file": str(path), "line": 2, "key": "exit.emergency_r", "text": "1 is not < 0"}
    assert json.loads(out) == {"valid": False, "profile": "", "identity": "", "problems": [problem], "v": 1}
    assert err == ""
    assert config_check.run(argparse.Namespace(config=None, json=True, account=None, flags=[])) == 0
    assert json.loads(capsys.readouterr().out)["identity"] == identity(load(None))


def test_config_check_imports_nothing_heavy() -> None:
    code = "import sys, evenkeel.commands.config_command; print({'rich', 'numpy', 'pykka'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_configuration_that_a_journal_holds_is_read_as_it_was() -> None:
    config = load(None, overrides={"limits.positions_max": 7, "strategy": {"one": {"kind": "ma_cross", "symbols": ["EURUSD"]}}})
    assert recorded(canonical(config).decode()) == config


def test_a_recorded_key_that_is_no_more_is_named() -> None:
    with pytest.raises(ConfigInvalid, match=r"limits\.moon_phase: is unknown"):
        recorded('{"profile":"plain","limits":{"moon_phase":1},"entry":{"volume_lots":0.1}}')


@pytest.mark.parametrize(
    "table, complaint",
    [
        ('[notifier.events]\ntrade_close = "on"', "notifier.events.trade_close: is unknown; did you mean 'trade_closed'?"),
        ('[notifier.events]\ncrash = "loud"', "notifier.events.crash: 'loud' is not 'off' or 'on' or 'silent'"),
        ('[notifier.outlet.a]\nkind = "program"', "notifier.outlet.a.command: is missing: a program and its arguments"),
        ('[notifier.outlet.a]\nshape = "telegram"', "notifier.outlet.a.to: is missing: the number of a chat"),
    ],
)
def test_what_is_wrong_about_a_notifier_is_named(complaints: Complaints, table: str, complaint: str) -> None:
    (said,) = complaints(f"{table}\n")
    assert complaint in said


def test_an_address_in_the_place_of_a_secret_s_name_is_not_repeated(complaints: Complaints) -> None:
    (said,) = complaints('[notifier.outlet.a]\nurl_secret = "https://example.org/hunter2"\n')
    assert "hunter2" not in said


def test_more_outlets_than_allowed_are_refused(complaints: Complaints) -> None:
    (said,) = complaints("".join(f"[notifier.outlet.a{number}]\n" for number in range(9)))
    assert "notifier.outlet: has 9 outlets, 8 are allowed" in said
