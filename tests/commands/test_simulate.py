import msgspec
import pytest

from evenkeel.cli import main
from evenkeel.commands.simulate.summary import Summary

SMALL = ["simulate", "--account-days", "0.03", "--seeds", "1", "--controls", "1"]


def test_a_small_run_says_what_was_judged_and_ends_well(tmp_path, capsys):
    assert main([*SMALL, "--json", str(tmp_path / "out.json")]) == 0
    told = capsys.readouterr().out
    assert "every promise was kept" in told
    assert "1 of 1 worlds opened positions twice" in told
    summary = msgspec.json.decode((tmp_path / "out.json").read_bytes(), type=Summary)
    assert summary.is_good
    assert summary.worlds == 1
    assert summary.account_days == 0.03


def test_an_interrupted_run_goes_on_where_it_ended(tmp_path, capsys):
    kept = tmp_path / "worlds"
    main([*SMALL, "--resume", str(kept)])
    before = kept.read_bytes()
    kept.write_bytes(before[: before.index(b"\n") + 1] + b'{"build": "half a li')
    assert main([*SMALL, "--resume", str(kept)]) == 0
    assert [line[:10] for line in kept.read_bytes().splitlines()] == [before[:10]] * 2


def test_a_file_that_no_run_wrote_is_refused_with_its_line(tmp_path, capsys):
    kept = tmp_path / "worlds"
    kept.write_text("something else\n")
    assert main([*SMALL, "--resume", str(kept)]) == 2
    assert f"{kept}, line 1" in capsys.readouterr().err
    assert kept.read_text() == "something else\n"


@pytest.mark.parametrize(
    "flags",
    [["--account-days", "0"], ["--seeds", "0"], ["--jobs", "many"], ["--first-seed", "-1"], ["--quote-every-s", "nan"]],
)
def test_a_number_out_of_its_bounds_is_refused(flags, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *flags])
    assert ended.value.code == 2
    assert flags[0] in capsys.readouterr().err
