"""A route of the project's own."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

router = APIRouter()


class Wish(BaseModel):
    """A body that FastAPI validates."""

    text: str


@router.get("/hello")
async def hello(request: Request) -> dict[str, str]:
    """Greet with the application's name."""
    return {"hello": request.app.state.application.spec.name}


@router.post("/wishes")
async def wish(body: Wish) -> dict[str, str]:
    """Take a wish."""
    return {"heard": body.text}
