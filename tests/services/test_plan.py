"""From settings to what is started."""

import pytest
from pydantic import ValidationError

from pulpo.errors import PulpoError
from pulpo.runtime.prefect.place import place
from pulpo.services.plan import is_loopback, services
from pulpo.services.prefect import environment
from pulpo.settings import Settings


def planned(python="/usr/bin/python", **sections):
    return services(Settings.model_validate(sections), python=python)


def test_the_projects_services_come_first_then_pulpos():
    """Order: the project's services as written, the API, the page, the workers."""
    plans = planned(
        services={"mailer": {"command": "mailer"}, "gateway": {"command": "gateway", "port": 8700}},
        engine={"workers": 2},
    )
    assert [plan.name for plan in plans] == ["mailer", "gateway", "api", "ui", "worker-1", "worker-2"]
    assert [plan.own for plan in plans] == [False, False, True, True, True, True]


def test_ports_and_health_follow_the_settings():
    """Each service knows its URL, what to ask for its health, and the setting that moves it."""
    gateway, api, ui = planned(
        services={"gateway": {"command": "g", "port": 8700, "health": "/up"}}, api={"port": 8101}, ui={"port": 3101}
    )
    assert (gateway.health, gateway.setting) == ("http://127.0.0.1:8700/up", "PULPO_SERVICES_GATEWAY_PORT")
    assert (api.url, api.health) == ("http://127.0.0.1:8101", "http://127.0.0.1:8101/readyz")
    assert api.setting == "PULPO_API_PORT"
    assert (ui.url, ui.setting) == ("http://127.0.0.1:3101", "PULPO_UI_PORT")
    assert ui.command[-2:] == ("--api", "http://127.0.0.1:8101")


def test_further_processes_of_the_api_share_its_port():
    """`[api] processes = 3`: three processes, one address; alone, a process keeps its port to itself."""
    first, second, third = planned(api={"processes": 3, "port": 8101}, ui={"enabled": False})
    assert [first.name, second.name, third.name] == ["api", "api-2", "api-3"]
    assert first.command == second.command == third.command
    assert first.command[-1] == "--share-port"
    assert (first.url, second.url, third.url) == ("http://127.0.0.1:8101", None, None)
    assert "--share-port" not in planned()[0].command
    with pytest.raises(PulpoError, match="one of Pulpo's own"):
        planned(services={"api-2": {"command": "mine"}})


def test_a_command_is_split_once_and_then_filled_in():
    """`{python}` and `{port}` are filled in after splitting: a path with spaces stays one word."""
    plan = planned(
        python="/my tools/python",
        services={"gateway": {"command": "{python} -m gateway --port={port} --title 'two words'", "port": 8700}},
    )[0]
    assert plan.command == ("/my tools/python", "-m", "gateway", "--port=8700", "--title", "two words")


def test_a_page_that_is_not_wanted_is_not_planned():
    """`[ui] enabled = false` leaves the page out."""
    assert [plan.name for plan in planned(ui={"enabled": False})] == ["api"]


def test_two_services_on_one_port_are_refused():
    """PULPO105 names both and the settings that part them."""
    with pytest.raises(PulpoError, match="api and ui would all listen on port 8000") as refused:
        planned(ui={"port": 8000})
    assert refused.value.code == "PULPO105"
    assert "PULPO_API_PORT" in refused.value.hint


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "example.com"])
def test_listening_beyond_loopback_is_refused_in_development(host):
    """PULPO705: nobody signs in, so nobody else may ask."""
    with pytest.raises(PulpoError) as refused:
        planned(api={"host": host})
    assert refused.value.code == "PULPO705"


def test_production_is_refused_before_anything_starts():
    """PULPO705: nobody could sign in, so it would be open to whoever reaches it."""
    with pytest.raises(PulpoError, match="authentication") as refused:
        planned(project={"mode": "production"}, api={"host": "0.0.0.0"})
    assert refused.value.code == "PULPO705"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_is_this_machine(host):
    """All of 127.0.0.0/8, ::1 and localhost."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    ("name", "command", "reason"),
    [
        ("api", "x", "one of Pulpo's own"),
        ("worker-1", "x", "one of Pulpo's own"),
        ("a b", "x", "letters, digits"),
        ("a:b", "x", "letters, digits"),
        ("mailer", "  ", "empty"),
        ("mailer", "say 'hello", "cannot be read"),
        ("mailer", "serve --port {port}", "no port is set"),
        ("mailer", "say 'one\ntwo'", "one line"),
    ],
)
def test_a_service_that_cannot_be_run_is_refused(name, command, reason):
    """PULPO105 names the service and says why."""
    with pytest.raises(PulpoError, match=reason) as refused:
        planned(services={name: {"command": command}})
    assert refused.value.code == "PULPO105"
    assert f"services.{name}" in refused.value.detail


def test_a_project_keeps_its_prefect_server():
    """With a worker, which carries runs out; the secret is in no command."""
    plans = {plan.name: plan for plan in planned(engine={"kind": "prefect"}, prefect={"port": 4321})}
    assert {"prefect", "worker-1"} <= plans.keys()
    assert plans["prefect"].url == "http://127.0.0.1:4321"
    assert plans["prefect"].env == {}


def test_one_flow_alone_may_need_prefect():
    """A project is embedded, and one of its flows is not."""
    assert "prefect" in {plan.name for plan in planned(engine={"flows": {"orders": "prefect"}})}


def test_another_prefect_server_is_not_started():
    """`prefect.url` names one that others keep."""
    plans = planned(engine={"kind": "prefect"}, prefect={"url": "http://prefect.test/api"})
    assert "prefect" not in {plan.name for plan in plans}


@pytest.mark.parametrize(
    ("redis", "url", "parts"),
    [
        ("127.0.0.1:6390/2", "redis://127.0.0.1:6390/2", {"HOST": "127.0.0.1", "PORT": "6390", "DB": "2"}),
        (
            "rediss://ada:p%40ss@cache.test",
            "rediss://ada:p%40ss@cache.test",
            {
                "HOST": "cache.test", "PORT": "6379", "DB": "0",
                "USERNAME": "ada", "PASSWORD": "p@ss", "SSL": "true",
            },
        ),
    ],
)  # fmt: skip
def test_messages_between_prefect_servers_go_over_redis(tmp_path, redis, url, parts):
    """An address, a number, a user and TLS reach each part of Prefect that needs them."""
    settings = Settings.model_validate({"prefect": {"redis": redis}})
    found = environment(settings, tmp_path, place(settings, tmp_path))
    prefix = "PREFECT_REDIS_MESSAGING_"
    assert {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)} == parts
    assert found["PREFECT_SERVER_DOCKET_URL"] == url


@pytest.mark.parametrize(
    "url",
    [
        "prefect.test/api",
        "ftp://prefect.test/api",
        "https://:4200/api",
        "http://a:door/api",
        "https://a b/api",
        "https://ada:secret@prefect.test/api",
        "https://prefect.test/api?x=1",
    ],
)
def test_an_address_that_is_none_of_an_api_is_refused(url):
    """A slip in `prefect.url` is told when the settings are read, not by a worker that waits for a server."""
    with pytest.raises(ValidationError, match="not the address of an API"):
        Settings.model_validate({"prefect": {"url": url}})


@pytest.mark.parametrize("redis", ["http://cache.test", "cache.test:door/0"])
def test_an_address_that_is_none_of_redis_is_refused(redis):
    """When settings are read, not when the server starts."""
    with pytest.raises(ValidationError, match="redis://user"):
        Settings.model_validate({"prefect": {"redis": redis}})
