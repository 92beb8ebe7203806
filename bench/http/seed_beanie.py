"""The same rows for Beanie: `python seed_beanie.py LINES`, in the peers' environment."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from beanie import Document, init_beanie
from with_beanie import MODELS, client

TOGETHER = 1000


async def main(lines: Path) -> None:
    await init_beanie(database=client.get_default_database(), document_models=MODELS)
    models = {model.__name__: model for model in MODELS}
    gathered: dict[str, list[Document]] = {name: [] for name in models}
    for line in lines.open():
        name, document = json.loads(line)
        if (model := models.get(name)) is not None:
            known: dict[str, Any] = {key: value for key, value in document.items() if key in model.model_fields}
            gathered[name].append(model(**known))
    for name, found in gathered.items():
        for begin in range(0, len(found), TOGETHER):
            await models[name].insert_many(found[begin : begin + TOGETHER])
    await client.close()


asyncio.run(main(Path(sys.argv[1])))
