from pulpo.services import sample
from pulpo.settings import Settings


def test_sample_data_is_due_once_for_each_database(tmp_path):
    """Due with a seed.py and a new database, not again, and again when the database has been deleted."""
    settings = Settings.model_validate({"database": {"url": "sqlite:///data/shop.db"}})
    assert not sample.is_due(tmp_path, settings)
    (tmp_path / "seed.py").touch()
    assert sample.is_due(tmp_path, settings)
    sample.done(tmp_path, settings)
    (tmp_path / "data" / "shop.db").touch()
    assert not sample.is_due(tmp_path, settings)
    (tmp_path / "data" / "shop.db").unlink()
    assert sample.is_due(tmp_path, settings)


def test_another_database_is_marked_in_the_projects_state(tmp_path):
    """Where the database is no file, `.pulpo/` remembers it by its place; another place is another database."""
    settings = Settings.model_validate({"database": {"url": "mongodb://localhost/shop"}})
    (tmp_path / "seed.py").touch()
    sample.done(tmp_path, settings)
    assert not sample.is_due(tmp_path, settings)
    written = Settings.model_validate({"database": {"url": "mongodb://127.0.0.1:27017/shop?appName=x"}})
    assert not sample.is_due(tmp_path, written)
    assert sample.is_due(tmp_path, Settings.model_validate({"database": {"url": "mongodb://localhost/other"}}))
    assert sample.database_file(tmp_path, settings) is None
