"""The gateway's own records: charges, what happened to them, and the answers it has given, in one SQLite file."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import apsw

T = TypeVar("T")
Row = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS charges (
    key TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, reference TEXT NOT NULL, amount INTEGER NOT NULL,
    currency TEXT NOT NULL, method TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    captured INTEGER NOT NULL DEFAULT 0, refunded INTEGER NOT NULL DEFAULT 0, capture_key TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL, expires_at TEXT, CHECK (captured <= amount AND refunded <= captured)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS charges_by_reference ON charges (reference);
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY, charge TEXT NOT NULL, kind TEXT NOT NULL, amount INTEGER NOT NULL, at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
"""
AUTHORIZATION = timedelta(days=7)


class Answer(Exception):
    """An HTTP answer other than 200, with a JSON body."""

    def __init__(self, status: int, body: Row) -> None:
        super().__init__(body.get("code", ""))
        self.status, self.body = status, body


class Ledger:
    """Charges on disk. Changes that come together are made durable by one commit (`synchronous=FULL`)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = apsw.Connection(str(path))
        self._db.set_busy_timeout(5000)
        self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        self._db.execute(SCHEMA)
        self._reader = apsw.Connection(str(path))
        self._reader.set_busy_timeout(5000)
        self._queue: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._writer: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self._db.close()

    async def once(self, key: str, request: Row, change: Callable[[], Row]) -> Row:
        """Make a change under an idempotency key; the same key and request get the same answer again.

        Raises:
            Answer: 409, the key came with another request before; or what `change` itself answered.
        """
        text = json.dumps(request, sort_keys=True)

        def keyed() -> tuple[int, Row]:
            known = self._db.execute("SELECT request, status, body FROM answers WHERE key = ?", (key,)).fetchone()
            if known is not None:
                if known[0] != text:
                    return 409, {"code": "key_reused", "detail": "the idempotency key came with another request"}
                return known[1], json.loads(known[2])
            try:
                status, body = 200, change()
            except Answer as answer:
                status, body = answer.status, answer.body
            self._db.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (key, text, status, json.dumps(body)))
            return status, body

        status, body = await self._write(keyed)
        if status != 200:
            raise Answer(status, body)
        return body

    def authorize(self, key: str, body: Row, reason: str) -> Row:
        """Record a charge: authorised, or declined with a reason. A key that was voided before stays voided."""
        now = datetime.now(UTC)
        if self._charge(key) is None:
            self._db.execute(
                "INSERT INTO charges"
                " (key, id, reference, amount, currency, method, status, reason, created_at, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (key, f"txn_{key}", body["reference"], body["amount"], body["currency"], body["method"],
                 "declined" if reason else "authorized", reason, now.isoformat(), (now + AUTHORIZATION).isoformat()),
            )  # fmt: skip
            self._enter(key, "decline" if reason else "authorize", body["amount"])
        charge = self._must(key)
        if charge["status"] == "declined":
            raise Answer(402, charge)
        return charge

    def capture(self, key: str, amount: int, capture_key: str) -> Row:
        """Take money that is held: the first capture counts, what is not held is answered as it is."""
        charge = self._must(key)
        if charge["status"] == "authorized":
            if amount > charge["amount"]:
                raise Answer(422, {"code": "amount_too_large", "detail": "more than is authorised"})
            self._db.execute(
                "UPDATE charges SET status = 'captured', captured = ?, capture_key = ? WHERE key = ?",
                (amount, capture_key, key),
            )
            self._enter(key, "capture", amount)
        return self._must(key)

    def void(self, key: str) -> Row:
        """Let held money go; a key that nobody charged yet can never be charged afterwards."""
        charge = self._charge(key)
        if charge is None:
            self._db.execute(
                "INSERT INTO charges (key, id, reference, amount, currency, method, status, created_at)"
                " VALUES (?, ?, '', 0, '', '', 'voided', ?)",
                (key, f"txn_{key}", datetime.now(UTC).isoformat()),
            )
            self._enter(key, "void", 0)
        elif charge["status"] == "authorized":
            self._db.execute("UPDATE charges SET status = 'voided' WHERE key = ?", (key,))
            self._enter(key, "void", charge["amount"])
        return self._must(key)

    def refund(self, key: str, amount: int) -> Row:
        """Give captured money back."""
        charge = self._must(key)
        if amount <= 0 or charge["refunded"] + amount > charge["captured"]:
            raise Answer(422, {"code": "refund_too_large", "detail": "more than was captured and not yet refunded"})
        self._db.execute("UPDATE charges SET refunded = refunded + ? WHERE key = ?", (amount, key))
        self._enter(key, "refund", amount)
        return self._must(key)

    def charge(self, key: str) -> Row | None:
        """One charge."""
        return next(_rows(self._reader, "SELECT * FROM charges WHERE key = ?", (key,)), None)

    def charges(self, reference: str | None = None) -> list[Row]:
        """All charges, or those of one reference."""
        if reference is None:
            return list(_rows(self._reader, "SELECT * FROM charges ORDER BY created_at, key"))
        return list(
            _rows(self._reader, "SELECT * FROM charges WHERE reference = ? ORDER BY created_at, key", (reference,))
        )

    def entries(self) -> list[Row]:
        """Everything that ever happened, oldest first."""
        return list(_rows(self._reader, "SELECT * FROM entries ORDER BY seq"))

    async def load(self, charges: Iterable[Row]) -> None:
        """Take over charges from elsewhere, those that are not known yet."""

        def change() -> None:
            for charge in charges:
                if self._charge(charge["key"]) is not None:
                    continue
                names = ", ".join(charge)
                self._db.execute(
                    f"INSERT INTO charges ({names}) VALUES ({', '.join('?' * len(charge))})",  # noqa: S608 - own names
                    tuple(charge.values()),
                )
                kinds = {"authorize": charge["amount"], "capture": charge["captured"], "refund": charge["refunded"]}
                for kind, amount in kinds.items():
                    if amount:
                        self._enter(charge["key"], kind, amount)

        await self._write(change)

    async def _write(self, change: Callable[[], T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append((change, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._queue:
            batch, self._queue = self._queue, []
            results = await asyncio.to_thread(self._apply, [change for change, _ in batch])
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue  # whoever asked has gone
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _apply(self, changes: list[Callable[[], Any]]) -> list[Any]:
        results: list[Any] = []
        try:
            with self._db:
                for change in changes:
                    try:
                        with self._db:
                            results.append(change())
                    except Exception as error:  # noqa: BLE001 - handed to the one who asked for this change
                        results.append(error)
        except apsw.Error as error:
            return [error] * len(changes)
        return results

    def _must(self, key: str) -> Row:
        charge = self._charge(key)
        if charge is None:
            raise Answer(404, {"code": "not_found", "detail": "there is no charge with this key"})
        return charge

    def _enter(self, key: str, kind: str, amount: int) -> None:
        self._db.execute(
            "INSERT INTO entries (charge, kind, amount, at) VALUES (?, ?, ?, ?)",
            (key, kind, amount, datetime.now(UTC).isoformat()),
        )

    def _charge(self, key: str) -> Row | None:
        return next(_rows(self._db, "SELECT * FROM charges WHERE key = ?", (key,)), None)


def _rows(db: apsw.Connection, query: str, values: tuple[object, ...] = ()) -> Iterator[Row]:
    """Rows as dicts, all read at once, so that no statement stays open."""
    cursor = db.execute(query, values)
    return iter([dict(zip((column[0] for column in cursor.get_description()), row, strict=True)) for row in cursor])
