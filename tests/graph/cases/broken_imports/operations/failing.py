from pulpo import operation

RATES = {"de": 19}


def rate(country: str) -> int:
    return RATES[country]


RATE = rate("fr")


@operation(name="orders.rate", models_in=["Nothing"])
async def find_rate(country: str) -> int:
    return rate(country)
