"""How fast the HTTP API is on MongoDB: Pulpo's order app beside FastAPI + Beanie on the same server, in one run.

    python bench/api_mongo.py [--quick] [--peers all] [--write]

The same order app, requests, rows and checks as `bench/api.py`, and its ways with noise. One `mongod`, started as
`pulpo up` starts it (a replica set of one, with users), holds a database for each; server, database and load share the
machine. Beside Pulpo with everything on:

* `beanie`: FastAPI + Beanie as its documentation teaches, amounts as Decimal128, majority writes; changing a product
  and booking its movement are two writes. `beanie in transactions` makes one transaction of them, as Pulpo does;
* `ceiling`: constant bytes, as many as Pulpo's answers have;
* `pulpo on sqlite`: the same application on its other store.
"""

import api
from measuring.mongo import OTHERS, PEERS, MongoField, goals

from pulpo.errors import PulpoError
from pulpo.services import mongod


def main() -> None:
    """Measure and print."""
    try:
        mongod.program()
    except PulpoError as error:
        print(f"{error}; skipped")
        return
    known = (*PEERS, *OTHERS)
    api.run(
        api.Bench(
            __doc__ or "",
            known,
            known,
            MongoField,
            goals,
            api.ROOT / "bench" / "results" / "api_mongo.json",
            "bench/api_mongo.py",
        )
    )


if __name__ == "__main__":
    main()
