from models.shop import Ordr


async def never() -> None: ...
