"""Slow, large and broken requests, against the real process: clear answers, nothing that grows, nobody else held up."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .raw import HOST, JSON, Spoken, Talk, post

PRODUCT = b'{"sku":"%b","name":"a","price":1}'
LIVEZ = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
TO_PRODUCTS = b"POST /products HTTP/1.1\r\n" + HOST + JSON


@pytest.fixture(scope="module")
def spoken(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spoken]:
    """The shop, with little patience."""
    patience = {"header_timeout": 1, "body_timeout": 1, "idle_timeout": 2, "send_timeout": 1}
    with Spoken(shop, tmp_path_factory.mktemp("spoken"), **patience) as server:
        yield server


MALFORMED = {
    "length and chunks": TO_PRODUCTS + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": TO_PRODUCTS + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": TO_PRODUCTS + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "the same length twice": TO_PRODUCTS + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": TO_PRODUCTS + b"Content-Length: 5, 5\r\n\r\nhello",
    "a length with a sign": TO_PRODUCTS + b"Content-Length: +5\r\n\r\nhello",
    "a coding that is not chunked": TO_PRODUCTS + b"Transfer-Encoding: identity\r\n\r\nhello",
    "chunked, but not last": TO_PRODUCTS + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": TO_PRODUCTS + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding before chunked": TO_PRODUCTS + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a chunk without a size": TO_PRODUCTS + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "two hosts": b"GET /livez HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n",
    "a space before the colon": b"GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "a folded header": b"GET /livez HTTP/1.1\r\n" + HOST + b"X-A: b\r\n c\r\n\r\n",
    "bare line feeds": b"GET /livez HTTP/1.1\nHost: localhost\n\n",
    "a bare carriage return": b"GET /livez HTTP/1.1\r\n" + HOST + b"A: b\rC: d\r\n\r\n",
    "a null byte in a header": b"GET /livez HTTP/1.1\r\n" + HOST + b"A: b\0\r\n\r\n",
    "a null byte in the address": b"GET /products/\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a byte that is no ASCII in the address": b"GET /products/\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method that is none": b"FROB /livez HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT evil.example:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "chunks in HTTP/1.0": TO_PRODUCTS.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a version that is none": b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_request_is_refused_and_the_connection_closed(spoken: Spoken, name: str) -> None:
    """400 with a problem: nobody in between can have understood it otherwise than we do."""
    with spoken.talk() as talk:
        answer = talk.say(MALFORMED[name]).heard()
        assert (answer.status, answer.code) == (400, "PULPO613")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["connection"] == "close"
        assert json.loads(answer.body)["request_id"] == answer.headers["x-request-id"].upper()
        assert talk.closed()


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 2**20, 431, "PULPO614"),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 100_000, 431, "PULPO614"),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 101 + b"\r\n", 431, "PULPO614"),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 33_000 + b"\r\n\r\n", 431, "PULPO614"),
        (b"GET /products?name=" + b"a" * 2**20, 414, "PULPO615"),
        (b"GET /products?name=" + b"a" * 33_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "PULPO615"),
        (LIVEZ + b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 2**20, 431, "PULPO614"),
    ],
)
def test_a_head_that_is_too_long_is_refused(spoken: Spoken, head: bytes, status: int, code: str) -> None:
    """At the limit, though the rest of it never comes; what was asked before it is answered before it."""
    with spoken.talk() as talk:
        talk.say(head)
        if head.startswith(LIVEZ):
            assert talk.heard().status == 200
        answer = talk.hear()
        # behind another request there may be no answer, but never another one, and the connection is closed
        assert head.startswith(LIVEZ) if answer is None else (answer.status, answer.code) == (status, code)
        assert talk.closed()


def test_a_head_within_the_limit_is_served(spoken: Spoken) -> None:
    """A hundred headers, 30,000 bytes."""
    assert spoken.get("/livez", b"X: " + b"a" * 29_000 + b"\r\n" + b"Y: b\r\n" * 98).status == 200


def test_a_head_that_trickles_is_given_up(spoken: Spoken) -> None:
    """408 after its time, though a byte comes every now and then; the whole of it counts, not the pauses."""
    with spoken.talk() as talk:
        began = time.monotonic()
        talk.socket.settimeout(0.2)
        for byte in LIVEZ * 20:
            talk.say(bytes([byte]))
            try:
                answer = talk.heard()
                break
            except TimeoutError:
                continue
        assert (answer.status, answer.code) == (408, "PULPO616")
        assert 0.9 < time.monotonic() - began < 6
        talk.socket.settimeout(10)
        assert talk.closed()


@pytest.mark.parametrize("first", [b"", LIVEZ])
def test_who_says_nothing_is_hung_up_on(spoken: Spoken, first: bytes) -> None:
    """Without a word, at the beginning and between two requests: clients open connections ahead, and keep them."""
    with spoken.talk() as talk:
        if first:
            assert talk.say(first).heard().status == 200
        assert talk.closed()


@pytest.mark.parametrize("framing", [b"Content-Length: 30\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n20\r\n"])
def test_a_body_that_stops_is_given_up(spoken: Spoken, framing: bytes) -> None:
    """408, in the access log too; a body in time is not in its way."""
    with spoken.talk() as talk:
        answer = talk.say(TO_PRODUCTS + b"X-Request-ID: slow\r\n" + framing + b'{"sku"').heard()
        assert (answer.status, answer.code, answer.headers["x-request-id"]) == (408, "PULPO616", "slow")
        assert answer.headers["connection"] == "close"
        assert talk.closed()
    assert spoken.get("/livez").status == 200
    assert {line["status"] for line in noted(spoken, "slow")} == {408}


def test_a_client_that_leaves_in_its_body_is_no_error(spoken: Spoken) -> None:
    """It is noted as 499, and nothing else is logged."""
    with spoken.talk() as talk:
        talk.say(TO_PRODUCTS + b"X-Request-ID: gone\r\nContent-Length: 30\r\n\r\n{")
    assert [(line["level"], line.get("status")) for line in noted(spoken, "gone")] == [("info", 499)]


def noted(spoken: Spoken, request_id: str) -> list[dict[str, Any]]:
    """The lines of a request in the log, which is written a little later."""
    deadline = time.monotonic() + 5
    while not (found := [line for line in spoken.lines() if line.get("request_id") == request_id]):
        assert time.monotonic() < deadline, "it is not noted"
        time.sleep(0.02)
    return found


def test_an_answer_that_nobody_takes_is_given_up(spoken: Spoken) -> None:
    """A client that asks and does not read holds its connection for a moment only."""
    with spoken.talk() as talk:
        for n in range(60):  # together more than systems keep of a connection, which are some megabytes
            large = b'{"sku":"L%d","name":"%b","price":1}' % (n, b"x" * 19_000)
            assert talk.say(post(large)).heard().status == 201
    ask = b"GET /products?limit=20 HTTP/1.1\r\n" + HOST + b"\r\n"
    whole = len(spoken.get("/products?limit=20").body)
    assert whole > 300_000
    with spoken.talk(receive_buffer=4096) as talk:
        talk.say(ask * 16)
        time.sleep(4)  # the client's own idleness is what is tried here
        taken = 0
        try:
            while data := talk.socket.recv(65536):
                taken += len(data)
        except ConnectionResetError:
            taken += 0
        assert taken < 16 * whole


def test_requests_sent_ahead_are_answered_in_order(spoken: Spoken) -> None:
    """Ten in one piece, a body among them; of a hundred, the first ones, and then the connection is closed."""
    asks = [b"GET /products/none HTTP/1.1\r\n" + HOST + b"X-Request-ID: n%d\r\n\r\n" % n for n in range(100)]
    with spoken.talk() as talk:
        talk.say(b"".join(asks[:5]) + post(PRODUCT % b"AHEAD") + b"".join(asks[5:9]))
        answers = [talk.heard() for _ in range(10)]
        assert [answer.status for answer in answers] == [404] * 5 + [201] + [404] * 4
        told = [answer.headers["x-request-id"] for answer in answers if answer.status == 404]
        assert told == [f"n{n}" for n in range(9)]
        assert talk.say(LIVEZ).heard().status == 200
    with spoken.talk() as talk:
        talk.say(b"".join(asks))
        answers = []
        while (answer := talk.hear()) is not None:
            answers.append(answer)
        assert 1 < len(answers) < 20
        assert answers[-1].headers["connection"] == "close"
        assert [answer.headers["x-request-id"] for answer in answers] == [f"n{n}" for n in range(len(answers))]


def test_what_follows_a_good_request_does_not_change_its_answer(spoken: Spoken) -> None:
    """The answer goes out whole, then the connection is closed."""
    with spoken.talk() as talk:
        answer = talk.say(b"GET /products?limit=1 HTTP/1.1\r\n" + HOST + b"\r\nGARBAGE\r\n\r\n").heard()
        assert answer.status == 200
        assert talk.closed()


def test_a_body_is_asked_for_when_it_is_wanted(spoken: Spoken) -> None:
    """`Expect: 100-continue` is followed; where the head alone is refused, the body is not asked for."""
    expect = b"Expect: 100-continue\r\n"
    body = PRODUCT % b"ASKED"
    with spoken.talk() as talk:
        talk.say(TO_PRODUCTS + expect + b"Content-Length: %d\r\n\r\n" % len(body))
        assert talk.heard().status == 100
        assert talk.say(body).heard().status == 201
    with spoken.talk() as talk:
        answer = talk.say(TO_PRODUCTS + expect + b"Content-Length: 200000000\r\n\r\n").heard()
        assert (answer.status, answer.code) == (413, "PULPO607")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_huge_body_is_not_read(spoken: Spoken, *, chunked: bool) -> None:
    """413 at the limit; of 200 MB the server takes a little, and its memory stays as it was."""
    assert spoken.get("/livez").status == 200
    before, sent, piece = spoken.memory(), 0, b"x" * 2**20
    framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 209715200\r\n\r\n"
    with spoken.talk() as talk:
        talk.say(TO_PRODUCTS + framing)
        try:
            for _ in range(200):
                talk.socket.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            assert sent < 50 * 2**20  # the system's buffers hold some
        assert sent < 200 * 2**20
        answer = talk.heard()
        assert (answer.status, answer.code, answer.headers["connection"]) == (413, "PULPO607", "close")
    assert spoken.memory() - before < 8


@pytest.mark.parametrize(
    "flood",
    [
        b"0\r\n" + b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 2**18,
        b"0\r\nX: " + b"a" * 2**23,
        b"1;" + b"a" * 2**23,
        b"1\r\nx\r\n" * 2**20,
    ],
    ids=["trailers", "one trailer", "a chunk's extension", "chunks of a byte"],
)
def test_what_surrounds_a_body_is_bounded(spoken: Spoken, flood: bytes) -> None:
    """8 MB that are no body: refused, and not kept."""
    before = spoken.memory()
    with spoken.talk() as talk:
        answer = talk.say(TO_PRODUCTS + b"Transfer-Encoding: chunked\r\n\r\n" + flood).heard()
        assert (answer.status, answer.code) in ((400, "PULPO613"), (413, "PULPO607"))
    assert spoken.memory() - before < 8


def test_what_follows_a_chunked_body_is_no_header(spoken: Spoken) -> None:
    """A trailer does not become the request's id, nor anything else."""
    body = PRODUCT % b"TRAILED"
    with spoken.talk() as talk:
        framed = b"%x\r\n%b\r\n0\r\nX-Request-ID: trailed\r\nHost: evil.example\r\n\r\n" % (len(body), body)
        answer = talk.say(TO_PRODUCTS + b"Transfer-Encoding: chunked\r\n\r\n" + framed).heard()
        assert answer.status == 201
        assert answer.headers["x-request-id"] != "trailed"


@pytest.mark.parametrize("upgrade", [b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"])
def test_an_offer_of_another_protocol_is_passed_over(spoken: Spoken, upgrade: bytes) -> None:
    """Java's client sends one with its first request: body and later requests arrive."""
    with spoken.talk() as talk:
        assert talk.say(post(PRODUCT % b"OFFERED", upgrade)).heard().status == 201
        assert talk.say(LIVEZ).heard().status == 200
    with spoken.talk() as talk:
        talk.say(b"GET /livez HTTP/1.1\r\n" + HOST + upgrade + b"\r\n" + LIVEZ)
        assert [talk.heard().status, talk.heard().status] == [200, 200]
    with spoken.talk() as talk:  # as many as a client may send ahead, each of them with an offer
        talk.say((b"GET /livez HTTP/1.1\r\n" + HOST + upgrade + b"\r\n") * 16)
        assert [talk.heard().status for _ in range(16)] == [200] * 16


def test_offers_without_end_are_refused(spoken: Spoken) -> None:
    """Two thousand in one piece are too many to send ahead, and nothing breaks on them."""
    offer = b"GET /livez HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with spoken.talk() as talk:
        talk.say(offer * 2000)
        statuses = []
        while (answer := talk.hear()) is not None:
            statuses.append(answer.status)
        assert set(statuses) <= {200, 400}
        assert len(statuses) < 20
        assert talk.closed()
    assert spoken.get("/livez").status == 200


@pytest.mark.parametrize("upgrade", [b"", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"])
def test_http_1_0_hears_what_it_understands(spoken: Spoken, upgrade: bytes) -> None:
    """No chunks and no interim answer: a body of unknown length ends with the connection."""
    sku = b"OLD%d" % len(upgrade)
    ask = b"/products/export?fields=sku&sku=" + sku + b" HTTP/1.0\r\n" + HOST + upgrade
    with spoken.talk() as talk:
        assert talk.say(post(PRODUCT % sku)).heard().status == 201
    with spoken.talk() as talk:
        talk.say(b"GET " + ask + b"\r\n")
        head, _, body = talk.rest().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"transfer-encoding" not in head.lower()
        assert b"connection: close" in head.lower()
        assert json.loads(body)["sku"] == sku.decode()
    with spoken.talk() as talk:
        talk.say(b"POST /products HTTP/1.0\r\n" + HOST + JSON + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
        assert talk.heard().status == 422
        assert talk.closed()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[" * 100_000, 413, "PULPO607"),
        (b"[" * 15_000, 400, "PULPO601"),
        (b'{"sku":' * 2_000, 400, "PULPO601"),
        (b'{"sku":' + b"[" * 150 + b"]" * 150 + b"}", 422, "PULPO602"),
        (b'{"sku":"\xff"}', 400, "PULPO601"),
        (b'{"sku":"\xed\xa0\x80"}', 400, "PULPO601"),
        (b'{"sku":"a\0b"}', 400, "PULPO601"),
        (b"\0", 400, "PULPO601"),
    ],
)
def test_bodies_that_are_no_json_are_told_so(spoken: Spoken, body: bytes, status: int, code: str) -> None:
    """Nested deep, not UTF-8, with null bytes: a 4xx, and the process lives on."""
    with spoken.talk() as talk:
        answer = talk.say(post(body)).heard()
        assert (answer.status, answer.code) == (status, code)
    assert spoken.get("/livez").status == 200


@pytest.mark.parametrize(
    "query",
    ["items" + ".items" * 49 + "=1", "&".join(f"name[contains]=x{n}" for n in range(50)), "sort=" + "name," * 50],
)
def test_filters_without_end_are_told_so(spoken: Spoken, query: str) -> None:
    """A path of fifty names, fifty filters: 400."""
    answer = spoken.get(f"/products?{query}")
    assert (answer.status, answer.code) == (400, "PULPO603")


@pytest.mark.parametrize("values", ["[" * 20_000, "10" * 30 + "]", '"\\ud800"]', "1e999]"])
def test_made_up_cursors_are_told_so(spoken: Spoken, values: str) -> None:
    """Nested deep, greater than a column holds, no text, no number: 400, also under the mark of a real cursor."""
    for sku in (b"CURSOR-1", b"CURSOR-2"):
        with spoken.talk() as talk:
            talk.say(post(PRODUCT % sku)).heard()
    link = httpx.get(f"http://127.0.0.1:{spoken.port}/products?limit=1&sort=id").headers["link"]
    cursor = re.search(r"cursor=([^&>]+)", link)[1]
    mark = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))[0]
    made = base64.urlsafe_b64encode(f'["{mark}",{values}'.encode()).decode().rstrip("=")
    answer = spoken.get(f"/products?limit=1&sort=id&cursor={made}")
    assert (answer.status, answer.code) == (400, "PULPO603")


def test_what_was_refused_is_counted_in_the_log(spoken: Spoken) -> None:
    """One line a second for all of it, however much it was."""
    for _ in range(20):
        with spoken.talk() as talk:
            assert talk.say(b"FROB\r\n\r\n").heard().status == 400
    deadline = time.monotonic() + 5
    while True:
        told = [line for line in spoken.lines() if line["message"].startswith("turned away")]
        if sum(line.get("PULPO613", 0) for line in told) >= 20:
            break
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    assert [line for line in spoken.lines() if line["level"] == "error"] == []


# many connections


def test_of_too_many_connections_those_idle_longest_go(shop: Path, tmp_path: Path) -> None:
    """500 where 100 may be: the last ones and whoever speaks are served, and a slow one in its work is kept."""
    with Spoken(shop, tmp_path, connections=100) as server, server.talk() as working:
        working.say(TO_PRODUCTS + b"Content-Length: 40\r\n\r\n{")
        idle: list[Talk] = []
        try:
            for _ in range(500):
                idle.append(server.talk())
                idle[-1].say(LIVEZ)
            answers = [talk.hear() for talk in idle[-50:]]
            assert all(answer is not None and answer.status == 200 for answer in answers)
            assert server.get("/readyz").status == 200
            first = idle[0].hear()
            assert first is None or first.status == 200
            assert idle[0].closed()
        finally:
            for talk in idle:
                talk.socket.close()
        body = PRODUCT % b"WORKING"
        assert working.say(body[1:].ljust(39)).heard().status == 201


def test_where_every_connection_is_at_work_a_new_one_is_told_to_come_back(shop: Path, tmp_path: Path) -> None:
    """503 with Retry-After, and closed: nobody who is being served is cut off."""
    with Spoken(shop, tmp_path, connections=5) as server:
        working = [server.talk().say(TO_PRODUCTS + b"Content-Length: 40\r\n\r\n{") for _ in range(5)]
        try:
            deadline = time.monotonic() + 10
            while True:
                with server.talk() as talk:
                    answer = talk.hear()
                    if answer is not None:
                        break
                assert time.monotonic() < deadline
            assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "PULPO612", "1")
            sent = [talk.say((PRODUCT % b"W%d" % n)[1:].ljust(39)).heard() for n, talk in enumerate(working)]
            assert [answer.status for answer in sent] == [201] * 5
        finally:
            for talk in working:
                talk.socket.close()


def test_few_files_are_made_do_with(shop: Path, tmp_path: Path) -> None:
    """A soft limit is raised; under a hard one of 150 files, 400 connections leave the process calm and serving."""
    with Spoken(shop, tmp_path, limits="ulimit -Hn 150; ulimit -Sn 100") as server:
        crowd = [server.talk() for _ in range(400)]
        try:
            assert server.get("/readyz").status == 200
            before = server.cpu()
            time.sleep(1)  # whether it spins shows only in time
            assert server.cpu() - before < 0.5
            answer = crowd[-1].say(post(PRODUCT % b"FILES")).hear()
            assert answer is not None
            assert answer.status == 201
        finally:
            for talk in crowd:
                talk.socket.close()
        assert server.get("/products?name=a").status == 200


# at the limit


def test_at_the_limit_every_form_of_request_is_turned_away_alike(shop: Path, tmp_path: Path) -> None:
    """One place, taken by a slow body: 503 whatever is asked, in whatever pieces; probes are served; then all is."""
    long = post(PRODUCT % b"SPLIT")
    with Spoken(shop, tmp_path, concurrency=1, queue=0) as server, server.talk() as slow, server.talk() as talk:
        slow.say(TO_PRODUCTS + b"Content-Length: 40\r\n\r\n{")
        deadline = time.monotonic() + 10
        while server.get("/products").status == 200:  # until the slow one has its place
            assert time.monotonic() < deadline
        get = b"GET /products HTTP/1.1\r\n" + HOST
        for ask in (get + b"\r\n", get + b"X-Request-ID: mine\r\n\r\n", long, post(b"{}", b"X-A: close to it\r\n")):
            answer = talk.say(ask).heard()
            assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "PULPO612", "1")
            assert answer.headers["x-content-type-options"] == "nosniff"
            told = json.loads(answer.body)["request_id"]
            assert told.lower() == answer.headers["x-request-id"]
            assert (told == "mine") == (b"mine" in ask)
        # a body that looks like a request is one body
        talk.say(long[:-10])
        assert talk.heard().status == 503
        talk.say(long[-10:] + post(get + b"\r\n")[:-20])
        assert talk.heard().status == 503
        talk.say((get + b"\r\n")[-20:])
        assert talk.say(LIVEZ).heard().body == b'{"status":"ok"}'
        for last in (b"GET /products HTTP/1.0\r\n" + HOST + b"\r\n", get + b"Connection: close\r\n\r\n"):
            with server.talk() as ending:
                answer = ending.say(last).heard()
                assert (answer.status, answer.headers["connection"]) == (503, "close")
                assert ending.closed()
        assert slow.say((PRODUCT % b"SLOW")[1:].ljust(39)).heard().status == 201
        while talk.say(long).heard().status == 503:  # its place is free a moment after its answer
            assert time.monotonic() < deadline
        assert server.get("/products?sku=SPLIT&count=true").headers["x-total-count"] == "1"
        assert b"pulpo_http_active 0" in server.get("/metrics").body
