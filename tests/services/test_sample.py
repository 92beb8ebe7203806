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
    """Where the database is no file, `.pulpo/seeded` remembers."""
    settings = Settings.model_validate({"database": {"url": "mongodb://localhost/shop"}})
    (tmp_path / "seed.py").touch()
    sample.done(tmp_path, settings)
    assert (tmp_path / ".pulpo" / "seeded").exists()
    assert not sample.is_due(tmp_path, settings)
    assert sample.database_file(tmp_path, settings) is None
