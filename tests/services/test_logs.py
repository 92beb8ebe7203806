from pulpo.services.logs import Follow, last_lines


def test_the_last_lines_are_the_last(tmp_path):
    """As many as wanted, of those there are; none of a file that is not there."""
    file = tmp_path / "api.log"
    assert last_lines(file, 3) == []
    file.write_text("1\n2\n3\n4")
    assert last_lines(file, 3) == ["2", "3", "4"]
    assert last_lines(file, 9) == ["1", "2", "3", "4"]
    assert last_lines(file, 0) == []


def test_only_lines_between_two_places(tmp_path):
    """Those written after a place and before another; all, where the file has become shorter since."""
    file = tmp_path / "api.log"
    file.write_text("old\nnew\nnewer\n")
    assert last_lines(file, 9, since=4) == ["new", "newer"]
    assert last_lines(file, 9, since=4, until=8) == ["new"]
    assert last_lines(file, 9, since=400) == ["old", "new", "newer"]


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path):
    """A broken character does not hide the line."""
    file = tmp_path / "api.log"
    file.write_bytes(b"a\xffb\n")
    assert last_lines(file, 1) == ["a\ufffdb"]


def test_following_gives_whole_lines_from_now_on(tmp_path):
    """What was there is not told again, half a line waits for its end, and a rotated file is read from its start."""
    file, other = tmp_path / "api.log", tmp_path / "ui.log"
    file.write_text("old\n")
    coming = Follow({"api": file, "ui": other})
    lines = coming.lines(pause=0.001)
    with file.open("a") as stream:
        stream.write("one\ntw")
    assert next(lines) == ("api", "one")
    with file.open("a") as stream:
        stream.write("o\n")
    assert next(lines) == ("api", "two")
    other.write_text("first\n")
    assert next(lines) == ("ui", "first")
    file.write_text("anew\n")
    assert next(lines) == ("api", "anew")


def test_following_ends_when_told_to(tmp_path):
    """`until` is asked before each look."""
    file = tmp_path / "api.log"
    file.write_text("")
    answers = iter([False, True])
    assert list(Follow({"api": file}).lines(until=lambda: next(answers), pause=0.001)) == []
