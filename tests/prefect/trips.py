"""A small project whose flow can be held at a step, made to wait, declined, and watched from outside.

Each call of an operation that is not a query adds a line to `calls.log`: what, the run, the idempotency key. A held
operation goes on when the file `go` is there. `threads.log` names the threads of the process that last charged.
"""

MODELS = '''
    from pulpo import Model, datamodel


    @datamodel
    class Trip(Model):
        """A trip."""

        mode: str = ""
'''
OPERATIONS = '''
    import asyncio
    import threading
    from pathlib import Path

    from models.trip import Trip
    from pulpo import Context, NotReady, Ref, Refused, operation
    from pydantic import BaseModel

    ROOT = Path(__file__).resolve().parents[1]


    class In(BaseModel):
        trip_id: Ref[Trip]
        mode: str = ""


    class Checked(BaseModel):
        valid: bool


    def note(ctx: Context, what: str) -> None:
        with (ROOT / "calls.log").open("a") as file:
            file.write(f"{what} {ctx.run.id} {ctx.idempotency_key}\\n")


    async def held() -> None:
        while not (ROOT / "go").exists():
            await asyncio.sleep(0.02)


    @operation(name="trips.desk.check", models_in=[Trip], gate="valid")
    async def check(data: In, ctx: Context) -> Checked:
        """Check."""
        if data.mode == "broken" and not (ROOT / "go").exists():
            raise Refused("broken", "nobody is at the desk")
        return Checked(valid=data.mode != "invalid")


    @operation(name="trips.seat.hold", models_in=[Trip], after=["trips.desk"], compensate="trips.seat.free")
    async def hold(data: In, ctx: Context) -> dict[str, str]:
        """Hold a seat."""
        note(ctx, "hold")
        return {"seat": "12A"}


    @operation(name="trips.seat.free", models_in=[Trip])
    async def free(data: In, ctx: Context) -> None:
        """Free the seat."""
        note(ctx, "free")
        if data.mode == "free_held":
            await held()
            note(ctx, "freed")


    @operation(name="trips.pay.charge", models_in=[Trip], after=["trips.seat.hold"])
    async def charge(data: In, ctx: Context) -> dict[str, str]:
        """Charge."""
        note(ctx, "charge")
        (ROOT / "threads.log").write_text("\\n".join(thread.name for thread in threading.enumerate()))
        if data.mode in ("declined", "free_held"):
            raise Refused("declined", "no money", status=402)
        if data.mode == "wait" and not (ROOT / "go").exists():
            raise NotReady("later", "not yet")
        if data.mode == "held":
            await held()
            note(ctx, "charged")
        return {}


    @operation(name="trips.mail.write", models_in=[Trip], after=["trips.seat.hold"])
    async def write(data: In, ctx: Context) -> dict[str, str]:
        """Write."""
        return {}


    @operation(name="trips.post.send", models_in=[Trip], after=["trips.pay", "trips.mail"])
    async def send(data: In, ctx: Context) -> dict[str, str]:
        """Send."""
        return {}
'''
WALKS = '''
    from models.trip import Trip
    from pulpo import Context, Ref, Refused, operation
    from pydantic import BaseModel


    class In(BaseModel):
        trip_id: Ref[Trip]
        mode: str = ""


    @operation(name="walks.shoes.clean", models_in=[Trip])
    async def clean(data: In, ctx: Context) -> dict[str, str]:
        """Clean the shoes."""
        if data.mode == "torn":
            raise Refused("torn", "they are torn")
        return {}


    @operation(name="walks.map.find", models_in=[Trip])
    async def find(data: In, ctx: Context) -> dict[str, str]:
        """Find the map."""
        return {}


    @operation(name="walks.walk.go", models_in=[Trip], after=["walks.shoes", "walks.map.find"])
    async def go(data: In, ctx: Context) -> dict[str, str]:
        """Go."""
        return {}


    @operation(name="walks.map.fold", models_in=[Trip], after=["walks.map.find"])
    async def fold(data: In, ctx: Context) -> dict[str, str]:
        """Fold the map."""
        return {}
'''
"""A flow that no nesting of awaits expresses: `fold` needs one of the two that `go` needs."""
FLOWS = """
    from pulpo import flow

    flow("tours", includes=["trips"])
"""
STEPS = ("trips.desk.check", "trips.seat.hold", "trips.mail.write", "trips.pay.charge", "trips.post.send")
