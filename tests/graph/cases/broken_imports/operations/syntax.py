from pulpo import operation


async def unfinished(:
    pass
