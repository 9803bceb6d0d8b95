import pytest

from evenkeel.config.insertion import NotInsertable, with_number

COMMENT = "why"


def put(text: str) -> str:
    return with_number(text, "terminal", "real_login", 7, COMMENT)


def test_the_line_comes_under_its_table_and_every_comment_stays() -> None:
    text = '# mine\n[terminal]   # the broker\nkind = "mt5"  # real_login = 3\n\n[entry] # [terminal]\nstop_pips = 5.0'
    head, kind, *rest = put(text).split("[terminal]   # the broker\n")[1].split("\n")
    assert (head.split(), kind) == (["real_login", "=", "7", "#", "why"], 'kind = "mt5"  # real_login = 3')
    assert put(text).replace(head + "\n", "") == text
    assert rest[-1] == "stop_pips = 5.0"


@pytest.mark.parametrize("text", ["", "a = 1", "a = 1\n[entry]\n"], ids=["empty", "no end of line", "another table"])
def test_without_the_table_it_is_added_at_the_end(text: str) -> None:
    assert put(text).startswith(text)
    assert put(text).rstrip().endswith("# why")


def test_a_number_that_stands_there_is_replaced_with_its_comment_kept() -> None:
    assert put("[terminal]\nreal_login=3 # old\nlogin = 3\n") == "[terminal]\nreal_login=7 # old\nlogin = 3\n"
    assert put("terminal.login = 3\nterminal.real_login = 3\n") == "terminal.login = 3\nterminal.real_login = 7\n"


def test_lines_end_as_those_of_the_file_do() -> None:
    assert put("[terminal]\r\nlogin = 3\r\n").count("\r\n") == put("[terminal]\r\nlogin = 3\r\n").count("\n") == 3


def test_a_table_in_several_lines_of_text_is_not_mistaken_for_the_table() -> None:
    text = 'play = """\n[terminal]\n"""\n[terminal]\nlogin = 3\n'
    assert put(text).startswith('play = """\n[terminal]\n"""\n[terminal]\nreal_login = 7')


@pytest.mark.parametrize("text", ["terminal = {login = 3}\n", "terminal.login = 3\n", '[terminal]\nreal_login = "3"\n'])
def test_a_form_that_is_not_understood_is_left_to_a_person(text: str) -> None:
    with pytest.raises(NotInsertable, match="by hand"):
        put(text)
