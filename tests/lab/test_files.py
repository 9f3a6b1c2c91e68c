from lab.files import displayable, displayable_names


def test_a_name_is_shown_on_one_line():
    assert displayable("new\nline \x1b[31m caf\udce9 \u202e") == "new\ufffdline \ufffd[31m caf\ufffd \ufffd"
    assert displayable("日本 👩\u200d🎨 naïve") == "日本 👩\u200d🎨 naïve"


def test_names_that_would_look_the_same_stay_different():
    assert displayable_names(["a\n", "b"]) == ["a\ufffd", "b"]
    assert displayable_names(["a\n", "a\t", "caf\udce9"]) == ["a\\x0a", "a\\x09", "caf\\xe9"]
