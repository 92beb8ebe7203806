"""What must always hold, checked over the whole shop. Meant for moments when nothing is under way."""

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pulpo.store.port import Query, Store
from shop.carrier import is_tracking_number
from shop.money import minor

Document = dict[str, Any]
COLLECTIONS = (
    "products", "orders", "payments", "obligations", "refunds", "reservations", "stock_movements", "ledger_entries",
    "shipments", "labels", "notifications",
)  # fmt: skip
LIVE = {"open", "shipped"}
SENT = {"shipped", "delivered"}


async def violations(store: Store, gateway: Mapping[str, Any] | None = None) -> list[str]:
    """Everything that does not hold, each as one sentence; nothing is wrong with an empty list.

    Args:
        store: The shop's. gateway: What the gateway's `GET /ledger` answered, to compare its books with ours.
    """
    books = Books({name: [document async for document in _all(store, name)] for name in COLLECTIONS})
    found = [*books.stock(), *books.money(), *books.orders(), *books.holds(), *books.ledger(), *books.messages()]
    return found if gateway is None else [*found, *books.gateway(gateway)]


async def _all(store: Store, collection: str) -> AsyncIterator[Document]:
    after = None
    while True:
        page = await store.query(Query(collection, limit=500, after=after))
        for record in page.records:
            yield json.loads(record.json, parse_float=Decimal)
        after = page.cursor
        if after is None:
            return


@dataclass(frozen=True, slots=True)
class Books:
    """The shop's documents, and the rules over them."""

    of: dict[str, list[Document]]

    def stock(self) -> list[str]:
        """0 <= reserved <= on hand; both are the sums of the movements; reserved is what open reservations hold."""
        on_hand, moved, held = Counter[str](), Counter[str](), Counter[str]()
        for movement in self.of["stock_movements"]:
            on_hand[movement["product_id"]] += movement["on_hand_change"]
            moved[movement["product_id"]] += movement["reserved_change"]
        for reservation in self.of["reservations"]:
            if reservation["status"] == "open":
                held[reservation["product_id"]] += reservation["quantity"] - reservation["shipped"]
        found = []
        for product in self.of["products"]:
            id, has, reserved = product["id"], product["on_hand"], product["reserved"]
            if not 0 <= reserved <= has:
                found.append(f"{id}: {reserved} reserved of {has} on hand")
            if product["inventory"] != has - reserved:
                found.append(f"{id}: inventory {product['inventory']} is not {has} - {reserved}")
            if has != on_hand[id]:
                found.append(f"{id}: {has} on hand, its movements add up to {on_hand[id]}")
            if reserved != moved[id] or reserved != held[id]:
                found.append(f"{id}: {reserved} reserved, movements say {moved[id]}, open reservations {held[id]}")
        return found

    def money(self) -> list[str]:
        """Captured <= authorised; one successful charge for an order; refunded and promised <= captured."""
        found, successful = [], Counter[str]()
        promised: dict[str, Decimal] = defaultdict(Decimal)
        for refund in self.of["refunds"]:
            promised[refund["payment_id"]] += refund["amount"]
        for payment in self.of["payments"]:
            if payment["captured"] > payment["authorized"]:
                found.append(f"{payment['id']}: {payment['captured']} captured of {payment['authorized']} authorised")
            if promised[payment["id"]] > payment["captured"] or payment["refunded_amount"] > payment["captured"]:
                found.append(f"{payment['id']}: {promised[payment['id']]} refunded of {payment['captured']} captured")
            if payment["status"] in {"processing", "completed", "refunded"}:
                successful[payment["order_id"]] += 1
        found += [f"{order}: {count} successful charges" for order, count in successful.items() if count > 1]
        payments = {payment["id"]: payment for payment in self.of["payments"]}
        wanted = {"claimed": {"processing"}, "paid": {"completed"}, "refunded": {"completed", "refunded"}}
        for obligation in self.of["obligations"]:
            status, paying = obligation["status"], payments.get(obligation["payment_id"])
            if status in wanted and (paying is None or paying["status"] not in wanted[status]):
                found.append(f"{obligation['id']}: {status}, its payment is {paying and paying['status']}")
        return found

    def orders(self) -> list[str]:
        """No order ships unpaid; a cancelled one holds no money; totals are sums of rounded lines."""
        owed = {obligation["id"]: obligation["status"] for obligation in self.of["obligations"]}
        money = {
            payment["order_id"]
            for payment in self.of["payments"]
            if payment["status"] == "processing" or payment["captured"] > payment["refunded_amount"]
        }
        found = []
        for order in self.of["orders"]:
            id, status = order["id"], order["status"]
            if status in SENT and owed.get(id) != "paid":
                found.append(f"{id}: {status}, its money is {owed.get(id)}")
            if status in SENT and not is_tracking_number(order["tracking_number"] or ""):
                found.append(f"{id}: {status} under {order['tracking_number']!r}")
            if status == "cancelled" and (id in money or owed.get(id) != "closed"):
                found.append(f"{id}: cancelled, its money is {owed.get(id)}, held: {id in money}")
            if order["total"] != sum((item["total_price"] for item in order["items"]), Decimal(0)):
                found.append(f"{id}: the total {order['total']} is not the sum of its lines")
        return found

    def holds(self) -> list[str]:
        """What is held for an order, or has left for it, is what was ordered; a cancelled one holds nothing."""
        held: dict[str, Counter[str]] = defaultdict(Counter)
        for reservation in self.of["reservations"]:
            if reservation["status"] in LIVE:
                held[reservation["order_id"]][reservation["product_id"]] += reservation["quantity"]
        found = []
        for order in self.of["orders"]:
            id, status, ordered = order["id"], order["status"], Counter[str]()
            if status in {"processing", *SENT}:
                for item in order["items"]:
                    ordered[item["product_id"]] += item["quantity"]
            if held[id] != ordered:
                found.append(f"{id}: {status}, should hold {dict(ordered)}, holds {dict(held[id])}")
        return found

    def ledger(self) -> list[str]:
        """Entries balance; deposits are zero on closed orders; what is cleared is what payments say."""
        found = []
        deposits, clearing = Counter[str](), Counter[str]()
        for entry in self.of["ledger_entries"]:
            if sum(line["debit"] for line in entry["lines"]) != sum(line["credit"] for line in entry["lines"]):
                found.append(f"{entry['id']}: does not balance")
            for line in entry["lines"]:
                if line["account"] == "deposits":
                    deposits[entry["order_id"]] += line["credit"] - line["debit"]
                if line["account"] == "clearing":
                    clearing[entry["order_id"]] += line["debit"] - line["credit"]
        taken = Counter[str]()
        for payment in self.of["payments"]:
            taken[payment["order_id"]] += minor(Decimal(payment["captured"]) - Decimal(payment["refunded_amount"]))
        for order in self.of["orders"]:
            id = order["id"]
            if order["status"] in {"shipped", "delivered", "cancelled"} and deposits[id]:
                found.append(f"{id}: {order['status']} with deposits of {deposits[id]}")
            if clearing[id] != taken[id]:
                found.append(f"{id}: {clearing[id]} cleared in the ledger, payments say {taken[id]}")
        return found

    def messages(self) -> list[str]:
        """One notification for each order, event and channel; one used label for each shipment that left."""
        told = Counter((each["order_id"], each["event"], each["channel"]) for each in self.of["notifications"])
        found = [f"{key}: told {count} times" for key, count in told.items() if count > 1]
        used = Counter(label["shipment_id"] for label in self.of["labels"] if label["status"] == "used")
        for shipment in self.of["shipments"]:
            left = shipment["status"] in {"shipped", "delivered", "returned"}
            if used[shipment["id"]] != int(left):
                found.append(f"{shipment['id']}: {shipment['status']} with {used[shipment['id']]} used labels")
        return found

    def gateway(self, known: Mapping[str, Any]) -> list[str]:
        """The gateway's ledger is ours: the same charges with the same sums, and one live charge for an order."""
        found = []
        charges = {charge["key"]: charge for charge in known["charges"]}
        for payment in self.of["payments"]:
            charge = charges.pop(payment["id"], None)
            ours = (minor(Decimal(payment["captured"])), minor(Decimal(payment["refunded_amount"])))
            if charge is None:
                if payment["transaction_id"] or any(ours):
                    found.append(f"{payment['id']}: unknown to the gateway")
                continue
            if ours != (charge["captured"], charge["refunded"]):
                theirs = f"{charge['captured']} captured, {charge['refunded']} refunded"
                found.append(f"{payment['id']}: we have {ours}, the gateway {theirs}")
            if payment["status"] == "failed" and charge["status"] in {"authorized", "captured"}:
                found.append(f"{payment['id']}: failed, yet {charge['status']} at the gateway")
        found += [f"{key}: the gateway has a charge that we do not know" for key in charges]
        live = Counter(
            charge["reference"] for charge in known["charges"] if charge["status"] in {"authorized", "captured"}
        )
        found += [f"{order}: {count} live charges at the gateway" for order, count in live.items() if count > 1]
        sums = Counter[tuple[str, str]]()
        for entry in known["entries"]:
            sums[entry["charge"], entry["kind"]] += entry["amount"]
        for charge in known["charges"]:
            pair = (sums[charge["key"], "capture"], sums[charge["key"], "refund"])
            if pair != (charge["captured"], charge["refunded"]):
                found.append(f"{charge['key']}: the gateway's entries say {pair}, its charge otherwise")
        return found
